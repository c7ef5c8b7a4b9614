"""The events and the waits of a run.

Invariants
    An event counts once, whatever the number of its deliveries: by its sender and its id.
    It is taken by one wait, the one that was opened first of those that take it. Without one it waits for
    the node to come; what a wait had collected that was cancelled, or failed, waits again.
    What is held is bounded. A batch for which there is no room is refused as a whole, so its sender keeps it.

Rejected: to drop the oldest events when there is no room. A sender that was notified of success would never
learn of it.

All times are in milliseconds since 1970 and come from the shell, which also owns the timers: it asks
`next_due` and calls `fire`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from math import inf
from typing import Final

from perdure.engine.inbox.events import EventBatch, EventReceipt, ExternalEvent, check_batch
from perdure.engine.inbox.seen_ids import SeenIds
from perdure.engine.inbox.waits import Ended, EventWait, Wait, wait_of
from perdure.engine.messages import AgentFailed, RunAgent
from perdure.errors import FinalError, TransientError, UsageError
from perdure.graph.values import Value

MAX_HELD_EVENT_COUNT: Final = 4_000
"""Events that a run holds: those that no node has waited for yet, and those that open waits have."""

MAX_HELD_EVENT_BYTES: Final = 500_000
"""Bytes of these events: they are in what the run hands on when it continues as new."""

_EVENT_FIELDS: Final = tuple(item.name for item in fields(ExternalEvent))


@dataclass(slots=True)
class Moves:
    """What became of waits: the answers of those that `ended`, the calls whose next time has `changed`."""

    ended: list[Ended] = field(default_factory=list[Ended])
    changed: dict[int, None] = field(default_factory=dict[int, None])


@dataclass(slots=True)
class Inbox:
    """All of one run."""

    _open: dict[int, Wait] = field(default_factory=dict[int, Wait])
    _early: list[tuple[ExternalEvent, int]] = field(default_factory=list[tuple[ExternalEvent, int]])
    _seen: SeenIds = field(default_factory=SeenIds)
    _resumed: dict[int, Sequence[Value]] = field(default_factory=dict[int, Sequence[Value]])
    _bytes: int = 0

    def open(self, command: RunAgent, now_ms: int) -> Moves:
        """A node waits. That is over at once by early events, or by wrong params."""
        opened, first, *held = self._resumed.pop(command.call, (now_ms, 0))
        try:
            wait = wait_of(command, int(opened))
        except FinalError as error:
            return Moves([AgentFailed(command.call, str(error), final=True)])
        self._open[command.call] = wait
        if isinstance(wait, EventWait):
            for row in held:
                wait.add(_event(row), int(first))
            self._take_early(wait)
        moves = Moves()
        self._look(wait, now_ms, moves)
        return moves

    def _take_early(self, wait: EventWait) -> None:
        kept: list[tuple[ExternalEvent, int]] = []
        for event, at in self._early:
            if wait.takes(event):
                wait.add(event, at)
            else:
                kept.append((event, at))
        self._early = kept

    def _look(self, wait: Wait, now_ms: float, moves: Moves) -> None:
        """Something has happened to a wait, or its time has come."""
        ended = wait.ended(now_ms)
        if ended is None:
            moves.changed[wait.call] = None
            return
        moves.changed.pop(wait.call, None)
        moves.ended.append(ended)
        del self._open[wait.call]
        if isinstance(ended, AgentFailed):
            self._give_back(wait, now_ms, moves)
        elif isinstance(wait, EventWait):
            self._bytes -= sum(event.size for event in wait.events)

    def close(self, call: int, now_ms: int) -> Moves:
        """The wait was abandoned: its events are for other waits, and those to come."""
        wait, moves = self._open.pop(call, None), Moves()
        if wait is not None:
            self._give_back(wait, now_ms, moves)
        return moves

    def _give_back(self, wait: Wait, now_ms: float, moves: Moves) -> None:
        if not isinstance(wait, EventWait):
            return
        left = [event for event in wait.events if not self._place(event, wait.first, now_ms, moves)]
        self._early[:0] = [(event, wait.first) for event in left]

    def _place(self, event: ExternalEvent, at: int, now_ms: float, moves: Moves) -> bool:
        """Gives an event, received at `at`, to the first wait that takes it."""
        wait = next((wait for wait in self._open.values() if wait.takes(event)), None)
        if not isinstance(wait, EventWait):
            return False
        wait.add(event, at)
        self._look(wait, now_ms, moves)
        return True

    def waits(self) -> list[Wait]:
        """The open waits, in the order in which they were opened."""
        return [*self._open.values()]

    def check(self, batch: EventBatch, topics: Collection[str] | None) -> None:
        """Raises UsageError for a batch that the run never takes, TransientError where it has no room now.

        `topics` are those that its nodes may wait for, None for any.
        """
        check_batch(batch)
        for event in batch.events:
            if topics is not None and event.topic not in topics:
                known = ", ".join(sorted(topics)) or "none"
                raise UsageError(f"no node of the run waits for topic {event.topic!r}; topics: {known}")
        new = [event for event in batch.events if not self._seen.has(event)]
        size = sum(event.size for event in new)
        if new and (
            self.held_count + len(new) > MAX_HELD_EVENT_COUNT or self._bytes + size > MAX_HELD_EVENT_BYTES
        ):
            raise TransientError(
                f"the run holds {self.held_count:,} events that its nodes have not taken yet, and has "
                f"no room for {len(new):,} more",
                hint="send them again later",
            )

    @property
    def held_count(self) -> int:
        """The events that no node has as its result yet."""
        waiting = (wait for wait in self._open.values() if isinstance(wait, EventWait))
        return len(self._early) + sum(len(wait.events) for wait in waiting)

    def take(self, batch: EventBatch, now_ms: int) -> tuple[EventReceipt, Moves]:
        """Takes a batch that `check` accepts."""
        taken, moves = 0, Moves()
        for event in batch.events:
            if not self._seen.add(event):
                continue
            taken += 1
            event = event if event.at else replace(event, at=now_ms)
            self._bytes += event.size
            if not self._place(event, now_ms, now_ms, moves):
                self._early.append((event, now_ms))
        return EventReceipt(taken=taken, already=len(batch.events) - taken), moves

    # Time

    def next_due(self, call: int) -> float:
        """When `fire` is to be called for this wait; infinity for never."""
        wait = self._open.get(call)
        return inf if wait is None else wait.next_due()

    def fire(self, call: int, now_ms: float) -> Moves:
        """The time of a wait has come."""
        wait, moves = self._open.get(call), Moves()
        if wait is not None:
            self._look(wait, now_ms, moves)
        return moves

    # Continue-as-new

    def state(self) -> dict[str, Value]:
        """What the next run of a chain continues with; empty if nothing waits, and nothing came."""
        state: dict[str, Value] = {}
        if self._open:
            state["open"] = [_wait_state(wait) for wait in self._open.values()]
        if self._early:
            state["early"] = [[at, *_row(event)] for event, at in self._early]
        if ids := self._seen.written():
            state["ids"] = ids
        return state

    def resume(self, state: Mapping[str, Value]) -> None:
        """Continues with what the previous run has left; open waits are opened again by their calls."""
        self._seen.resume(state.get("ids", ""))
        self._resumed = {call: rest for call, *rest in state.get("open", ())}
        self._early = [(_event(row), at) for at, *row in state.get("early", ())]
        held = [_event(row) for rest in self._resumed.values() for row in rest[2:]]
        self._bytes = sum(event.size for event in (*held, *(event for event, _ in self._early)))


def _wait_state(wait: Wait) -> list[Value]:
    if not isinstance(wait, EventWait):
        return [wait.call, wait.opened, 0]
    return [wait.call, wait.opened, wait.first, *map(_row, wait.events)]


def _row(event: ExternalEvent) -> list[Value]:
    return [getattr(event, name) for name in _EVENT_FIELDS]


def _event(row: Sequence[Value]) -> ExternalEvent:
    return ExternalEvent(**dict(zip(_EVENT_FIELDS, row, strict=False)))
