"""What a run hands on to the one that continues it, checked before any of it is used.

The shapes are those of the code that writes: RunShell, RunProgress, Questions and perdure.engine.snapshot.
They are classes for the checks alone, of which no record is made. What refers to a graph refers to one that
is there: a run that noticed later would fail its workflow tasks, which the server repeats forever.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final, TypeAlias

from perdure.engine.board import ROOT_RUN_ID
from perdure.engine.closed_questions import Closed, Receipt
from perdure.engine.inbox.events import ExternalEvent
from perdure.errors import MalformedPayload
from perdure.graph.values import Value, is_list
from perdure.protocol.shapes import check_fields

_BITS: Final = re.compile(r"([0-9a-f]{2})*")

_Object: TypeAlias = Mapping[str, Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    scheduler: _Object
    places: Sequence[tuple[int, int, Sequence[Value] | None]]
    progress: _Object
    began: int
    bytes: float
    people: _Object = field(default_factory=dict[str, Value])
    events: _Object = field(default_factory=dict[str, Value])
    interventions: Sequence[_Object] = ()
    recalled: str = ""
    granted: _Object = field(default_factory=dict[str, Value])
    sessions: Sequence[tuple[str, str, str, int, Sequence[Value], Value]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Progress:
    counts: Mapping[str, int]
    console: Sequence[str]
    lines: int
    failed: Sequence[tuple[str, str]] = ()
    since: Sequence[tuple[int, str, int]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _People:
    receipts: Sequence[Sequence[Value]] = ()
    closed: Sequence[Sequence[Value]] = ()
    open: Sequence[tuple[int, int, Sequence[Value], Sequence[Value], int, bool]] = ()
    early: Sequence[tuple[str, Value, str, str, int]] = ()
    audience: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Events:
    open: Sequence[Sequence[Value]] = ()
    early: Sequence[Sequence[Value]] = ()
    ids: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Snapshot:
    format: int
    now: int
    finished: bool
    last_call: int
    last_run: int
    used: tuple[int, int]
    documents: Sequence[_Object]
    runs: Sequence[_Object]
    calls: Sequence[_Object]
    queue: Sequence[tuple[int, str]]
    known: _Object = field(default_factory=dict[str, Value])
    steps: int = 0
    pause: int | None = None
    put_off: Sequence[tuple[int, str]] = ()
    paused: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    id: int
    document: int
    nodes: Mapping[str, _Object]
    parent: tuple[int, str] = (0, "")
    path: str = ""
    key: str = ""
    iteration: int = 0
    depth: int = 1
    map_index: int = 0
    rule: _Object | None = None
    values: _Object = field(default_factory=dict[str, Value])
    outcome: tuple[Value, str | None] = (None, None)
    late_rows: Mapping[str, Sequence[tuple[str, int, int]]] = field(
        default_factory=dict[str, Sequence[tuple[str, int, int]]]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Node:
    state: str = ""
    pending: Sequence[str] = ()
    skip: bool = False
    retries: int = 0
    error: str | None = None
    last_failure: str | None = None
    call: int | None = None
    timer: int | None = None
    deadline: int | None = None
    reserved: bool = False
    hedge: int | None = None
    hedge_timer: int | None = None
    nested: _Object = field(default_factory=dict[str, Value])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Nested:
    call: int
    agent: str
    document: int | None
    opened: int
    children: Sequence[int]
    withheld: bool
    rows: Sequence[tuple[int, int]]
    results: Sequence[Value]
    kept: Sequence[tuple[Sequence[tuple[int, int]], Value]]
    failed: str | None = None
    outcome: tuple[Value, str | None] | None = None
    quorum: _Object = field(default_factory=dict[str, Value])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Quorum:
    rule: tuple[int, float | None, float | None]
    missing: Sequence[tuple[int, str, str]]
    timers: Sequence[int]
    has_grace: bool
    places: Sequence[tuple[int, int]] = ()
    passes: Sequence[tuple[int, int]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    call: int
    run: int
    node: str
    since: int
    agent: str = ""
    milliseconds: float = 0
    turns: int = 1


def check_state(state: Any) -> None:
    """Raises MalformedPayload for a state that no run has handed on."""
    check_fields(_State, state, "state.")
    check_fields(_Progress, state["progress"], "state.progress.")
    if not _BITS.fullmatch(state.get("recalled", "")):
        raise MalformedPayload("state.recalled: it is not a string of hexadecimal digits")
    people = state.get("people", {})
    check_fields(_People, people, "state.people.")
    for kind, rows in ((Receipt, people.get("receipts", ())), (Closed, people.get("closed", ()))):
        names = [item.name for item in fields(kind)]
        for row in rows:
            check_fields(kind, dict(zip(names, row[1:], strict=False)), "state.people.")
            if not (row and isinstance(row[0], str)):
                raise MalformedPayload("state.people: a row does not begin with a name")
    _check_events(state.get("events", {}))
    _check_snapshot(state["scheduler"])


def _check_events(events: _Object) -> None:
    check_fields(_Events, events, "state.events.")
    rows = [row[1:] for row in events.get("early", ())]
    for wait in events.get("open", ()):
        if len(wait) < 3 or not all(isinstance(number, int | float) for number in wait[:3]):
            raise MalformedPayload("state.events: a wait does not begin with its call and its times")
        rows += wait[3:]
    names = [item.name for item in fields(ExternalEvent)]
    for row in rows:
        if not is_list(row) or len(row) != len(names):
            raise MalformedPayload("state.events: an event has other fields")
        check_fields(ExternalEvent, dict(zip(names, row, strict=True)), "state.events.")


def _check_snapshot(data: _Object) -> None:
    check_fields(_Snapshot, data, "state.scheduler.")
    if not data["documents"]:
        raise MalformedPayload("state.scheduler: there is no graph in the snapshot")
    for run in data["runs"]:
        check_fields(_Run, run, "state.scheduler.runs.")
        for node in run["nodes"].values():
            check_fields(_Node, node, "state.scheduler.runs.nodes.")
            if "nested" in node:
                check_fields(_Nested, node["nested"], "state.scheduler.runs.nodes.nested.")
                if "quorum" in node["nested"]:
                    place = "state.scheduler.runs.nodes.nested.quorum."
                    check_fields(_Quorum, node["nested"]["quorum"], place)
    for call in data["calls"]:
        check_fields(_Call, call, "state.scheduler.calls.")
    unknown = set(_referred(data)) - {run["id"] for run in data["runs"]}
    if unknown:
        raise MalformedPayload(f"state.scheduler: there is no graph with the number {min(unknown)}")


def _referred(data: _Object) -> Iterator[int]:
    """The numbers of the graphs that the snapshot refers to."""
    yield ROOT_RUN_ID
    for run in data["runs"]:
        if "parent" in run:
            yield run["parent"][0]
        for node in run["nodes"].values():
            yield from node.get("nested", {}).get("children", ())
        yield from (graph for kept in run.get("late_rows", {}).values() for _, graph, _ in kept)
    yield from (call["run"] for call in data["calls"])
    yield from (number for number, _ in data["queue"])
