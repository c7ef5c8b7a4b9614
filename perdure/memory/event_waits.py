"""The events and the waits of a run in this process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf

from perdure.engine.inbox.events import EventBatch, EventReceipt
from perdure.engine.inbox.inbox import Inbox, Moves
from perdure.engine.inbox.topics import awaited_topics
from perdure.engine.messages import Event, RunAgent
from perdure.graph.values import Value


@dataclass(slots=True)
class MemoryEventWaits:
    """The inbox of one run. `arrive` is handed the answers of waits; `document` is its graph."""

    arrive: Callable[[Event], None]
    document: Callable[[], Mapping[str, Value]]
    inbox: Inbox = field(default_factory=Inbox)
    _timers: dict[int, asyncio.TimerHandle] = field(default_factory=dict[int, asyncio.TimerHandle])

    def open(self, command: RunAgent) -> None:
        """A node waits for events, or for a time."""
        self._apply(self.inbox.open(command, _now_ms()))

    def close(self, call: int) -> None:
        """The wait was abandoned."""
        self._forget(call)
        self._apply(self.inbox.close(call, _now_ms()))

    def take(self, batch: EventBatch) -> EventReceipt:
        """Takes events. Raises UsageError, TransientError."""
        self.inbox.check(batch, awaited_topics(self.document()))
        receipt, moves = self.inbox.take(batch, _now_ms())
        self._apply(moves)
        return receipt

    def end(self) -> None:
        """The run is over."""
        for call in [*self._timers]:
            self._forget(call)

    def _apply(self, moves: Moves) -> None:
        for event in moves.ended:
            self._forget(event.call)
            self.arrive(event)
        for call in moves.changed:
            self._keep_time(call)

    def _keep_time(self, call: int) -> None:
        self._forget(call)
        due = self.inbox.next_due(call)
        if due < inf:
            seconds = max(0.0, (due - _now_ms()) / 1000)
            self._timers[call] = asyncio.get_running_loop().call_later(seconds, self._fire, call, due)

    def _fire(self, call: int, due: float) -> None:
        self._apply(self.inbox.fire(call, max(due, _now_ms())))

    def _forget(self, call: int) -> None:
        timer = self._timers.pop(call, None)
        if timer is not None:
            timer.cancel()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
