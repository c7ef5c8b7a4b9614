"""Random graphs are run, changed and rerun on a real server while workers are killed.

python -m tests.lineage.reruns --durable --count 200 --kill
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Iterator
from contextlib import suppress
from itertools import count, islice
from random import Random
from typing import Any

from perdure.history.record import record_of
from perdure.lineage.change import Change
from tests.lineage.durable import Book, Site, asked, check_all, ended, first_execution, patiently, stamped
from tests.lineage.reruns import Tally, changed, graph_of, is_decided_by_order, kinds, play
from tests.support.graphs import every_node

RESULTS = ("results", "errors", "states")


def document_of(seed: int) -> dict[str, Any]:
    document = graph_of(seed)
    return stamped(document, seed, every_node(document))


def comparable(first: int) -> Iterator[int]:
    """Seeds of graphs for which it is decided what a rerun has to call."""
    for seed in count(first):
        new = changed(document_of(seed), Random(seed))
        if not is_decided_by_order(new, asyncio.run(play(new, 0, broken=False))):
            yield seed


class Reruns:
    """Reruns on one server; `kills` says whether workers are killed."""

    def __init__(self, tally: Tally, kills: bool) -> None:
        self.tally, self.kills, self.killed = tally, kills, 0

    async def check(self, site: Site, seed: int) -> None:
        """One graph: it is run, changed, rerun, and rerun as it is. Raises AssertionError."""
        random, document = Random(seed), document_of(seed)
        new = changed(document, Random(seed))
        full = await play(new, 0, broken=False)
        async with site.serving(f"rerun-{seed}") as book:
            if random.random() < 0.5:
                book.broken.touch()
            run = await site.client.start(document, id=book.queue, name=book.queue, queue=book.queue)
            await self._killed(site, book, run, random)
            await ended(run)
            book.broken.unlink(missing_ok=True)
            model = await patiently(run.history)
            assert model.problem is None
            first = record_of(run.id, model.calls)
            rerun = await run.rerun(Change(graph=copy.deepcopy(new)))
            await self._killed(site, book, rerun, random)
            result = await ended(rerun)
            calls = [*book.calls(await first_execution(rerun)).values()]
            needed = kinds(full.record) - kinds(first)
            assert len(calls) == needed.total(), f"{len(calls)} calls instead of {needed.total()}: {calls}"
            for name in RESULTS:
                ours, theirs = getattr(result, name), getattr(full.result, name)
                assert written(ours) == written(theirs), f"{name}: {ours}, {theirs}"
            again = await rerun.rerun()
            assert written((await ended(again)).results) == written(result.results)
            assert not book.calls(await first_execution(again)), "a rerun of the rerun has called agents"
        self.tally.graphs += 1
        self.tally.full += sum(full.calls.values())
        self.tally.needed += needed.total()
        self.tally.made += len(calls)

    async def _killed(self, site: Site, book: Book, run: Any, random: Random) -> None:
        if not self.kills:
            return
        with suppress(AssertionError, TimeoutError):
            await asyncio.wait_for(asked(book, len(book.calls()) + random.randrange(3), run), 20)
        await asyncio.sleep(random.uniform(0, 0.3))
        if (await patiently(run.describe)).closed is None:
            self.killed += 1
        await site.replace(book)


def written(value: Any) -> str:
    return json.dumps(value, default=repr, sort_keys=True)


def main(graphs: int, seed: int, kills: bool) -> None:
    reruns = Reruns(Tally(), kills)
    try:
        seeds = list(islice(comparable(seed), graphs))
        print(f"{asyncio.run(check_all(seeds, reruns.check))} histories replay")
    finally:
        print(reruns.tally, f"{reruns.killed} workers were killed while their run was under way")
