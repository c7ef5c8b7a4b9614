"""Where an event goes: the routing file of the operator.

    routes:
      - topic: plant/+/telemetry        # + is one level, # all that follow
        event: telemetry                # the topic that nodes wait for; that of the message by default
        key: ${body.component}
        run: watch-${key}
        graph: watch.yaml               # starts the run if there is none
        inputs: {component: "${key}"}

The first route whose topic fits counts. A sender can only name what the file lets it name: which graphs are
started is not the sender's choice.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from perdure.engine.inbox.events import ExternalEvent
from perdure.errors import GraphError, NotFound, UsageError
from perdure.graph.javascript import to_string
from perdure.graph.params.waiting import instant_ms
from perdure.graph.text.json_dump import dump
from perdure.graph.text.load import load
from perdure.graph.values import Value, is_dict, is_list, is_number
from perdure.submission import check_run_id

_MARK: Final = re.compile(r"\$\{([^${}]{1,100})\}")

_KEYS: Final = ("topic", "event", "key", "id", "at", "sender", "run", "graph", "inputs", "queue")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What came in: from a topic, with a `body`; the rest where the sender has said it."""

    topic: str
    body: Value = None
    key: str = ""
    id: str = ""
    at: Value = None
    sender: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An event, the run that it is for, and the graph and inputs by which that run is started, if by any."""

    run: str
    event: ExternalEvent
    graph: Mapping[str, Value] | None = None
    name: str = "graph"
    inputs: Mapping[str, Value] = field(default_factory=dict[str, Value])
    queue: str | None = None


@dataclass(frozen=True, slots=True)
class Routes:
    """The routes of a file, in order."""

    rows: Sequence[Mapping[str, Value]]
    graphs: Mapping[str, Mapping[str, Value]]

    @property
    def topics(self) -> list[str]:
        """What a broker is asked for."""
        return list(dict.fromkeys(str(row["topic"]) for row in self.rows))

    def target(self, message: Message) -> Target:
        """Where a message goes. Raises UsageError, such as NotFound without a route for it."""
        for row in self.rows:
            if fits(str(row["topic"]), message.topic):
                return self._target(row, message)
        raise NotFound(f"no route fits topic {message.topic!r}")

    def _target(self, row: Mapping[str, Value], message: Message) -> Target:
        known: dict[str, Value] = {
            "topic": message.topic,
            "level": message.topic.split("/"),
            "body": message.body,
            "key": message.key,
            "id": message.id,
            "at": message.at,
            "sender": message.sender,
        }
        for name in ("key", "id", "at", "sender"):
            if name in row:
                known[name] = filled(row[name], known)
        event = ExternalEvent(
            topic=to_string(filled(row.get("event", message.topic), known)),
            id=_digest(message) if known["id"] in (None, "") else to_string(known["id"]),
            key=to_string(known["key"]),
            sender=to_string(known["sender"]),
            at=_time(known["at"]),
            body=message.body,
        )
        file, run = row.get("graph"), to_string(filled(row["run"], known))
        check_run_id(run)
        return Target(
            run=run,
            event=event,
            graph=None if file is None else self.graphs[str(file)],
            name=Path(str(file)).stem if file is not None else "graph",
            inputs={name: filled(value, known) for name, value in row.get("inputs", {}).items()},
            queue=row.get("queue"),
        )


def _digest(message: Message) -> str:
    """An id for a message whose sender has none: the same for the same topic and body."""
    parts = [message.topic, message.key, message.body]
    try:
        text = dump(parts, ordered=True)
    except (ValueError, TypeError, RecursionError):  # such as 1e999, which JSON does not hold
        text = repr(parts).encode(errors="backslashreplace")
    return hashlib.sha256(text).hexdigest()[:32]


def _time(value: Value) -> float:
    if value is None:
        return 0.0
    milliseconds = instant_ms(value)
    if milliseconds is None:
        raise NotFound(f"{value!r} is not a time: milliseconds since 1970, or ISO 8601 with an offset")
    return milliseconds


def fits(pattern: str, topic: str) -> bool:
    """Whether a topic fits a pattern of MQTT: ``+`` is one level, ``#`` at the end all that follow."""
    expected, levels = pattern.split("/"), topic.split("/")
    for index, level in enumerate(expected):
        if level == "#":
            return True
        if index >= len(levels) or level not in ("+", levels[index]):
            return False
    return len(expected) == len(levels)


def filled(template: Value, known: Mapping[str, Value]) -> Value:
    """A template with its marks filled in; the value itself where a mark is all of it. Raises NotFound."""
    if not isinstance(template, str):
        return template
    whole = _MARK.fullmatch(template)
    if whole is not None:
        return _part(known, whole[1])
    return _MARK.sub(lambda mark: to_string(_part(known, mark[1])), template)


def _part(known: Value, path: str) -> Value:
    part = known
    for name in path.split("."):
        if is_dict(part) and name in part:
            part = part[name]
        elif is_list(part) and name.isdecimal() and int(name) < len(part):
            part = part[int(name)]
        else:
            raise NotFound(f"the event has no {path!r}, which its route needs")
    return part


def read_routes(path: Path) -> Routes:
    """Reads a routing file and its graphs, which are next to it. Raises UsageError, GraphError."""
    data = load(path.read_bytes()).data
    rows: Any = data.get("routes") if is_dict(data) else None
    if not is_list(rows) or not rows:
        raise UsageError(
            f"{path}: there is no list of routes", hint="routes: [{topic: telemetry, run: watch}]"
        )
    graphs: dict[str, Mapping[str, Value]] = {}
    for index, row in enumerate(rows):
        _check_row(row, f"{path}: routes[{index}]")
        if (file := row.get("graph")) is not None:
            try:
                graphs[file] = load((path.parent / file).read_bytes()).data
            except GraphError as error:
                raise GraphError(error.problems, str(path.parent / file)) from error
    return Routes(rows, graphs)


def _check_row(row: Value, place: str) -> None:
    if not is_dict(row):
        raise UsageError(f"{place}: a route is an object")
    for key, value in row.items():
        if key not in _KEYS:
            raise UsageError(f"{place}: there is no key {key!r}", hint=f"there is {', '.join(_KEYS)}")
        if key == "inputs" and not is_dict(value):
            raise UsageError(f"{place}.inputs: inputs are an object")
        if key != "inputs" and not (isinstance(value, str) or (key == "at" and is_number(value))):
            raise UsageError(f"{place}.{key}: it is a string")
    for key in ("topic", "run"):
        if not row.get(key):
            raise UsageError(f"{place}: {key} is missing")
