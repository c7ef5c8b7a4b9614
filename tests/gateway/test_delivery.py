"""How events are put into batches, sent again, and refused: with runs that are lists."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from perdure.engine.inbox.events import EventReceipt, ExternalEvent
from perdure.errors import ConnectionFailed, NotFound, TransientError, UsageError
from perdure.gateway.delivery import MAX_GATEWAY_BATCH_BYTES, Delivery
from perdure.gateway.routes import Target

pytestmark = [pytest.mark.unit, pytest.mark.anyio]


class Runs:
    """A client whose runs keep what they are sent, unless `send` raises."""

    def __init__(self, send: Callable[[str, tuple[ExternalEvent, ...]], None] | None = None) -> None:
        self.batches: list[tuple[str, list[str]]] = []
        self.starts: list[str] = []
        self._send = send

    def get(self, id: str) -> Any:
        return _Run(self, id)

    async def start(self, graph: Any, inputs: Any, *, id: str, **more: Any) -> None:
        self.starts.append(id)

    async def taken(self, run: str, events: tuple[ExternalEvent, ...]) -> EventReceipt:
        await asyncio.sleep(0)
        if self._send is not None:
            self._send(run, events)
        self.batches.append((run, [event.id for event in events]))
        return EventReceipt(taken=len(events))


class _Run:
    def __init__(self, runs: Runs, id: str) -> None:
        self.runs, self.id = runs, id

    async def send(self, *events: ExternalEvent) -> EventReceipt:
        return await self.runs.taken(self.id, events)


def target(id: int, run: str = "r", body: Any = None, graph: Any = None) -> Target:
    return Target(run=run, event=ExternalEvent(topic="t", id=str(id), body=body), graph=graph)


async def delivered(runs: Any, *targets: Target) -> list[Any]:
    delivery = Delivery(runs, 600)  # it is sent when nothing more comes
    try:
        return await asyncio.gather(*map(delivery.deliver, targets), return_exceptions=True)
    finally:
        await delivery.close()


async def test_events_of_a_run_travel_together_and_in_order() -> None:
    runs = Runs()
    await delivered(runs, *(target(n, "even" if n % 2 == 0 else "odd") for n in range(6)))
    assert sorted(runs.batches) == [("even", ["0", "2", "4"]), ("odd", ["1", "3", "5"])]


async def test_a_batch_has_at_most_500_events_and_a_bound_in_bytes() -> None:
    runs = Runs()
    await delivered(runs, *map(target, range(1_100)))
    assert [len(ids) for _, ids in runs.batches] == [500, 500, 100]
    runs = Runs()
    body = "x" * 59_900  # 60,000 with what an event takes besides
    await delivered(runs, *(target(n, body=body) for n in range(8)))
    assert [len(ids) for _, ids in runs.batches] == [MAX_GATEWAY_BATCH_BYTES // 60_000, 3]


@pytest.mark.parametrize("error", [ConnectionFailed("away"), TransientError("full")])
async def test_what_was_not_taken_is_sent_again(error: Exception) -> None:
    failures = [error, error]

    def send(run: str, events: Any) -> None:
        if failures:
            raise failures.pop()

    runs = Runs(send)
    assert await delivered(runs, target(1), target(2)) == [None, None]
    assert runs.batches == [("r", ["1", "2"])]


async def test_one_that_is_refused_leaves_the_others() -> None:
    def send(run: str, events: tuple[ExternalEvent, ...]) -> None:
        if any(event.id == "2" for event in events):
            raise UsageError("not this one")

    runs = Runs(send)
    first, second, third = await delivered(runs, *map(target, (1, 2, 3)))
    assert (first, str(second), third) == (None, "not this one", None)
    assert runs.batches == [("r", ["1"]), ("r", ["3"])]


async def test_a_run_is_started_where_the_route_has_a_graph() -> None:
    def send(run: str, events: Any) -> None:
        if run not in runs.starts:
            raise NotFound(f"no run {run}")

    runs = Runs(send)
    outcomes = await delivered(runs, target(1, "new", graph={"nodes": {}}), target(2, "other"))
    assert (outcomes[0], str(outcomes[1]), runs.starts) == (None, "no run other", ["new"])


async def test_what_is_held_is_bounded() -> None:
    def never(run: str, events: Any) -> None:
        raise ConnectionFailed("away")

    runs: Any = Runs(never)
    delivery = Delivery(runs, 0.01)
    tasks = [asyncio.ensure_future(delivery.deliver(target(n, f"r{n % 7}"))) for n in range(10_000 + 5)]
    await asyncio.sleep(0)
    assert delivery.held_count == 10_000
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await delivery.close()
