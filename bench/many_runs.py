"""Many runs at once: their throughput, and what an open one keeps in the worker's memory."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Awaitable, Callable

from temporalio.client import WorkflowExecutionStatus

from bench import graphs, hand_written
from bench.harness import Claim, Comparison, Curve, Options, Series, alternate
from bench.processes import Failed, memory
from bench.session import HAND, NOWHERE, PERDURE, QUEUES, Handle, Session, durable

BOUND = 1.15
POLL = 0.05


async def runs(options: Options) -> Comparison:
    """The ten-node graph, whose agents wait 50 ms, many times at once."""
    size = options.size(200, 2)
    compared = Comparison(name="runs", title="Runs of ten nodes at once", unit="run", size=size)
    async with durable() as session:
        ours = session.ours(graphs.ten("pause"), {"j": {"n": 1}}, runs=size)
        hand = session.hand(hand_written.Ten.run, expect={"n": 1}, runs=size)
        await alternate(compared, [ours, hand], options.pairs)
    compared.compare(PERDURE, HAND, BOUND)
    compared.compare(PERDURE, HAND, what="worker CPU", label="CPU of the worker")
    compared.compare(PERDURE, HAND, what="server CPU", label="CPU of the server")
    compared.state(PERDURE, "runs per second", of=lambda seconds: size / seconds)
    return compared


async def open_runs(options: Options) -> Comparison:
    """The memory of a worker that keeps runs which wait for an activity elsewhere."""
    step, steps = options.size(100, 2), options.size(5, 1)
    compared = Comparison(name="open-runs", title="Open runs", unit="run", size=step * (steps + 1))
    async with durable() as session:

        async def ours() -> Handle:
            run = await session.graphs.start(graphs.elsewhere(NOWHERE), queue=QUEUES[PERDURE])
            return run.handle

        async def hand() -> Handle:
            return await session.begin(hand_written.Elsewhere.run, NOWHERE)

        for name, start in ((PERDURE, ours), (HAND, hand)):
            points = await _fill(session, name, start, step, steps)
            _add(compared, name, points)
    compared.notes.append(f"the slope of the least squares over {steps + 1} points, each of {step} more runs")
    return compared


async def _fill(
    session: Session, name: str, start: Callable[[], Awaitable[Handle]], step: int, steps: int
) -> list[tuple[float, float]]:
    """(Open runs, MiB of the worker), after each `step` more of them."""
    points: list[tuple[float, float]] = []
    await start()  # loads what all of them share
    for count in range(steps + 1):
        handles = await asyncio.gather(*(start() for _ in range(step)))
        for handle in handles:
            await _until_called(handle)
        used = memory(session.workers[name].pid)
        if used is not None:
            points.append(((count + 1) * step, used))
    return points


async def _until_called(handle: Handle) -> None:
    """Waits until the run waits for its activity. Raises Failed if it has ended instead."""
    while not (description := await handle.describe()).raw_description.pending_activities:
        if description.status != WorkflowExecutionStatus.RUNNING:
            raise Failed(f"a run that should stay open has ended: {description.status}")
        await asyncio.sleep(POLL)


def _add(compared: Comparison, name: str, points: list[tuple[float, float]]) -> None:
    curve = Curve(name=name, x="open runs", y="MiB of the worker", points=points)
    compared.curves.append(curve)
    if len(points) < 2:
        compared.series.append(Series(name=name, error="this system does not report memory", missing=True))
        return
    each = statistics.linear_regression(*zip(*points, strict=True)).slope * 1024
    compared.claims.append(Claim(what=f"KiB for each open run, {name}", value=each, low=each, high=each))


COMPARISONS = {"runs": runs, "open-runs": open_runs}
