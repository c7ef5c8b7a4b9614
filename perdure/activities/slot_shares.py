"""The slots of a worker, shared among the runs whose calls it makes.

Why
    The server hands out waiting calls run by run, in turn (perdure.temporal.fairness). But a slot that a
    call has, it has for as long as the call takes: a run with a hundred calls of a day each would keep all
    others away for a day.

Invariants
    A run may use as many slots as SHARE_FACTOR times those that are not in use. So one run gets three
    quarters of a worker, and the next one three quarters of the rest. A worker with three slots or fewer is
    not shared.
    A call beyond the share of its run waits in its slot, which costs nothing while no other run wants it,
    and begins as soon as its run may have another one. Where all slots are taken so for a while, one of
    these calls is handed back to the server, which then has a slot for a call of another run. If one comes,
    the next is handed back at once.
    What is handed back does not count as an attempt.
    Calls that only wait for a time go first where all slots are taken (resting.py).

Rejected
    A slot supplier of the SDK: it reserves a slot before it is known which call will have it.
    To hand back every call beyond the share: a map over a thousand rows would go through the server again
    and again, though no other run is there.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

from perdure.activities.resting import Rest, RestingCall, Rests
from perdure.agents.resting import REST

SHARE_FACTOR: Final = 3
"""How many times the slots that are not in use a run may have."""

MIN_LOOK_INTERVAL_S: Final = 0.1
"""Seconds for which calls wait in all slots that are left, until one is handed back, while others come,"""

MAX_LOOK_INTERVAL_S: Final = 1.0
"""and while none comes: the time doubles from one to the next."""

UNRECORDED_WAIT_S: Final = 1.0
"""Seconds of a wait that the server need not know of."""

MAX_TIMED_WAIT_S: Final = 5.0
"""Seconds for which a call whose node has a `timeout` waits: the server adds only a little to it."""

HANDED_BACK_PAUSE_S: Final = 10.0
"""Seconds after which a call that was handed back is offered again, give or take a half by chance."""


class HandedBack(Exception):
    """The call has to make room; the server is to offer it again after `pause_s` seconds."""

    def __init__(self, pause_s: float) -> None:
        super().__init__(pause_s)
        self.pause_s = pause_s


class Call(RestingCall, Protocol):
    """What is known of an attempt that wants a slot: perdure.activities.attempt.Attempt."""

    @property
    def sharer(self) -> str:
        """Whose call it is: the run, unless it was started with a key of another."""
        ...

    @property
    def has_slot(self) -> bool:
        """Whether it takes one: local activities do not."""
        ...

    @property
    def is_stopping(self) -> bool:
        """Whether its worker is about to end."""
        ...

    async def wait(self) -> None:
        """Leaves word that this attempt does not count until it begins."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    call: Call
    turn: asyncio.Future[bool]
    since: float


@dataclass(slots=True)
class SlotShares:
    """The slots of one worker on one queue; None of a number that is not known, which are not shared."""

    slots: int | None = None
    _used: dict[str, int] = field(default_factory=dict[str, int])
    _in_use: int = 0
    _waiting: list[_Waiting] = field(default_factory=list[_Waiting])
    _interval: float = field(default_factory=lambda: MAX_LOOK_INTERVAL_S)
    _timer: asyncio.TimerHandle | None = None
    _rests: Rests = field(init=False)

    def __post_init__(self) -> None:
        self._rests = Rests(self._is_shared_and_full)

    @asynccontextmanager
    async def entered(self, call: Call) -> AsyncGenerator[None]:
        """Lasts as long as the attempt. Raises HandedBack where it has to make room."""
        if self.slots is None or not call.has_slot:
            yield
            return
        if self._has_room(call.sharer) or not call.may_be_handed_back:
            self._take(call.sharer)
            self._make_room_for_others(call.sharer)
        else:
            await self._turn(call)
        rest = Rest(call, asyncio.current_task())
        if call.may_be_handed_back and not call.is_timed:
            REST.set(partial(rest.take, rests=self._rests))
        try:
            yield
        except asyncio.CancelledError:
            if rest.pause_s is None:
                raise
            raise HandedBack(rest.pause_s) from None
        finally:
            self._release(call.sharer)

    def _has_room(self, sharer: str) -> bool:
        return self._used.get(sharer, 0) < SHARE_FACTOR * ((self.slots or 0) - self._in_use)

    def _take(self, sharer: str) -> None:
        self._used[sharer] = self._used.get(sharer, 0) + 1
        self._in_use += 1
        self._rests.look()

    def _release(self, sharer: str) -> None:
        self._in_use -= 1
        self._used[sharer] -= 1
        if not self._used[sharer]:
            del self._used[sharer]
        for waiting in [*self._waiting]:
            if not waiting.turn.done() and self._has_room(waiting.call.sharer):
                self._waiting.remove(waiting)
                self._take(waiting.call.sharer)
                waiting.turn.set_result(True)

    async def _turn(self, call: Call) -> None:
        loop = asyncio.get_running_loop()
        waiting = _Waiting(call, loop.create_future(), loop.time())
        self._waiting.append(waiting)
        self._rests.look()
        self._look_later()
        try:
            done, _ = await asyncio.wait([waiting.turn], timeout=UNRECORDED_WAIT_S)
            if not done:
                await call.wait()
            has_slot = await waiting.turn
        except BaseException:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            elif waiting.turn.done() and not waiting.turn.cancelled() and waiting.turn.result():
                self._release(call.sharer)
            raise
        if not has_slot:
            raise HandedBack(HANDED_BACK_PAUSE_S * (0.5 + random.random()))

    def _make_room_for_others(self, sharer: str) -> None:
        """A call of another run has come, and was not the last one perhaps: the next is to find a slot."""
        if self._waiting and all(waiting.call.sharer != sharer for waiting in self._waiting):
            self._interval = MIN_LOOK_INTERVAL_S
            if self._is_full():
                self._hand_back(self._waiting[0])

    def _is_shared_and_full(self) -> bool:
        return (self.slots or 0) > SHARE_FACTOR and self._is_full()

    def _is_full(self) -> bool:
        return self._in_use + len(self._waiting) >= (self.slots or 0)

    def _hand_back(self, waiting: _Waiting) -> None:
        self._waiting.remove(waiting)
        if not waiting.turn.done():  # else it was cancelled just now
            waiting.turn.set_result(False)

    def _look_later(self) -> None:
        if self._timer is None and self._waiting:
            delay = min(self._interval, MAX_TIMED_WAIT_S / 5)
            self._timer = asyncio.get_running_loop().call_later(delay, self._look)

    def _look(self) -> None:
        """Hands back what has waited for too long, and one call where all slots are taken."""
        self._timer = None
        now = asyncio.get_running_loop().time()
        for waiting in [*self._waiting]:
            is_late = waiting.call.is_timed and now - waiting.since >= MAX_TIMED_WAIT_S
            if is_late or waiting.call.is_stopping:
                self._hand_back(waiting)
        if self._waiting and self._is_full() and now - self._waiting[0].since >= self._interval:
            self._interval = min(self._interval * 2, MAX_LOOK_INTERVAL_S)
            self._hand_back(self._waiting[0])
        self._look_later()
