"""Simulated maintenance: `python -m tests.gateway.episodes` plays a machine and looks at the alerts.

Each episode is drawn by a seed: normal, too hot for less or for more than five minutes, with flaps, gaps in
the readings, readings that come out of order and readings that come twice. Which alerts there must be is
computed from the readings themselves, by a loop that knows nothing of windows. The command prints what was
missed, what came twice, and how long after the fifth minute the alerts came; it exits with 1 where that is
anything but 0, 0 and at most a second.

With `--shell temporal` the runs are durable, and the worker and the server are killed with SIGKILL in turns
meanwhile (`--kills`). `--machines` shares the episodes out, to runs in parallel.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from perdure.agents.catalog import load_agents
from perdure.cli import logs
from perdure.client import GraphClient
from perdure.engine.inbox.events import ExternalEvent
from perdure.errors import ConnectionFailed, TransientError
from perdure.graph.text.load import load
from perdure.memory.environment import MemoryEnvironment
from perdure.memory.run import MemoryRun
from tests.support import ROOT
from tests.support.durable import connected
from tests.support.processes import Parts

T = TypeVar("T")
FOLDER = ROOT / "perdure" / "examples" / "predictive_maintenance"
START_MS = 1_900_000_000_000
HOLD_MS = 300_000
GAP_MS = 15_000
HOT = {"vibration": 7.4, "temperature": 85, "running": True}
COLD = {"vibration": 3.1, "temperature": 60, "running": True}
LATENESS_MS = 3_000
VICTIMS = ("worker", "server")
LIMIT_S = 3_600


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


@dataclass
class Plant(Parts):
    """The worker and the server of the machines."""

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def start(self, name: str) -> None:
        words = ("worker", "--queue", "plant", "--agents", str(FOLDER / "agents.py"))
        self.processes[name] = self.perdure(name, self.home, *words)

    def kill(self, name: str) -> None:
        if name == "server":
            self.kill_server_of(name, self.home)
        else:
            self.kill_part(name)


async def killed(
    machines: Sequence[Sequence[Reading]], source: random.Random, kills: int
) -> tuple[list[Any], Counter[str]]:
    """The same on a server, for machines in parallel. Worker and server are killed in turns meanwhile."""
    with tempfile.TemporaryDirectory() as name:
        parts = Plant(Path(name))
        try:
            async with connected(parts.home) as client:
                parts.start("worker")
                portions = [[*batches(rows, source)] for rows in machines]
                until_kill = _killer(parts, sum(map(len, portions)), kills, source)
                async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as group:
                    playing = [
                        group.create_task(_machine(client, n, rows, until_kill))
                        for n, rows in enumerate(portions)
                    ]
                return [machine.result() for machine in playing], parts.kills
        finally:
            parts.end(parts.home)


def _killer(
    parts: Plant, count: int, kills: int, source: random.Random
) -> Callable[[], Coroutine[Any, Any, None]]:
    """What is awaited before each of `count` batches: it kills before some of them."""
    chosen = sorted(source.sample(range(count), min(kills, count)))
    victims = {number: VICTIMS[n % len(VICTIMS)] for n, number in enumerate(chosen)}
    numbers, one = itertools.count(), asyncio.Lock()

    async def kill() -> None:
        if victim := victims.get(next(numbers)):
            async with one:
                await asyncio.to_thread(parts.kill, victim)

    return kill


async def _machine(
    client: GraphClient,
    number: int,
    portions: Sequence[Sequence[ExternalEvent]],
    until_kill: Callable[[], Coroutine[Any, Any, None]],
) -> Any:
    run = await client.start(document(), id=f"watch-press-4-{number}", queue="plant")
    for batch in portions:
        await until_kill()
        await _again(lambda events=batch: run.send(*events))
    return (await _again(run.result)).results["log"]["array"]


async def _again(call: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """The call, again until no death is in its way."""
    while True:
        try:
            return await call()
        except (TransientError, ConnectionFailed):
            await asyncio.sleep(0.1)


@dataclass(frozen=True)
class Verdict:
    """What the alerts of a machine are worth."""

    due: int
    missed: int
    extra: int
    late_ms: int


def verdict(rows: Sequence[Reading], alerts: Sequence[int]) -> Verdict:
    due = set(due_alerts(rows))
    late = max((at - since for at, since in zip(alerts, _ends(rows, alerts), strict=True)), default=0)
    return Verdict(len(due), len(due - {*alerts}), len(alerts) - len(due & {*alerts}), late)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.gateway.episodes")
    parser.add_argument("--shell", choices=("memory", "temporal"), default="memory")
    parser.add_argument("--episodes", type=int, default=1_000)
    parser.add_argument("--machines", type=int, default=1, help="that share the episodes, in parallel")
    parser.add_argument("--kills", type=int, default=5, help="with --shell temporal: of worker and server")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(arguments)
    logs.quiet_core()
    logging.disable(logging.WARNING)  # of the kills
    source, began = random.Random(args.seed), time.monotonic()
    machines = [readings(args.episodes // args.machines, source) for _ in range(args.machines)]
    if args.shell == "memory":
        results, kills = [asyncio.run(in_memory(rows, source)) for rows in machines], Counter[str]()
    else:
        results, kills = asyncio.run(killed(machines, source, args.kills))
    verdicts = [
        verdict(rows, [alert["at"] for alert in alerts])
        for rows, alerts in zip(machines, results, strict=True)
    ]
    missed, extra = sum(v.missed for v in verdicts), sum(v.extra for v in verdicts)
    late = max(v.late_ms for v in verdicts)
    print(
        f"{args.episodes // args.machines * args.machines:,} episodes of {args.machines} machines, "
        f"{sum(map(len, machines)):,} readings, killed: "
        f"{', '.join(f'{name} {times}' for name, times in sorted(kills.items())) or 'nothing'}; "
        f"{sum(v.due for v in verdicts):,} alerts due: {missed} missed, {extra} double or false, at most "
        f"{late / 1000:g} s after the fifth minute; {time.monotonic() - began:.1f} s"
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
