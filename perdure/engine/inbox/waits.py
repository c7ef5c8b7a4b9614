"""A node that waits: for events of a topic, or for a time; and what its result is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import TypeAlias

from perdure.engine.inbox.events import ExternalEvent
from perdure.engine.messages import AgentCompleted, AgentFailed, RunAgent
from perdure.errors import FinalError
from perdure.graph.deferred import described
from perdure.graph.javascript import to_string
from perdure.graph.params.durations import duration_ms
from perdure.graph.params.waiting import ALL_SENDERS, EVENT_WAIT, MAX_WAIT_MS, instant_ms, wait_problems
from perdure.graph.values import Value, is_dict, is_list

Ended: TypeAlias = AgentCompleted | AgentFailed


@dataclass(slots=True, kw_only=True)
class TimeWait:
    """A call that completes at `due`, or fails at `late`, the end of its timeout. All in ms since 1970."""

    call: int
    path: str
    opened: int
    due: float
    late: float = inf

    def next_due(self) -> float:
        """When something is to happen."""
        return min(self.due, self.late)

    def takes(self, event: ExternalEvent) -> bool:
        """It takes none."""
        del event
        return False

    def ended(self, now_ms: float) -> Ended | None:
        """The answer to the call, None if it still waits."""
        if now_ms >= self.due:
            return AgentCompleted(self.call, {"at": int(now_ms)})
        return AgentFailed(self.call, "Timeout", "timed-out") if now_ms >= self.late else None

    def shown(self) -> str:
        """What it waits for, in words."""
        return "a time"


@dataclass(slots=True, kw_only=True)
class EventWait:
    """A call that collects `count` events of a topic.

    A `key` of None takes any; `senders` are those that count, none for any; `single` takes one of each
    sender. It ends `within` milliseconds after the first event, or at `due`, with what is there by then, and
    fails at `late`.
    """

    call: int
    path: str
    opened: int
    topic: str
    key: str | None = None
    senders: tuple[str, ...] = ()
    count: int = 1
    single: bool = False
    within: float = inf
    due: float = inf
    late: float = inf
    first: int = 0
    events: list[ExternalEvent] = field(default_factory=list[ExternalEvent])

    def takes(self, event: ExternalEvent) -> bool:
        """Whether the event is one of those that it waits for."""
        if event.topic != self.topic or len(self.events) >= self.count or self.key not in (None, event.key):
            return False
        if self.senders and event.sender not in self.senders:
            return False
        return not (self.single and any(other.sender == event.sender for other in self.events))

    def add(self, event: ExternalEvent, at: int) -> None:
        """Takes an event that the run received at `at`."""
        self.first = min(self.first, at) if self.events else at
        self.events.append(event)

    def next_due(self) -> float:
        """When something is to happen."""
        return min(self.first + self.within if self.events else inf, self.due, self.late)

    def ended(self, now_ms: float) -> Ended | None:
        """The answer to the call, None if it still waits."""
        how = ""
        if len(self.events) >= self.count:
            how = "count"
        elif self.events and now_ms >= self.first + self.within:
            how = "within"
        elif now_ms >= self.due:
            how = "deadline"
        elif now_ms >= self.late:
            return AgentFailed(self.call, "Timeout", "timed-out")
        return AgentCompleted(self.call, self._result(how)) if how else None

    def _result(self, how: str) -> Value:
        heard = {event.sender for event in self.events}
        missing = [name for name in self.senders if self.single and name not in heard]
        events = [event.shown() for event in self.events]
        return {"events": events, "count": len(events), "how": how, "missing": missing}

    def shown(self) -> str:
        """What it waits for, in words."""
        key = "" if self.key is None else f" with key {self.key!r}"
        return f"events of {self.topic!r}{key}, {len(self.events)} of {self.count} are there"


Wait: TypeAlias = EventWait | TimeWait


def wait_of(command: RunAgent, opened: int) -> Wait:
    """What a call waits for that was opened at `opened`. Raises FinalError for wrong params."""
    params: Mapping[str, Value] = described(dict(command.params))
    inputs: Value = described(command.inputs)
    named = {
        key: inputs[key]
        for key in ("topic", "key", "from", "for", "until")
        if is_dict(inputs) and key in inputs
    }
    is_event = command.agent == EVENT_WAIT
    own = {key: value for key, value in named.items() if (key in ("for", "until")) != is_event}
    merged = {**params, **own}
    for problem in wait_problems(command.agent, merged, command.path):
        raise FinalError(f"{problem.place}: {problem.finding}", hint=problem.hint)
    limit = command.options.timeout
    late = inf if limit is None else opened + limit
    if not is_event:
        return TimeWait(
            call=command.call, path=command.path, opened=opened, due=_due(merged, opened), late=late
        )
    return _event_wait(command, merged, opened, late)


def _due(merged: Mapping[str, Value], opened: int) -> float:
    if "until" in merged:
        return min(instant_ms(merged["until"]) or 0, opened + MAX_WAIT_MS)
    return opened + (duration_ms(merged["for"]) or 0)


def _event_wait(command: RunAgent, merged: Mapping[str, Value], opened: int, late: float) -> EventWait:
    names: Value = merged.get("from")
    senders = tuple(
        dict.fromkeys(map(_sender, names if is_list(names) else () if names is None else (names,)))
    )
    count, key = merged.get("count", 1), merged.get("key")
    single = count == ALL_SENDERS
    if single and not is_list(names):
        raise FinalError(
            f"{command.path}: count is all, and there is no list of senders",
            hint="inputs: {from: :neighbours}",
        )
    deadline = duration_ms(merged.get("deadline"))
    return EventWait(
        call=command.call,
        path=command.path,
        opened=opened,
        topic=str(merged["topic"]),
        key=None if key is None else to_string(key),
        senders=senders,
        count=len(senders) if single else int(count),
        single=single,
        within=duration_ms(merged.get("within")) or inf,
        due=inf if deadline is None else opened + deadline,
        late=late,
    )


def _sender(row: Value) -> str:
    """The name of a sender: a string, or the `run` or `id` of a row."""
    if is_dict(row):
        row = row.get("run", row.get("id"))
    return to_string(row)
