"""Continue-as-new: when a run's history has grown, it continues in a new run with the same id.

First it waits for the calls in flight, and sends no new ones; unsent calls, timers and open
questions go along in the scheduler's snapshot and are sent again. Where calls take
longer than DRAIN, the run continues as it is and tries again STEP events later, until its history is
long: then it waits. An agent that works for hours is never called twice for the history's sake.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from perdure.errors import HistoryFull
from perdure.workflows.host import Host

DRAIN_TIMEOUT_S = 20.0
"""Seconds in which the calls on their way may end."""

RETRY_STEP_EVENT_COUNT = 1_000
"""Events between two tries."""

HISTORY_STRETCH_FACTOR = 2
"""From this many times the usual length of a history on, nothing new is sent before the run continues."""

MAX_HISTORY_EVENT_COUNT = 45_000
"""The server ends a run at 51,200 events, or at 50 MB, without a word to it."""

MAX_HISTORY_BYTES = 45_000_000
"""Bytes."""


@dataclass(slots=True)
class Continuation:
    """Decides when. From a history of `events` on, or at the server's word, a run continues as new."""

    host: Host
    events: int
    notify: Callable[[], None]
    is_holding: bool = False
    _not_before: int = 0
    _timer: asyncio.Task[None] | None = None

    def is_due(self) -> bool:
        """Whether the run should continue as new as soon as nothing is on its way.

        `is_holding` keeps the answer until the next time: meanwhile no new call is sent.
        """
        length = self.host.history_events()
        if length > MAX_HISTORY_EVENT_COUNT or self.host.history_bytes() > MAX_HISTORY_BYTES:
            raise HistoryFull(length)
        is_due = length >= self.events or self.host.suggests_continuing()
        self.is_holding = is_due and length >= self._not_before
        return self.is_holding

    def wait(self) -> None:
        """Calls are on their way: gives them their time, and all of it once the history is long."""
        if self._timer is None and self.host.history_events() < self.events * HISTORY_STRETCH_FACTOR:
            self._timer = asyncio.create_task(self._drain())

    def give_up(self) -> None:
        """The run cannot continue as new now: tries again later."""
        self._not_before = self.host.history_events() + RETRY_STEP_EVENT_COUNT
        self.notify()

    def close(self) -> None:
        """The run is over, or continues in another."""
        if self._timer is not None:
            self._timer.cancel()

    async def _drain(self) -> None:
        await self.host.sleep(DRAIN_TIMEOUT_S, "calls may end before the run continues as new")
        self._timer = None
        self._not_before = self.host.history_events() + RETRY_STEP_EVENT_COUNT
        self.notify()
