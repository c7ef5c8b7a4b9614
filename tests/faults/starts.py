"""The server is killed again and again while runs are started by id: none twice, none lost."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

from perdure import server
from perdure.errors import ConnectionFailed
from perdure.server.probe import serves
from perdure.settings import Settings
from tests.faults.disk import integrity
from tests.faults.ground import Figures, chain, client_of, expected, results_of
from tests.support.journal import entries
from tests.support.processes import Crew, kill_server
from tests.support.waiting import until

AT_ONCE = 8
"""Starts that are under way side by side."""

PAUSE = 0.2
"""Seconds between two starts of one client, so that several kills fall between them."""


async def show(figures: Figures, folder: Path, *, short: bool) -> None:
    """200 ids, 20 where short. Those with an odd number are tried once only: they may exist, or not."""
    home, journal = folder / "home", folder / "journal"
    ids = [f"r{number}" for number in range(20 if short else 200)]
    crew, killed, acknowledged = Crew(home), list[int](), set[str]()
    try:
        async with client_of(home) as client:
            worker = crew.worker()
            # Once ready, it brings the server back, and without a server it does not start.
            await until(lambda: worker.poll() is not None or "worker ready" in crew.log.read_text(), "ready")
            kills = asyncio.ensure_future(_kill_again_and_again(home, killed))
            await _start_all(home, journal, ids, acknowledged)
            kills.cancel()
            await asyncio.gather(kills, return_exceptions=True)
            await asyncio.to_thread(server.ensure, client.settings)
        async with client_of(home) as client:
            results = await results_of(client, sorted(acknowledged), 120)
        figures.must(worker.poll() is None, f"the worker lives: {crew.log.read_text()}")
    finally:
        crew.kill_all()
        await asyncio.to_thread(server.stop, Settings(home=home))
    right = sum(result == expected(1) for result in results.values())
    counts = _counts(home)
    keys = Counter(entry["key"] for entry in entries(journal))
    figures.fact("kills of the server", len(killed))
    figures.fact("starts that were acknowledged", f"{len(acknowledged)} of {len(ids)}")
    figures.fact("acknowledged runs that ended right", f"{right} of {len(acknowledged)}")
    figures.fact("ids with one run", sum(count == 1 for count in counts.values()))
    figures.fact("ids with more than one run", sum(count > 1 for count in counts.values()))
    figures.fact("repeated calls", sum(count - 1 for count in keys.values()))
    figures.must(len(killed) > 1, "there were kills")
    figures.must(right == len(acknowledged), str(results))
    figures.must(acknowledged >= set(ids[::2]), "a start that is repeated is acknowledged in the end")
    figures.must(acknowledged <= set(counts), "no acknowledged start is lost")
    figures.must(max(counts.values()) == 1, f"never two runs of an id: {counts.most_common(3)}")
    figures.must(integrity(home / "temporal.db") == "ok", "the database is whole")


async def _kill_again_and_again(home: Path, killed: list[int]) -> None:
    chance = random.Random(7)
    while True:
        embedded = server.status(Settings(home=home))
        if (
            embedded is None
            or embedded.pid in killed
            or not await asyncio.to_thread(serves, embedded.address)
        ):
            await asyncio.sleep(0.1)
            continue
        await asyncio.sleep(chance.uniform(0.1, 1.5))
        killed.append(embedded.pid)
        kill_server(embedded.pid)


async def _start_all(home: Path, journal: Path, ids: list[str], acknowledged: set[str]) -> None:
    waiting = iter(ids)

    async def with_one_client() -> None:
        while (id := next(waiting, None)) is not None:
            try:
                async with client_of(home) as client:
                    while id is not None:
                        await client.start(chain(journal, 1, 0.0), id=id)
                        acknowledged.add(id)
                        await asyncio.sleep(PAUSE)
                        id = next(waiting, None)
            except ConnectionFailed:
                again = int(str(id)[1:]) % 2 == 0
                await _until_acknowledged(home, journal, str(id), acknowledged) if again else None

    await asyncio.gather(*(with_one_client() for _ in range(AT_ONCE)))


async def _until_acknowledged(home: Path, journal: Path, id: str, acknowledged: set[str]) -> None:
    while id not in acknowledged:
        with suppress(ConnectionFailed):
            async with client_of(home) as client:
                await client.start(chain(journal, 1, 0.0), id=id)
                acknowledged.add(id)


def _counts(home: Path) -> Counter[str]:
    """How many runs of each id the database holds; the server has runs of its own, too."""
    with closing(sqlite3.connect(home / "temporal.db")) as file:
        ids = file.execute("SELECT workflow_id FROM executions WHERE workflow_id GLOB 'r[0-9]*'")
        return Counter(id for (id,) in ids)
