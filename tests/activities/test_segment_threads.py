"""A segment that takes too long is stopped, and its thread serves the next."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar

import pytest

from perdure.activities.segment_threads import MAX_ACTIVE_SEGMENTS_COUNT, SegmentThreads

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
        *(threads.run(endless) for _ in range(2 * MAX_ACTIVE_SEGMENTS_COUNT)), return_exceptions=True
    )
    assert {(type(end), str(end)) for end in ends} == {(TimeoutError, "a segment took longer than 0.1 s")}
    idents = await asyncio.gather(*(threads.run(threading.get_ident) for _ in range(20)))
    assert 1 <= len(set(idents)) <= MAX_ACTIVE_SEGMENTS_COUNT


async def test_a_cancelled_segment_is_stopped() -> None:
    threads, begun = SegmentThreads(), [threading.Event() for _ in range(MAX_ACTIVE_SEGMENTS_COUNT)]
    tasks = [asyncio.create_task(threads.run(endless, event)) for event in begun]
    for event in begun:
        await asyncio.to_thread(event.wait)
    for task in tasks:
        task.cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(end) for end in ends] == [asyncio.CancelledError] * len(tasks)
    assert await threads.run(lambda: 1) == 1


async def test_results_errors_and_context_pass() -> None:
    threads = SegmentThreads(limit_s=60)
    SEEN.set("a value")
    assert await threads.run(SEEN.get) == "a value"
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 // 0)
