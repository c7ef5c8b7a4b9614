"""The server is killed, its files are copied, another server starts on the copy: the runs continue there."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from perdure import server
from perdure.client import GraphClient
from perdure.settings import Settings
from tests.faults.disk import integrity
from tests.faults.ground import Figures, chain, client_of, expected, results_of
from tests.support.journal import entries, repeats
from tests.support.processes import Crew, kill_server
from tests.support.waiting import until

LENGTH = 6
RUNS = 3
"""Runs that are started in each generation, and end in a later one."""


async def show(figures: Figures, folder: Path, *, short: bool) -> None:
    """20 copies of copies, 2 where short."""
    copies, journal = 2 if short else 20, folder / "journal"
    home, whole = folder / "home-0", 0
    for number in range(copies):
        async with client_of(home) as client:
            crew = Crew(home)
            try:
                crew.worker()
                await _progress(client, journal, number)
                assert client.embedded is not None
                kill_server(client.embedded.pid)
            finally:
                crew.kill_all()
        home, old = folder / f"home-{number + 1}", home
        for place in (home, folder / "look"):  # looking with SQLite would move the log into the file
            _copy(old, place)
        whole += integrity(folder / "look" / "temporal.db") == "ok"
    await _finish(figures, home, journal, [f"r{number}" for number in range(copies * RUNS)])
    figures.fact("copies that were whole", f"{whole} of {copies}")
    figures.must(whole == copies, "every copy is whole")


async def _progress(client: GraphClient, journal: Path, number: int) -> None:
    for index in range(number * RUNS, (number + 1) * RUNS):
        await client.start(chain(journal, LENGTH, 0.3), id=f"r{index}")
    before = len(entries(journal))
    await until(lambda: len(entries(journal)) >= before + 2 * RUNS, "the runs are under way", 60)


async def _finish(figures: Figures, home: Path, journal: Path, ids: list[str]) -> None:
    crew = Crew(home)
    try:
        async with client_of(home) as client:
            crew.worker()
            results = await results_of(client, ids, 120)
    finally:
        crew.kill_all()
        await asyncio.to_thread(server.stop, Settings(home=home))
    right = sum(result == expected(LENGTH) for result in results.values())
    figures.fact("runs that ended right", f"{right} of {len(ids)}")
    figures.fact("repeated calls", f"{repeats(journal)} of {len(ids) * LENGTH}")
    figures.must(right == len(ids), str(results))
    figures.must(integrity(home / "temporal.db") == "ok", "the last database is whole")


def _copy(home: Path, to: Path) -> None:
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(mode=0o700)
    for path in (*home.glob("temporal.db*"), home / "temporal.made", home / "payload.keys"):
        shutil.copy2(path, to)
