"""Calls that only wait for a time, and leave the worker where their slots are needed.

Why
    A call that sleeps for a day does no work, and yet it has a slot. Sharing keeps one run from taking all
    of them, but not a hundred runs of one such call each.

Invariant
    Where all slots of a worker are taken, each call that has to wait for longer than MIN_REST_S is handed
    back to the server, to be offered again when its time is over: the account of its attempts says when
    that is. Nothing is lost, for such a call has done nothing yet.

Rejected
    A timer of the run in place of the call: it would need no worker at all, but filters of the worker, its
    limits and `queue` apply to calls, and runs of earlier versions wait in calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

MIN_REST_S: Final = 10.0
"""Seconds: a call that waits for less keeps its slot, for to hand it back costs the server something too."""


class RestingCall(Protocol):
    """What is known of an attempt that may rest: perdure.activities.attempt.Attempt."""

    @property
    def may_be_handed_back(self) -> bool:
        """Whether the server would offer it again."""
        ...

    @property
    def is_timed(self) -> bool:
        """Whether the server gives it little time."""
        ...

    def rest_left_s(self, seconds: float) -> float:
        """What is left of a rest of `seconds`, which an attempt before this one may have begun."""
        ...


@dataclass(slots=True, eq=False)
class Rest:
    """The rest of one call: `pause_s` is what was left when it was sent away, None where it was not."""

    call: RestingCall
    task: asyncio.Task[object] | None
    pause_s: float | None = None
    due: float = 0.0
    _sent_away: asyncio.Future[None] | None = None

    async def take(self, seconds: float, rests: Rests) -> None:
        """Waits, or ends the call with CancelledError where it is sent away."""
        if asyncio.current_task() is not self.task:  # one of a batch: the others have something to lose
            await asyncio.sleep(seconds)
            return
        loop = asyncio.get_running_loop()
        left = self.call.rest_left_s(seconds)
        self.due, self._sent_away = loop.time() + left, loop.create_future()
        rests.resting.append(self)
        rests.look()
        try:
            await asyncio.wait([self._sent_away], timeout=left)
        finally:
            rests.resting.remove(self)
        if self.pause_s is not None:
            raise asyncio.CancelledError

    def send_away(self) -> None:
        """Ends it, where enough is left for that."""
        left = self.due - asyncio.get_running_loop().time()
        if left >= MIN_REST_S and self._sent_away is not None and not self._sent_away.done():
            self.pause_s = left
            self._sent_away.set_result(None)


@dataclass(slots=True)
class Rests:
    """The calls of one worker that rest; `is_full` says whether all of its slots are taken."""

    is_full: Callable[[], bool]
    resting: list[Rest] = field(default_factory=list[Rest])

    def look(self) -> None:
        """Sends the calls away that rest, where their slots are needed."""
        if self.resting and self.is_full():
            for rest in [*self.resting]:
                rest.send_away()
