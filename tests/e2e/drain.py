"""Workers that are asked to stop under load, again and again: what is lost, what is repeated, how long.

    python -m tests.e2e.drain --times 20

Each time a new worker is started, and the one before it gets SIGTERM while its agents are at work.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perdure import server
from perdure.client import GraphClient, connect
from perdure.settings import Settings
from tests.support.journal import entries
from tests.support.processes import Crew

SECONDS = (0.2, 0.5, 0.9, 1.4, 2.0)
"""How long agents take, in turn."""

RUNS = 6
"""Runs that begin with each round."""


@dataclass
class Round:
    """One SIGTERM: how the worker ended, after how long, and what was at work when it came."""

    code: int
    seconds: float
    at_work: int


@dataclass
class Report:
    """What came of it all."""

    rounds: list[Round] = field(default_factory=list)
    runs: int = 0
    wrong: int = 0
    calls: int = 0
    repeated: int = 0

    def table(self) -> str:
        lines = ["round  exit  seconds  at work"]
        lines += [
            f"{number:5}  {each.code:4}  {each.seconds:7.2f}  {each.at_work:7}"
            for number, each in enumerate(self.rounds, 1)
        ]
        end = f"{self.runs} runs, {self.wrong} lost or wrong; {self.calls} calls, {self.repeated} repeated"
        return "\n".join([*lines, end])


def graph(journal: Path, first: int) -> dict[str, Any]:
    """Two nodes side by side, three times, each layer after the one before."""
    nodes: dict[str, Any] = {}
    for layer in range(3):
        for side in "ab":
            node: dict[str, Any] = {
                "agent": "journalAgent",
                "params": {
                    "journal": str(journal),
                    "seconds": SECONDS[(first + layer + ord(side)) % len(SECONDS)],
                },
                "inputs": {other: f":{other}{layer - 1}" for other in "ab" if layer},
            }
            nodes[f"{side}{layer}"] = node | ({"isResult": True} if layer == 2 else {})
    return {"version": 0.5, "nodes": nodes}


async def drain(folder: Path, times: int, grace: float = 10.0) -> Report:
    """Stops a worker `times` times; all processes have ended when it returns."""
    crew = Crew(folder / "home", {"PERDURE_GRACE": str(grace)})
    journal = folder / "journal"
    client = await connect(Settings(home=crew.home))
    try:
        return await _drain(crew, client, journal, times)
    finally:
        crew.kill_all()
        client.close()
        await asyncio.to_thread(server.stop, client.settings)


async def _drain(crew: Crew, client: GraphClient, journal: Path, times: int) -> Report:
    report, running = Report(), []
    worker, ready = crew.worker(), 1
    await _ready(crew, ready)
    for number in range(times):
        following, ready = crew.worker(), ready + 1
        await _ready(crew, ready)
        for index in range(RUNS):
            started = await client.start(graph(journal, number + index), id=f"r{number}-{index}")
            running.append(asyncio.create_task(started.result()))
        begun = time.time()
        while not _at_work(journal, worker.pid, begun):
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.1 * (number % 7))  # another moment each time
        before = time.time()
        at_work = _at_work(journal, worker.pid, before - 1)
        worker.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(worker.wait)
        report.rounds.append(Round(code, time.time() - before, at_work))
        worker = following
    async with asyncio.timeout(120):
        ended = await asyncio.gather(*running, return_exceptions=True)
    return _counted(report, ended, entries(journal))


def _at_work(journal: Path, pid: int, since: float) -> int:
    """Calls that this worker began lately."""
    return sum(entry["pid"] == pid and entry["time"] > since for entry in entries(journal))


async def _ready(crew: Crew, number: int) -> None:
    async with asyncio.timeout(180):
        while crew.log.read_text().count("worker ready") < number:
            await asyncio.sleep(0.05)


def _counted(report: Report, ended: list[Any], calls: list[dict[str, Any]]) -> Report:
    right = {"a2", "b2"}
    report.runs = len(ended)
    report.wrong = sum(isinstance(each, BaseException) or set(each.results) != right for each in ended)
    report.calls = len(calls)
    report.repeated = sum(count - 1 for count in Counter(entry["key"] for entry in calls).values())
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description="SIGTERM under load, again and again")
    parser.add_argument("--times", type=int, default=20, help="how many workers are stopped")
    parser.add_argument("--grace", type=float, default=10.0, help="PERDURE_GRACE of the workers")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(drain(Path(folder), args.times, args.grace))
    print(report.table())
    slow = any(each.code or each.seconds > args.grace + 2 for each in report.rounds)
    return 1 if report.wrong or report.repeated or slow else 0


if __name__ == "__main__":
    sys.exit(main())
