"""Random graphs are changed while they run on a real server, and workers are killed meanwhile.

python -m tests.lineage.patches --durable --count 200 --kill
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count, islice
from random import Random
from typing import Any

from perdure.engine.steering.request import Steering
from perdure.errors import ConnectionFailed, RunFailed, UsageError
from perdure.protocol.payloads import RunResult
from perdure.runs import Run
from tests.lineage.durable import Book, Site, asked, check_all, ended, patiently, stamped
from tests.lineage.patches import Player, changed, graph_of, graphs_in
from tests.support.graphs import every_node

MOMENTS = ("never", "before", "in", "after")
"""When the worker is killed, of a change."""


MIN_CALL_COUNT = 8
"""Calls of a graph that is still under way when it is changed."""


def lasting(first: int) -> Iterator[int]:
    """Seeds of graphs that are not over at once."""
    for seed in count(first):
        player = Player(document_of(seed), Random(seed), 0)
        player.start()
        player.play()
        if len(player.calls) >= MIN_CALL_COUNT:
            yield seed


@dataclass
class Tally:
    """What became of the changes."""

    made: int = 0
    refused: int = 0
    over: int = 0
    compared: int = 0
    kills: Counter[str] = field(default_factory=Counter[str])


def document_of(seed: int) -> dict[str, Any]:
    document = graph_of(seed)
    random = Random(seed)
    for node in every_node(document):
        if node.get("agent") == "work" and random.random() < 0.2:
            node["placement"] = "local"
    return stamped(document, seed, every_node(document))


@dataclass
class Patches:
    """Changes of runs on one server; `kills` says whether workers are killed."""

    kills: bool
    tally: Tally = field(default_factory=Tally)

    async def check(self, site: Site, seed: int) -> None:
        """One graph: it is changed while it runs, once or twice. Raises AssertionError."""
        random, document = Random(seed), document_of(seed)
        async with site.serving(f"patch-{seed}", flaky=True) as book:
            run = await site.client.start(document, id=book.queue, name=book.queue, queue=book.queue)
            for _ in range(random.choice((1, 2))):
                await asked(book, len(book.calls()) + random.randrange(3), run)
                new = changed(document, random)
                stamped(new, seed, every_node(new))
                if await self._patched(site, book, run, new, random):
                    document = new
            result = await ended(run)
            model = await patiently(run.history)
            assert model.problem is None, model.problem
            assert model.graph == document
        if not any("loop" in graph for graph in graphs_in(document)):
            compare(document, seed, result)
            self.tally.compared += 1

    async def _patched(self, site: Site, book: Book, run: Run, new: Any, random: Random) -> bool:
        """Makes a change, and kills the worker before, in or after it; whether it was made."""
        moment = random.choice(MOMENTS) if self.kills else "never"
        delay = random.uniform(0, 0.08)
        before = (await patiently(run.describe)).closed
        if moment == "before" and before is None:
            await site.replace(book)
        change = Steering(
            graph=new,
            running=random.choice(("refuse", *["cancel"] * 5)),
            done=random.choice(("refuse", *["rerun"] * 5)),
            rows=random.choice(("refuse", *["rerun"] * 5)),
        )
        made = asyncio.create_task(self._steered(run, change))
        if moment == "in":
            await asyncio.sleep(delay)
            moment = "in" if not made.done() else "after"
            await site.replace(book)
        is_made = await made
        if moment == "after":
            await site.replace(book)
        if is_made:
            self.tally.kills[moment] += 1
        return is_made

    async def _steered(self, run: Run, change: Steering) -> bool:
        before = len((await patiently(run.history)).interventions)
        while True:
            try:
                await run.steer(change)
            except UsageError as error:
                is_over = "over" in str(error) or (await patiently(run.describe)).closed is not None
                self.tally.over += is_over
                self.tally.refused += not is_over
                return False
            except (ConnectionFailed, RunFailed):  # no reply in time, or after several kills: it may be made
                model = await patiently(run.history)
                if len(model.interventions) == before:
                    if model.is_open:
                        continue
                    self.tally.over += 1
                    return False
            self.tally.made += 1
            return True


def compare(document: dict[str, Any], seed: int, result: RunResult) -> None:
    """Raises AssertionError unless the outcome is that of a full run of this graph."""
    oracle = Player(document, Random(seed + 1), 0)
    oracle.start()
    oracle.play()
    assert oracle.finish is not None
    full = RunResult.of(oracle.finish, oracle.scheduler.root)
    for name in ("results", "states"):
        ours, theirs = (
            json.dumps(getattr(each, name), default=repr, sort_keys=True) for each in (result, full)
        )
        assert ours == theirs, f"{name}:\n{ours}\n{theirs}"
    assert sorted(result.errors) == sorted(full.errors)


def main(graphs: int, seed: int, kills: bool) -> None:
    patches = Patches(kills)
    try:
        print(
            f"{asyncio.run(check_all(list(islice(lasting(seed), graphs)), patches.check))} histories replay"
        )
    finally:
        print(patches.tally)
