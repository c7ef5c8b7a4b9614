"""A segment that takes too long is stopped, and its thread serves the next; slow runs leave threads free."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar

import pytest

from perdure.activities.segment_threads import (
    MAX_ACTIVE_SEGMENTS_COUNT,
    SegmentThreads,
)

pytestmark = pytest.mark.anyio
SEEN: ContextVar[str] = ContextVar("SEEN", default="nothing")


def endless(begun: threading.Event | None = None) -> None:
    if begun is not None:
        begun.set()
    while True:
        sum(range(100))


async def test_what_never_ends_is_stopped_and_its_thread_is_free() -> None:
    threads = SegmentThreads(limit_s=0.1)
    ends = await asyncio.gather(
        *(threads.run(f"run {number}", endless) for number in range(2 * MAX_ACTIVE_SEGMENTS_COUNT)),
        return_exceptions=True,
    )
    assert {(type(end), str(end)) for end in ends} == {(TimeoutError, "a segment took longer than 0.1 s")}
    idents = await asyncio.gather(*(threads.run("next", threading.get_ident) for _ in range(20)))
    assert 1 <= len(set(idents)) <= MAX_ACTIVE_SEGMENTS_COUNT


async def test_a_cancelled_segment_is_stopped() -> None:
    threads, begun = SegmentThreads(), [threading.Event() for _ in range(MAX_ACTIVE_SEGMENTS_COUNT)]
    tasks = [asyncio.create_task(threads.run("run", endless, event)) for event in begun]
    for event in begun:
        await asyncio.to_thread(event.wait)
    for task in tasks:
        task.cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(end) for end in ends] == [asyncio.CancelledError] * len(tasks)
    assert await threads.run("next", lambda: 1) == 1


async def test_results_errors_and_context_pass() -> None:
    threads = SegmentThreads(limit_s=60)
    SEEN.set("a value")
    assert await threads.run("run", SEEN.get) == "a value"
    with pytest.raises(ZeroDivisionError):
        await threads.run("run", lambda: 1 // 0)


async def slowed(threads: SegmentThreads, runs: list[str]) -> None:
    """Runs whose last segment was slow."""
    threads.slow_s = 0.0
    for run in runs:
        await threads.run(run, lambda: None)
    threads.slow_s = 3600.0


async def test_slow_runs_share_a_thread_and_leave_the_others_free() -> None:
    threads, begun, end = SegmentThreads(), threading.Semaphore(0), threading.Event()

    def work(run: str) -> str:
        begun.release()
        end.wait()
        return run

    await slowed(threads, ["a", "b", "c"])
    tasks = [asyncio.create_task(threads.run(run, work, run)) for run in "abc"]
    await asyncio.to_thread(begun.acquire)
    assert await threads.run("d", lambda: "quick") == "quick"
    assert not begun.acquire(blocking=False)  # b and c wait
    end.set()
    assert await asyncio.gather(*tasks) == ["a", "b", "c"]
    end.clear()
    tasks = [asyncio.create_task(threads.run(run, work, run)) for run in "abc"]  # they are quick now
    for _ in range(4):
        await asyncio.to_thread(begun.acquire)
    end.set()
    assert await asyncio.gather(*tasks) == ["a", "b", "c"]


async def test_slow_runs_are_not_remembered_without_end() -> None:
    threads, end = SegmentThreads(), threading.Event()
    await slowed(threads, [f"run {number}" for number in range(1_001)])
    waiting = asyncio.create_task(threads.run("run 1000", end.wait))
    await asyncio.sleep(0)
    try:
        assert await asyncio.wait_for(threads.run("run 0", lambda: "quick"), 60) == "quick"
    finally:
        end.set()
    assert await waiting
