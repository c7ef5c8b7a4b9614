"""Simulated maintenance: `python -m tests.gateway.episodes` plays a machine and looks at the alerts.

Each episode is drawn by a seed: normal, too hot for less or for more than five minutes, with flaps, gaps in
the readings, readings that come out of order and readings that come twice. Which alerts there must be is
computed from the readings themselves, by a loop that knows nothing of windows. The command prints what was
missed, what came twice, and how long after the fifth minute the alerts came; it exits with 1 where that is
anything but 0, 0 and at most a second.

With `--shell temporal` the run is durable, and its worker is killed again and again (`--kills`).
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from perdure.agents.catalog import load_agents
from perdure.engine.inbox.events import ExternalEvent
from perdure.errors import ConnectionFailed, TransientError
from perdure.graph.text.load import load
from perdure.memory.environment import MemoryEnvironment
from perdure.memory.run import MemoryRun
from tests.support import ROOT, durable

FOLDER = ROOT / "perdure" / "examples" / "predictive_maintenance"
START_MS = 1_900_000_000_000
HOLD_MS = 300_000
GAP_MS = 15_000
HOT = {"vibration": 7.4, "temperature": 85, "running": True}
COLD = {"vibration": 3.1, "temperature": 60, "running": True}
LATENESS_MS = 3_000


@dataclass(frozen=True)
class Reading:
    at: int
    hot: bool


def readings(count: int, source: random.Random) -> list[Reading]:
    """One reading a second, for `count` episodes."""
    rows, at = list[Reading](), START_MS
    for _ in range(count):
        kind = source.choice(("short", "long", "flaps", "gap", "long"))
        length = source.randint(20, 299) if kind == "short" else source.randint(301, 420)
        cold_at = set(source.sample(range(length), 2)) if kind == "flaps" else set[int]()
        silent = range(*(source.randint(50, 250) + n for n in (0, 30))) if kind == "gap" else range(0)
        for second in range(length):
            if second not in silent:
                rows.append(Reading(at, second not in cold_at))
            at += 1_000
        for _ in range(source.randint(1, 30)):
            rows.append(Reading(at, False))
            at += 1_000
    return rows


def due_alerts(rows: Sequence[Reading]) -> list[int]:
    """When alerts are due: the first reading of each episode at which it has lasted for five minutes."""
    due, since, before, fired = list[int](), 0, 0, False
    for row in rows:
        if not row.hot:
            since, fired = 0, False
        elif not since or row.at - before > GAP_MS:
            since = row.at
        before = row.at
        if row.hot and not fired and row.at - since >= HOLD_MS:
            due.append(row.at)
            fired = True
    return due


def batches(rows: Sequence[Reading], source: random.Random) -> Iterator[list[ExternalEvent]]:
    """The readings as they come: some late by seconds, some twice, in portions."""
    came = sorted(rows, key=lambda row: row.at + source.choice((0, 0, 0, 1_500, 2_900)))
    events = [
        ExternalEvent(
            topic="telemetry",
            key="press-4",
            id=str(row.at),
            sender="sensor",
            at=row.at,
            body=HOT if row.hot else COLD,
        )
        for row in came
    ]
    end = rows[-1].at + 60_000
    last = ExternalEvent(topic="telemetry", key="press-4", id="end", sender="sensor", at=end)
    start = 0
    while start < len(events):
        size = source.randint(200, 450)
        again = source.sample(events[max(0, start - 400) : start], min(20, start))
        yield [*events[start : start + size], *again]
        start += size
    yield [replace(last, body={**COLD, "running": False})]


def document() -> Any:
    graph: Any = load((FOLDER / "graph.yaml").read_bytes()).data
    graph["nodes"]["rule"]["params"]["lateness"] = LATENESS_MS
    graph["nodes"]["reading"]["params"]["within"] = 20
    return graph


async def in_memory(rows: Sequence[Reading], source: random.Random) -> Any:
    agents = load_agents(str(FOLDER / "agents.py"))
    run = MemoryRun(document(), agents, environment=MemoryEnvironment(console=lambda line: None))
    for batch in batches(rows, source):
        while True:
            try:
                await run.send(*batch)
                break
            except TransientError:
                await asyncio.sleep(0.01)
    return (await run.result()).results["log"]["array"]


async def killed(rows: Sequence[Reading], source: random.Random, kills: int) -> Any:
    """The same on a server, with a worker that is killed before some of the batches."""
    with tempfile.TemporaryDirectory() as home:
        async with durable.embedded(Path(home) / "home") as client:
            portions = [*batches(rows, source)]
            chosen = {source.randrange(len(portions)) for _ in range(kills)}
            worker = Worker(Path(home) / "home")
            run = await client.start(document(), id="watch-press-4", queue="plant")
            async with worker.running():
                for number, batch in enumerate(portions):
                    if number in chosen:
                        await worker.kill()
                    await _sent(run, batch)
                return (await run.result()).results["log"]["array"]


async def _sent(run: Any, batch: Sequence[ExternalEvent]) -> None:
    while True:
        try:
            await run.send(*batch)
            return
        except (TransientError, ConnectionFailed):
            await asyncio.sleep(0.1)


class Worker:
    """A worker in a process of its own, started again whenever it was killed."""

    def __init__(self, home: Path) -> None:
        self._environment = {"PERDURE_HOME": str(home), "PYTHONPATH": str(ROOT)}
        self._process: asyncio.subprocess.Process | None = None
        self.kills = 0

    async def start(self) -> None:
        agents = str(FOLDER / "agents.py")
        words = ["-m", "perdure", "worker", "--queue", "plant", "--agents", agents]
        quiet = asyncio.subprocess.DEVNULL
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, *words, cwd=ROOT, env=self._environment, stdout=quiet, stderr=quiet
        )

    async def kill(self, signal_number: int = signal.SIGKILL) -> None:
        assert self._process is not None
        self._process.send_signal(signal_number)
        await self._process.wait()
        self.kills += 1
        await self.start()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.start()
        try:
            yield
        finally:
            assert self._process is not None
            self._process.kill()
            await self._process.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.gateway.episodes")
    parser.add_argument("--shell", choices=("memory", "temporal"), default="memory")
    parser.add_argument("--episodes", type=int, default=1_000)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(arguments)
    source = random.Random(args.seed)
    rows = readings(args.episodes, source)
    due, began = due_alerts(rows), time.monotonic()
    playing = in_memory(rows, source) if args.shell == "memory" else killed(rows, source, args.kills)
    alerts = [alert["at"] for alert in asyncio.run(playing)]
    missed, extra = set(due) - set(alerts), len(alerts) - len(set(alerts) & set(due))
    late = max((at - since for at, since in zip(alerts, _ends(rows, alerts), strict=True)), default=0)
    print(
        f"{args.episodes:,} episodes, {len(rows):,} readings, {len(due):,} alerts due: {len(missed)} missed, "
        f"{extra} double or false, at most {late / 1000:g} s after the fifth minute; "
        f"{time.monotonic() - began:.1f} s"
    )
    return 1 if missed or extra or late > 1_000 else 0


def _ends(rows: Sequence[Reading], alerts: Sequence[int]) -> list[int]:
    """The end of the fifth minute before each alert: five minutes after its episode began."""
    sinces = dict[int, int]()
    since, before = 0, 0
    for row in rows:
        if not row.hot:
            since = 0
        elif not since or row.at - before > GAP_MS:
            since = row.at
        before = row.at
        sinces[row.at] = since
    return [sinces[at] + HOLD_MS for at in alerts]


if __name__ == "__main__":
    sys.exit(main())
