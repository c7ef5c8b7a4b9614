"""The events and the waits of a run, with what they need of Temporal: the update, and timers.

What an event means is decided in perdure.engine.inbox. No worker has a slot for a node that waits: the run
itself answers its call, as it does for questions. Workers list the agents that are served so
(`AgentRegistry.waits`); runs that began under an older worker have none.

An event comes as an update, so its sender hears whether the run has taken it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf

from perdure.engine.inbox.events import EventBatch, EventReceipt
from perdure.engine.inbox.inbox import Inbox, Moves
from perdure.engine.inbox.topics import awaited_topics
from perdure.engine.messages import Event, RunAgent
from perdure.engine.scheduler import Scheduler
from perdure.errors import UsageError
from perdure.graph.values import Value
from perdure.protocol.payloads import RunRequest
from perdure.workflows.activity_options import MAX_SUMMARY_CHARS
from perdure.workflows.host import Host, now_ms
from perdure.workflows.timers import Timers


@dataclass(slots=True)
class EventWaits:
    """The inbox of one run. `arrive` is handed the answers of waits; `played` gives None after its end."""

    host: Host
    request: RunRequest
    timers: Timers
    arrive: Callable[[Event], None]
    played: Callable[[], Scheduler | None]
    inbox: Inbox = field(default_factory=Inbox)
    _summaries: dict[int, str] = field(default_factory=dict[int, str])

    def __post_init__(self) -> None:
        self.inbox.resume((self.request.state or {}).get("events", {}))

    def open(self, command: RunAgent) -> None:
        """A node waits for events, or for a time."""
        self._summaries[command.call] = f"{command.path} waits"[:MAX_SUMMARY_CHARS]
        self._apply(self.inbox.open(command, now_ms(self.host)))

    def close(self, call: int) -> None:
        """The wait was abandoned; its timer is the caller's."""
        if self._summaries.pop(call, None) is not None:
            self._apply(self.inbox.close(call, now_ms(self.host)))

    def check(self, batch: EventBatch) -> None:
        """Raises UsageError or TransientError for events that are not taken."""
        scheduler = self.played()
        if scheduler is None:
            raise UsageError("the run has ended")
        self.inbox.check(batch, awaited_topics(scheduler.root.plan.document))

    def take(self, batch: EventBatch) -> EventReceipt:
        """Takes events. Raises as `check` does."""
        self.check(batch)
        receipt, moves = self.inbox.take(batch, now_ms(self.host))
        self._apply(moves)
        return receipt

    def state(self) -> dict[str, Value]:
        """What the next run of a chain continues with; empty for nothing."""
        state = self.inbox.state()
        return {"events": state} if state else {}

    def _apply(self, moves: Moves) -> None:
        for event in moves.ended:
            self._summaries.pop(event.call, None)
            self.timers.drop(event.call)
            self.arrive(event)
        for call in moves.changed:
            self._keep_time(call)

    def _keep_time(self, call: int) -> None:
        due = self.inbox.next_due(call)
        if due == inf:
            return
        wait_ms = max(0.0, due - now_ms(self.host))

        def fired() -> None:
            self._apply(self.inbox.fire(call, max(due, now_ms(self.host))))

        self.timers.call_later(call, wait_ms, self._summaries[call], fired)
