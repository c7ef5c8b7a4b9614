"""Threads for segments, which are stopped when they take too long.

Why. A segment computes, so it has a thread; and what it computes comes from graphs that anybody may have
written. A pool of threads that never come back is a pool that is gone: three such segments would take
the worker from all other runs, for as long as it lives.

Invariants. A thread has its segment for MAX_SEGMENT_THREAD_S seconds, or until the activity is cancelled.
Then SegmentInterrupted is raised inside it, and the thread is free. The calls of the segment get
activities of their own, where each has its own time.
Segments get their threads in the order in which they come, and no run has more than one. Those of all runs
whose last segment was slow share one thread: the others are free for runs that are quick.

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
from contextlib import nullcontext
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

Result = TypeVar("Result")

MAX_ACTIVE_SEGMENTS_COUNT: Final = 3
"""Segments that one worker executes at a time."""

MAX_SEGMENT_THREAD_S: Final = 10.0
"""Seconds for which a segment has its thread."""

SLOW_SEGMENT_S: Final = 3.0
"""Seconds after which a segment was slow: it should have ended long before."""

MAX_SLOW_RUNS_COUNT: Final = 1_000
"""Runs that are known to be slow."""


class SegmentInterrupted(BaseException):
    """Raised inside the thread of a segment that must end; agents that catch Exception do not catch it."""


@dataclass(slots=True)
class SegmentThreads:
    """The threads of one worker. A segment has its own for `limit_s` seconds, and is slow after `slow_s`."""

    limit_s: float = MAX_SEGMENT_THREAD_S
    slow_s: float = SLOW_SEGMENT_S
    _slow: dict[str, None] = field(default_factory=dict[str, None], repr=False)
    _lane: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    _pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(MAX_ACTIVE_SEGMENTS_COUNT, "perdure-segment"), repr=False
    )

    async def run(self, run: str, work: Callable[..., Result], *args: Any) -> Result:
        """The result of `work(*args)`, a segment of this run, which sees the caller's context variables.

        Raises TimeoutError where it took too long; the time in which it waits for a thread does not count.
        """
        async with self._lane if run in self._slow else nullcontext():
            return await self._in_thread(run, work, *args)

    async def _in_thread(self, run: str, work: Callable[..., Result], *args: Any) -> Result:
        call = _Call(asyncio.get_running_loop(), self.limit_s)
        context = copy_context()
        future = call.loop.run_in_executor(self._pool, call.run, lambda: context.run(work, *args))
        try:
            return await future
        except asyncio.CancelledError:
            call.interrupt()
            raise
        finally:
            self._note(run, call.close())

    def _note(self, run: str, seconds: float) -> None:
        self._slow.pop(run, None)
        if seconds >= self.slow_s:
            self._slow[run] = None
        if len(self._slow) > MAX_SLOW_RUNS_COUNT:
            del self._slow[next(iter(self._slow))]


@dataclass(slots=True)
class _Call:
    """One segment in its thread."""

    loop: asyncio.AbstractEventLoop
    limit_s: float
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _thread: int | None = None
    _interrupted: bool = False
    _timer: asyncio.TimerHandle | None = None
    _began: float = 0.0

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

    def close(self) -> float:
        """The work is over. The seconds that it took."""
        if self._timer is None:
            return 0.0
        self._timer.cancel()
        return self.loop.time() - self._began

    def _begin(self) -> None:
        self._began = self.loop.time()
        self._timer = self.loop.call_later(self.limit_s, self.interrupt)


def _raise_in(thread: int, kind: type[BaseException] | None) -> None:
    exception = None if kind is None else ctypes.py_object(kind)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), exception)
