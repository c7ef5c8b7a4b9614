"""How costs grow: with nodes, rows, iterations and the size of values. A fresh worker for each point."""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench import graphs, peers
from bench.harness import TIMEOUT, Comparison, Curve, Function, Options
from bench.processes import Failed, Talker, memory
from bench.session import PERDURE, Handle, Session, durable

ENOUGH = 10.0
"""Seconds of runs after which a point is not measured again."""

TIMES = 3
REASON = 200
"""Characters of an error that are shown."""


@dataclass(frozen=True, kw_only=True)
class Growth:
    """What grows: `document` of a size, over `sizes`."""

    name: str
    title: str
    unit: str
    document: Callable[[int], graphs.Document]
    expect: Callable[[int], Any]
    sizes: tuple[int, ...]
    quick: tuple[int, ...] = (2, 4)


TENS = (10, 30, 100, 300, 1_000, 3_000, 10_000)

GROWTHS = (
    Growth(
        name="grow-nodes",
        title="Growth with the number of pure nodes in a chain",
        unit="node",
        document=lambda size: graphs.chain(size, "add"),
        expect=lambda size: {f"s{size}": {"n": size}},
        sizes=TENS,
    ),
    Growth(
        name="grow-rows",
        title="Growth with the rows of a map of a pure node",
        unit="row",
        document=lambda size: graphs.rows(size, "add", 1_000),
        expect=lambda size: {"map": {"work": [{"n": index + 1} for index in range(size)]}},
        sizes=(*TENS, 30_000, 100_000),
    ),
    Growth(
        name="grow-iterations",
        title="Growth with the iterations of a loop of a pure node",
        unit="iteration",
        document=lambda size: graphs.loop(size, "add"),
        expect=lambda size: {"next": {"n": size}},
        sizes=TENS,
    ),
    Growth(
        name="grow-values",
        title="Growth with the bytes of a value that passes ten activities",
        unit="byte",
        document=lambda size: graphs.carry(size, "keep"),
        expect=lambda size: {"s10": {"n": "x" * size}},
        sizes=(100, 1_000, 10_000, 100_000, 300_000, 1_000_000),
        quick=(100, 1_000),
    ),
)

CURVES = {
    "seconds": "seconds",
    "each": "ms for each {unit}",
    "replay": "seconds of replay",
    "memory": "MiB of memory, at most",
}


async def measure(growth: Growth, options: Options) -> Comparison:
    """One of GROWTHS, up to the first size that cannot be done."""
    sizes = growth.quick if options.quick else growth.sizes
    compared = Comparison(name=growth.name, title=growth.title, unit=growth.unit, size=sizes[-1])
    compared.pairs = 1 if options.quick else TIMES
    before = os.getloadavg()[0]
    points: dict[str, list[tuple[float, float]]] = {what: [] for what in CURVES}
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        session = await stack.enter_async_context(durable(PERDURE))
        talker = await peers.inside()
        stack.push_async_callback(talker.stop)
        for size in sizes:
            try:
                async with asyncio.timeout(TIMEOUT):
                    handle, figures = await _point(session, growth, size, compared.pairs)
            except (Failed, TimeoutError) as error:
                reason = str(error)[:REASON] or f"not done within {TIMEOUT:.0f} s"
                compared.notes.append(f"stopped at {size:,} {growth.unit}s: {reason}")
                break
            try:
                figures["replay"] = await _replayed(handle, talker, compared.pairs, folder / str(size))
            except Failed as error:
                compared.notes.append(f"no replay of {size:,} {growth.unit}s: {str(error)[:REASON]}")
            if growth.unit != "byte":
                figures["each"] = figures["seconds"] / size * 1000
            for what, value in figures.items():
                points[what].append((size, value))
    compared.load = (before, os.getloadavg()[0])
    for what, y in CURVES.items():
        compared.curves.append(
            Curve(name=what, x=f"{growth.unit}s", y=y.format(unit=growth.unit), points=points[what])
        )
    return compared


async def _point(session: Session, growth: Growth, size: int, times: int) -> tuple[Handle, dict[str, float]]:
    """Medians of some runs of one size, in a worker that has done nothing else but a tiny one."""
    pid = await session.start_worker(PERDURE)
    await session.run(growth.document(2), growth.expect(2))
    used, document, expected = memory(pid), growth.document(size), growth.expect(size)
    taken: list[float] = []
    handle = None
    while handle is None or (len(taken) < times and sum(taken) < ENOUGH):
        begin = time.perf_counter()
        handle = await session.run(document, expected)
        taken.append(time.perf_counter() - begin)
    figures = {"seconds": statistics.median(taken)}
    peak = memory(pid, "VmHWM")
    if used is not None and peak is not None:
        figures["memory"] = max(peak - used, 0.0)
    return handle, figures


async def _replayed(handle: Handle, talker: Talker, times: int, file: Path) -> float:
    """Seconds that the replay of a run takes; if it was continued as new, that of its last part."""
    file.write_text((await handle.fetch_history()).to_json())
    answers = [await talker.ask(work="replay", file=str(file), ours=True) for _ in range(times + 1)]
    return statistics.median(answer["seconds"] for answer in answers[1:])


COMPARISONS: dict[str, Function] = {growth.name: partial(measure, growth) for growth in GROWTHS}
