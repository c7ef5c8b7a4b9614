"""Threads for segments, which are stopped when they take too long.

Why. A segment computes, so it has a thread; and what it computes comes from graphs that anybody may have
written. A pool of threads that never come back is a pool that is gone: three such segments would take
the worker from all other runs, for as long as it lives.

Invariant. A thread has its segment for MAX_SEGMENT_THREAD_S seconds, or until the activity is cancelled.
Then SegmentInterrupted is raised inside it, and the thread is free. The calls of the segment get
activities of their own, where each has its own time.

Rejected: a process for each segment, since to send a run there costs more than most segments take; and a
new thread for each, which leaves the old ones computing.

Python raises the exception between two bytecodes. What computes inside one call of a C function is not
interrupted; so no such call may take long (tests/agents/test_linear.py).
"""

from __future__ import annotations

import asyncio
import ctypes
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

Result = TypeVar("Result")

MAX_ACTIVE_SEGMENTS_COUNT: Final = 3
"""Segments that one worker executes at a time."""

MAX_SEGMENT_THREAD_S: Final = 10.0
"""Seconds for which a segment has its thread."""


class SegmentInterrupted(BaseException):
    """Raised inside the thread of a segment that must end; agents that catch Exception do not catch it."""


@dataclass(slots=True)
class SegmentThreads:
    """The threads of one worker. `limit_s` is for how long each segment has its own."""

    limit_s: float = MAX_SEGMENT_THREAD_S
    _pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(MAX_ACTIVE_SEGMENTS_COUNT, "perdure-segment"), repr=False
    )

    async def run(self, work: Callable[..., Result], *args: Any) -> Result:
        """The result of `work(*args)`, which sees the caller's context variables.

        Raises TimeoutError where it took too long; the time in which it waits for a thread does not count.
        """
        call = _Call(asyncio.get_running_loop(), self.limit_s)
        context = copy_context()
        future = call.loop.run_in_executor(self._pool, call.run, lambda: context.run(work, *args))
        try:
            return await future
        except asyncio.CancelledError:
            call.interrupt()
            raise
        finally:
            call.close()


@dataclass(slots=True)
class _Call:
    """One segment in its thread."""

    loop: asyncio.AbstractEventLoop
    limit_s: float
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _thread: int | None = None
    _interrupted: bool = False
    _timer: asyncio.TimerHandle | None = None

    def run(self, work: Callable[[], Result]) -> Result:
        """Runs in the thread."""
        try:
            with self._lock:
                self._thread = threading.get_ident()
            self.loop.call_soon_threadsafe(self._begin)
            try:
                return work()
            finally:
                with self._lock:
                    self._thread = None
                    if self._interrupted:
                        _raise_in(threading.get_ident(), None)  # it may not have been raised yet
        except SegmentInterrupted:
            raise TimeoutError(f"a segment took longer than {self.limit_s:g} s") from None

    def interrupt(self) -> None:
        """Ends the work, once, if the thread is at it."""
        with self._lock:
            if self._thread is not None and not self._interrupted:
                self._interrupted = True
                _raise_in(self._thread, SegmentInterrupted)

    def close(self) -> None:
        """The work is over."""
        if self._timer is not None:
            self._timer.cancel()

    def _begin(self) -> None:
        self._timer = self.loop.call_later(self.limit_s, self.interrupt)


def _raise_in(thread: int, kind: type[BaseException] | None) -> None:
    exception = None if kind is None else ctypes.py_object(kind)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), exception)
