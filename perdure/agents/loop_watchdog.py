"""The calls of agents that are open in this process, and a thread that reports which of them blocks it.

All async agents of a worker share one event loop. One that blocks it, say by time.sleep, stops the
others too, their heartbeats, and the worker's answers about its health. Nothing can take the loop
back from it; but it can be named.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Final

LOG = logging.getLogger("perdure")

WATCH_INTERVAL_S = 1.0
"""Seconds between two looks."""

BLOCKED_TICK_COUNT = 5
"""Looks without an answer after which the loop counts as blocked."""

MAX_SHOWN_CALLS_COUNT = 5
"""Calls that one warning names."""

MAX_BLOCKED_CALLS_COUNT = 100
"""Calls of which it is known for their next attempt that they have blocked the event loop."""


@dataclass(eq=False, slots=True)
class OpenCall:
    """A call of an agent, open for as long as this context lasts.

    It names its position in the run, the code of its function, and when it began.
    """

    agent: str
    path: str
    code: CodeType | None = None
    since: float = field(init=False, default=0.0)
    activity: str = field(init=False, default_factory=lambda: ACTIVITY.get())

    def __enter__(self) -> None:
        self.since = time.monotonic()
        _open.add(self)

    def __exit__(self, *_: object) -> None:
        _open.discard(self)

    def blocks(self, place: str) -> None:
        """It was seen to block the event loop there."""
        if self.activity:
            _blocked[self.activity] = place
            if len(_blocked) > MAX_BLOCKED_CALLS_COUNT:
                del _blocked[next(iter(_blocked))]

    def __str__(self) -> str:
        """For people."""
        return f"{self.agent} ({self.path}, for {time.monotonic() - self.since:.0f} s)"


ACTIVITY: Final[ContextVar[str]] = ContextVar("activity", default="")
"""The call that the running task makes for Temporal, by a name that is the same for all its attempts."""

_open: set[OpenCall] = set()
"""Of this process, as its threads are."""

_watches: dict[asyncio.AbstractEventLoop, _Watch] = {}
"""The watch of each event loop that has one."""

_blocked: dict[str, str] = {}
"""Where calls have blocked the event loop, by the name of their activity; the oldest first."""


def blocked_at(activity: str) -> str:
    """Where a former attempt of the activity has blocked the event loop of this process; "" if none has."""
    return _blocked.pop(activity, "")


def open_calls() -> str:
    """The calls that are open, the longest first; a few of them by name."""
    calls = sorted(_open.copy(), key=lambda call: call.since)
    more = f" and {len(calls) - MAX_SHOWN_CALLS_COUNT} more" if len(calls) > MAX_SHOWN_CALLS_COUNT else ""
    return ", ".join(map(str, calls[:MAX_SHOWN_CALLS_COUNT])) + more or "none"


@contextmanager
def watched(tick: float = WATCH_INTERVAL_S) -> Generator[None]:
    """Warns when the running event loop is blocked: by which agent, and at which line."""
    watch = _begun(_Watch(asyncio.get_running_loop(), threading.get_ident(), tick))
    try:
        yield
    finally:
        watch.end.set()


def watch_calls() -> None:
    """Warns from now on when an open call blocks the running event loop, unless it is watched already."""
    loop = asyncio.get_running_loop()
    if loop not in _watches:
        _begun(_Watch(loop, threading.get_ident(), WATCH_INTERVAL_S, calls_only=True))


def _begun(watch: _Watch) -> _Watch:
    before = _watches.get(watch.loop)
    if before is not None:
        before.end.set()
    _watches[watch.loop] = watch
    threading.Thread(target=watch.run, name="perdure-watch", daemon=True).start()
    return watch


class _Watch:
    """Asks the loop to answer at every tick. Ticks are counted, and not seconds: a process that was stopped,
    or a machine that slept, has missed both alike.

    With `calls_only`, nothing is asked while no call is open: the loop may not be running.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, thread: int, tick: float, *, calls_only: bool = False
    ) -> None:
        self.end = threading.Event()
        self.loop = loop
        self._thread = thread
        self._tick = tick
        self._calls_only = calls_only
        self._missed = 0
        self._reported_at = 0.0

    def run(self) -> None:
        self._watch()
        if _watches.get(self.loop) is self:
            del _watches[self.loop]

    def _watch(self) -> None:
        while not self.end.wait(self._tick) and not self.loop.is_closed():
            if self._calls_only and not _open:
                self._missed = 0
                continue
            self._missed += 1
            if self._missed > BLOCKED_TICK_COUNT and not self._reported_at:
                self._reported_at = time.monotonic()
                LOG.warning(
                    "the event loop has not moved for %g s: %s",
                    BLOCKED_TICK_COUNT * self._tick,
                    report(self._thread),
                )
            try:
                self.loop.call_soon_threadsafe(self._answer)
            except RuntimeError:  # it is closed
                return

    def _answer(self) -> None:
        self._missed = 0
        if self._reported_at:
            late = time.monotonic() - self._reported_at + BLOCKED_TICK_COUNT * self._tick
            LOG.warning("the event loop moves again, after %.0f s", late)
            self._reported_at = 0.0


BLOCKED_HINT = (
    "nothing else runs meanwhile, and no heartbeat goes out; "
    "declare an agent that blocks with `def` instead of `async def`, or let it await asyncio.to_thread"
)


def report(thread: int) -> str:
    """What the thread of the event loop is doing, and whose call that is."""
    frame: FrameType | None = sys._current_frames().get(thread)  # pyright: ignore[reportPrivateUsage] -- no other way
    place = "" if frame is None else _place(frame)
    calls = {call.code: call for call in _open.copy() if call.code is not None}
    while frame is not None:
        call = calls.get(frame.f_code)
        if call is not None:
            call.blocks(f"at {_place(frame)}")
            return f"agent {call} blocks it at {_place(frame)}; {BLOCKED_HINT}"
        frame = frame.f_back
    return f"it is at {place or 'no place that is known'}; open calls: {open_calls()}; {BLOCKED_HINT}"


def _place(frame: FrameType) -> str:
    return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno} in {frame.f_code.co_name}"
