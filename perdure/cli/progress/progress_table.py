"""What is known of a run while it executes: rows for its nodes, and lines for what has changed. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from perdure.engine.state import TERMINAL_STATES
from perdure.graph.values import Value, is_dict, ordered_keys
from perdure.protocol.payloads import NodeStatus, RunStatus

RUNNING_STATES: Final = ("queued", "executing")
_REPORTED_STATES: Final = (TERMINAL_STATES - {"injected"}) | {"executing"}
_MARK: Final = re.compile(r"(@\d+)?(#\d+)?$")


@dataclass(frozen=True, slots=True)
class Row:
    """A node as it is shown. `seconds` is how long it has run, or ran, where that is known."""

    name: str
    state: str
    agent: str = ""
    seconds: float | None = None
    attempt: int = 1
    about: str = ""


@dataclass(slots=True)
class _Seen:
    agent: str = ""
    state: str = "waiting"
    since: float = 0.0
    seconds: float | None = None
    retries: int = 0
    done: int = 0
    total: int = 0
    inside: list[str] = field(default_factory=list[str])
    about: str = ""
    reported: str = "waiting"


@dataclass(slots=True)
class ProgressTable:
    """The computed nodes of a graph, in its order, and what was last heard of each."""

    nodes: dict[str, _Seen]
    iteration: int = 0

    @classmethod
    def of(cls, document: Mapping[str, Value]) -> ProgressTable:
        """The board of a run of this graph that has not begun."""
        nodes = document.get("nodes")
        specs: dict[str, Any] = nodes if is_dict(nodes) else {}
        agents = {
            key: str(specs[key]["agent"])
            for key in ordered_keys(specs)
            if is_dict(specs[key]) and "agent" in specs[key]
        }
        return cls({name: _Seen(agent) for name, agent in agents.items()})

    def hear(self, status: RunStatus) -> None:
        """The run has reported its status."""
        self.iteration = status.iteration
        for seen in self.nodes.values():
            seen.inside.clear()
        for row in status.nodes:
            name = _MARK.sub("", row.path)
            if name in self.nodes:
                self._hear_node(self.nodes[name], row)
                continue
            owner = self.owner(name)
            if owner is not None and row.state == "executing":
                self.nodes[owner].inside.append(name[len(owner) :].rpartition(".")[2] or name)

    def _hear_node(self, seen: _Seen, row: NodeStatus) -> None:
        seen.state = row.state
        seen.retries = row.retries
        seen.done, seen.total = row.done, row.total
        if row.agent:
            seen.agent = row.agent
        if row.since:
            seen.since = row.since / 1000
        if row.error:
            seen.about = row.error

    def owner(self, path: str) -> str | None:
        """The node of the graph itself that holds what is at this path."""
        names = [name for name in self.nodes if path.startswith((f"{name}.", f"{name}["))]
        return max(names, key=len, default=None)

    def say(self, path: str, about: str) -> None:
        """Shows a remark next to a node: why its call was repeated, what it streams."""
        name = _MARK.sub("", path)
        owner = name if name in self.nodes else self.owner(name)
        if owner is not None:
            self.nodes[owner].about = about

    def finish(self, states: Mapping[str, str], errors: Mapping[str, str], now: float) -> None:
        """The run has ended so."""
        for name, seen in self.nodes.items():
            seen.state = states.get(name, seen.state)
            seen.inside.clear()
            seen.about = errors.get(name, "")
            seen.done = seen.total
            self._time(seen, now)

    def rows(self, now: float) -> list[Row]:
        """The rows, in the order of the graph. `now` is in seconds since the epoch."""
        for seen in self.nodes.values():
            self._time(seen, now)
        return [
            Row(name, seen.state, seen.agent, seen.seconds, seen.retries + 1, _about(seen))
            for name, seen in self.nodes.items()
        ]

    def details(self) -> dict[str, tuple[str, str]]:
        """Of each executing node how much of it is done, and what was said of it; either may be empty."""
        return {
            name: (f"{seen.done}/{seen.total}" if seen.total > 1 else "", seen.about)
            for name, seen in self.nodes.items()
            if seen.state in RUNNING_STATES
        }

    def _time(self, seen: _Seen, now: float) -> None:
        if seen.state == "executing" and seen.since:
            seen.seconds = max(now - seen.since, 0.0)

    def changes(self) -> list[str]:
        """``node state`` for each node that began or ended since the last call."""
        lines: list[str] = []
        for name, seen in self.nodes.items():
            if seen.state != seen.reported and seen.state in _REPORTED_STATES:
                lines.append(f"{name} {seen.state}")
            seen.reported = seen.state
        return lines


def _about(seen: _Seen) -> str:
    parts: list[str] = []
    if seen.total > 1 and seen.state == "executing":
        parts.append(f"{seen.done}/{seen.total}")
    if seen.inside and not seen.about:
        names = list(dict.fromkeys(seen.inside))
        parts.append(", ".join(names[:3]) + (" …" if len(names) > 3 else ""))
    if seen.about:
        parts.append(seen.about)
    return "  ".join(parts)


def duration(seconds: float) -> str:
    """A time for people: 0.4 s, 12 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def fitting(rows: Sequence[Row], height: int) -> tuple[list[Row], int]:
    """At most `height` rows in their order, first those that run or failed; and how many are left out."""
    if len(rows) <= height:
        return list(rows), 0
    rank = {"failed": 0, "timed-out": 0, "executing": 0, "queued": 1, "waiting": 2}
    chosen = sorted(range(len(rows)), key=lambda index: rank.get(rows[index].state, 3))[: max(height - 1, 1)]
    return [rows[index] for index in sorted(chosen)], len(rows) - len(chosen)
