"""Events from outside: what a sender sends, and what it hears of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from perdure.errors import UsageError
from perdure.graph.sizes import size_of
from perdure.graph.values import Value

MAX_EVENT_NAME_CHARS: Final = 200
"""Characters of the topic, the key, the sender and the id of an event."""

MAX_EVENT_BODY_BYTES: Final = 64_000
"""Bytes of the body of an event."""

MAX_BATCH_EVENT_COUNT: Final = 500
"""Events that a run takes at once."""

EVENT_OVERHEAD_BYTES: Final = 100
"""Bytes that an event takes besides its body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalEvent:
    """One event. `id` is unique for its `sender`, and the same for repeats: an event counts once.

    `at` is when it happened, in milliseconds since 1970, 0 for when the run received it. Events of one
    `topic` may have a `key`, such as the machine that they are about.
    """

    topic: str
    id: str
    key: str = ""
    sender: str = ""
    at: float = 0
    body: Value = None

    @property
    def size(self) -> int:
        """About its bytes."""
        return EVENT_OVERHEAD_BYTES + size_of(self.body)

    def shown(self) -> dict[str, Value]:
        """As graphs see it."""
        names = {"topic": self.topic, "key": self.key, "from": self.sender, "id": self.id}
        return {**names, "at": self.at, "body": self.body}


@dataclass(frozen=True, slots=True, kw_only=True)
class EventBatch:
    """Events that are sent together: a run takes all of them, or none."""

    events: tuple[ExternalEvent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EventReceipt:
    """How many events of a batch the run has taken, and how many it had `already`."""

    taken: int
    already: int = 0


def check_batch(batch: EventBatch) -> None:
    """Raises UsageError for a batch that no run takes."""
    if not isinstance(batch, EventBatch):  # pyright: ignore[reportUnnecessaryIsInstance] -- from outside
        raise UsageError("there are no events in it")
    if not 1 <= len(batch.events) <= MAX_BATCH_EVENT_COUNT:
        raise UsageError(f"a batch has 1 to {MAX_BATCH_EVENT_COUNT} events, and not {len(batch.events)}")
    for event in batch.events:
        _check(event)


def _check(event: ExternalEvent) -> None:
    names: Mapping[str, Value] = {"topic": event.topic, "id": event.id, "key": event.key}
    for name, value in {**names, "sender": event.sender}.items():
        if not isinstance(value, str) or len(value) > MAX_EVENT_NAME_CHARS:
            finding = f"the {name} of an event is a string of at most {MAX_EVENT_NAME_CHARS} characters"
            raise UsageError(finding)
    if not event.topic or not event.id:
        raise UsageError("an event has a topic and an id")
    if not (isinstance(event.at, int | float) and 0 <= event.at < 1e15):  # pyright: ignore[reportUnnecessaryIsInstance] -- from outside
        raise UsageError(f"the time of event {event.id!r} is not a number of milliseconds since 1970")
    if event.size > MAX_EVENT_BODY_BYTES + EVENT_OVERHEAD_BYTES:
        raise UsageError(
            f"the body of event {event.id!r} has more than {MAX_EVENT_BODY_BYTES:,} bytes",
            hint="put it where the run can fetch it, and send the address",
        )
