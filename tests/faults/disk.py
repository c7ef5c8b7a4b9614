"""The disk under the embedded server fills up, and has space again: commands say so, and nothing is lost."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from perdure import server
from perdure.client import GraphClient
from perdure.errors import ConnectionFailed
from perdure.settings import Settings
from tests.faults.ground import Figures, chain, client_of, expected, perdure, results_of, write_graph
from tests.support.cli import Done
from tests.support.journal import entries, repeats
from tests.support.processes import Crew
from tests.support.waiting import until

SIZE = "24m"
SOON = 60.0
"""Seconds within which a command must have said what is wrong."""


def lacking() -> str:
    """Why no small disk can be made here, if so."""
    with tempfile.TemporaryDirectory() as folder:
        mounted = _mount(Path(folder))
        if mounted.returncode == 0:
            subprocess.run(["umount", folder], check=True)
    return mounted.stderr.strip()


async def show(figures: Figures, folder: Path, *, short: bool) -> None:
    """Full for 10 s under 20 runs; for 3 s under 5 where short."""
    with small_disk(folder / "disk") as disk:
        await _fill_up(figures, folder, disk, *((5, 6, 3.0) if short else (20, 20, 10.0)))


async def _fill_up(figures: Figures, folder: Path, disk: Path, runs: int, length: int, full: float) -> None:
    home, journal = disk / "home", folder / "journal"
    crew = Crew(home, logs=folder)
    graph = write_graph(folder, chain(journal, length, 0.5))
    ids = [f"r{index}" for index in range(runs)]
    try:
        async with client_of(home) as client:
            crew.worker()
            for id in ids:
                await client.start(chain(journal, length, 0.5), id=id)
            waiting = crew.run(Path(graph), ids[0])
            await until(lambda: len(entries(journal)) > 2 * runs, "all runs are under way", 60)
            began = time.monotonic()
            fill(disk)
            for done in await asyncio.gather(*_commands(home, graph)):
                _judge(figures, done)
            await _start_anyway(figures, client, journal)
            await asyncio.sleep(max(0.0, began + full - time.monotonic()))
            figures.fact("seconds for which it was full", time.monotonic() - began)
            quiet, freed = len(entries(journal)), time.time()
            (disk / "filler").unlink()
            await until(lambda: len(entries(journal)) > quiet, "a node runs again", 90)
            figures.fact("seconds from space to progress", entries(journal)[quiet]["time"] - freed)
            results = await results_of(client, ids, 180)
            right = sum(result == expected(length) for result in results.values())
            figures.fact("runs that ended right", f"{right} of {runs}")
            figures.fact("repeated calls", f"{repeats(journal)} of {runs * length}")
            figures.must(right == runs, str(results))
            code = await asyncio.to_thread(waiting.wait, 60)
            figures.must(code == 0, f"the command that waited meanwhile ended with {code}")
            again = await asyncio.to_thread(perdure, home, "run", graph, "--id", "after")
            figures.must(again.code == 0, f"a new run: {again}")
    finally:
        crew.kill_all()
        server.stop(Settings(home=home))
    figures.must(integrity(home / "temporal.db") == "ok", "the database is whole")


def _commands(home: Path, graph: str) -> Iterator[asyncio.Future[Done]]:
    for words in (("run", graph), ("run", graph, "--detach", "--id", "during")):
        yield asyncio.ensure_future(asyncio.to_thread(perdure, home, *words))


def _judge(figures: Figures, done: Done) -> None:
    name = "seconds until the commands said that it is full"
    figures.fact(name, max(done.seconds, figures.facts.get(name, 0.0)))
    figures.must(done.code == 3, f"exit code {done.code}: {done.err}")
    figures.must("the disk is full" in done.err and "hint: free some space" in done.err, done.err)
    figures.must(done.seconds <= SOON, f"after {done.seconds:.1f} s")


async def _start_anyway(figures: Figures, client: GraphClient, journal: Path) -> None:
    """As if the disk had filled up right after the look at it."""
    began, least = time.monotonic(), server.MIN_RUN_SPACE_BYTES
    server.MIN_RUN_SPACE_BYTES = 0
    try:
        await client.start(chain(journal, 1, 0.1), id="anyway")
    except ConnectionFailed as error:
        figures.must("is the disk full?" in str(error), str(error))
    finally:
        server.MIN_RUN_SPACE_BYTES = least
    figures.fact("seconds until a start that was sent gave up", time.monotonic() - began)
    figures.must(time.monotonic() - began <= SOON, "a start that was sent hangs")


@contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    place.mkdir()
    mounted = _mount(place)
    if mounted.returncode:
        raise OSError(mounted.stderr)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=False)


def _mount(place: Path) -> subprocess.CompletedProcess[str]:
    if shutil.which("mount") is None:
        return subprocess.CompletedProcess([], 1, "", "no program `mount`")
    words = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(place)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def fill(disk: Path) -> None:
    """Takes all the space that is left."""
    with suppress(OSError), open(disk / "filler", "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def integrity(database: Path) -> str:
    """What SQLite says of the file."""
    with closing(sqlite3.connect(database)) as file:
        return str(file.execute("PRAGMA integrity_check").fetchone()[0])
