"""Commands that wait for a run are killed or interrupted: the run continues, and `perdure result` has it."""

from __future__ import annotations

import asyncio
import json
import random
import signal
from pathlib import Path

from perdure import server
from perdure.settings import Settings
from tests.faults.ground import Figures, chain, client_of, expected, perdure, write_graph
from tests.support import ROOT
from tests.support.cli import Done, environment, start
from tests.support.journal import entries, repeats
from tests.support.processes import AGENTS, Crew
from tests.support.waiting import until

LENGTH = 8
CONCURRENT_COUNT = 3
"""Commands at a time."""


async def show(figures: Figures, folder: Path, *, short: bool) -> None:
    """50 commands next to a worker and 10 that serve themselves; 2 and 1 where short."""
    home, journal = folder / "home", folder / "journal"
    graph = write_graph(folder, chain(journal, LENGTH, 0.4))
    crew = Crew(home)
    try:
        async with client_of(home):
            alone = await _all(figures, home, graph, "alone", 1 if short else 10)
            worker = crew.worker()
            await until(lambda: "worker ready" in crew.log.read_text(), "the worker is ready", 60)
            served = await _all(figures, home, graph, "served", 2 if short else 50)
            figures.must(worker.poll() is None, "the worker lives")
    finally:
        crew.kill_all()
        await asyncio.to_thread(server.stop, Settings(home=home))
    by_worker = sum(entry["pid"] == worker.pid for entry in entries(journal))
    figures.fact("calls, by the worker", f"{len(entries(journal))}, {by_worker}")
    figures.fact("repeated calls", repeats(journal))
    for name, ended in (("alone", alone), ("served", served)):
        right = sum(ended)
        figures.fact(f"{name}: results that `perdure result` got", f"{right} of {len(ended)}")
        figures.must(right == len(ended), f"{name}: all results")


async def _all(figures: Figures, home: Path, graph: str, name: str, count: int) -> list[bool]:
    turns, chance = asyncio.Semaphore(CONCURRENT_COUNT), random.Random(name)

    async def one(number: int, delay: float) -> bool:
        async with turns:
            return await _leave(figures, home, graph, f"{name}-{number}", delay)

    return list(await asyncio.gather(*(one(number, chance.uniform(0, 1.2)) for number in range(count))))


async def _leave(figures: Figures, home: Path, graph: str, id: str, delay: float) -> bool:
    """Ends a command by Ctrl-C, or by -9 where the number is even; then asks for the result."""
    process = start(ROOT, environment(home), ["run", graph, "--agents", str(AGENTS), "--id", id])
    assert process.stderr is not None
    output = ""
    while " executing" not in output:
        line = await asyncio.to_thread(process.stderr.readline)
        assert line, f"the command has ended: {output}"
        output += line
    await asyncio.sleep(delay)
    number = signal.SIGINT if int(id.rpartition("-")[2]) % 2 else signal.SIGKILL
    process.send_signal(number)
    out, err = await asyncio.to_thread(process.communicate)
    code = {signal.SIGINT: 130, signal.SIGKILL: -9}[number]
    figures.must(process.returncode == code and not out, f"{id}: {process.returncode}, {out!r}, {err}")
    if number is signal.SIGINT:
        figures.must(f"come back: perdure result {id}" in err and "Traceback" not in err, f"{id}: {err}")
    done: Done = await asyncio.to_thread(perdure, home, "result", id, "--agents", str(AGENTS))
    right = done.code == 0 and json.loads(done.out) == expected(LENGTH)
    figures.must(right, f"{id}: {done}")
    return right
