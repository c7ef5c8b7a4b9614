"""A worker returns the memory that large values have needed."""

import asyncio
import gc

import pytest

from perdure.cli.running import memory_return
from perdure.cli.running.memory_return import resident_bytes, return_memory, spare_collector

MB = 1_000_000


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("sizes", "released"),
    [
        ([100, 100, 160, 163], []),
        ([100, 120, 165], [165]),
        ([100, 165, 40, 90, 105], [165, 105]),
        ([300, 100, 163, 165], [165]),
    ],
)
async def test_it_is_returned_when_the_process_has_grown_by_64_mb(
    sizes: list[int], released: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sizes` in MB, one at each look."""
    monkeypatch.setattr(memory_return, "MEMORY_POLL_INTERVAL_S", 0)
    now, looked, seen = sizes[0], 0, list[int]()

    async def step(_: float) -> None:
        nonlocal now, looked
        looked += 1
        if looked == len(sizes):
            raise asyncio.CancelledError
        now = sizes[looked]

    monkeypatch.setattr(memory_return.asyncio, "sleep", step)
    with pytest.raises(asyncio.CancelledError):
        await return_memory(lambda: now * MB, lambda: seen.append(now))
    assert seen == released


@pytest.mark.anyio
async def test_returns_take_a_twentieth_of_the_time_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, size = 0.0, 100
    pauses: list[float] = []

    async def step(seconds: float) -> None:
        nonlocal size
        pauses.append(seconds)
        if len(pauses) == 4:
            raise asyncio.CancelledError
        size += 70 if len(pauses) == 1 else 0

    def release() -> None:
        nonlocal clock
        clock += 2.0

    monkeypatch.setattr(memory_return.asyncio, "sleep", step)
    monkeypatch.setattr(memory_return.time, "monotonic", lambda: clock)
    with pytest.raises(asyncio.CancelledError):
        await return_memory(lambda: size * MB, release)
    assert pauses == [3.0, 40.0, 3.0, 3.0]


@pytest.mark.anyio
async def test_nothing_is_done_where_the_system_does_not_say() -> None:
    await return_memory(lambda: 0, lambda: pytest.fail("it was released"))


def test_memory_is_measured() -> None:
    assert resident_bytes() == 0 or 10 * MB < resident_bytes() < 10_000 * MB


def test_cycles_are_looked_for_less_often() -> None:
    before = gc.get_threshold()
    try:
        spare_collector()
        assert gc.get_freeze_count() > 1_000
        assert gc.get_threshold() > (10 * before[0],)
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
