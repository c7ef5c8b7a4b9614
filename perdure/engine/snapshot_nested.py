"""The graphs inside a node in a snapshot (snapshot.py): as plain data, and read again.

Why a light snapshot has little of them: a segment begins with one, which is written in one workflow task, and
Temporal ends such a task after two seconds. To copy the hundred thousand rows of a map of maps takes longer
for each segment. No row needs the results of the others, and a segment stops where a map whose results it
lacks is over (perdure.engine.lifecycle.nested.Withheld). What the maps of one graph have in common, such as
their list of rows, is written once.

Rejected: to bound the results of each map. A run may have four thousand maps open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from perdure.engine.maps.opened_graphs import Nested, Outcome
from perdure.engine.maps.quorum import Missing, Quorum
from perdure.engine.maps.starts import Rows, Start, numbers, ranges
from perdure.engine.plan import Plan
from perdure.graph.values import Value, is_dict

MAX_SNAPSHOT_ROW_COUNT: Final = 500
"""Rows of a map whose results a light snapshot has."""

MAX_SNAPSHOT_ROW_BYTES: Final = 4_000_000
"""Bytes of the results that it has of all maps together."""


@dataclass(slots=True)
class SnapshotRoom:
    """What is left for results of maps in one snapshot, and the different `rows` that its maps have."""

    left: int = MAX_SNAPSHOT_ROW_BYTES
    rows: list[Rows] = field(default_factory=list[Rows])
    _known: dict[tuple[Any, ...], int] = field(default_factory=dict[tuple[Any, ...], int])

    def takes(self, nested: Nested) -> bool:
        """Whether the results of this node go in."""
        if len(nested.results) > MAX_SNAPSHOT_ROW_COUNT or nested.live > self.left:
            return False
        self.left -= nested.live
        return True

    def number_of(self, rows: Rows) -> int:
        """The number among `rows` of those that are made of the same objects."""
        inputs = [(name, id(item)) for row in (rows.values, rows.columns) for name, item in row.items()]
        same = id(rows.rows), rows.row_key, rows.limit, rows.invalid, *inputs
        number = self._known.setdefault(same, len(self.rows))
        if number == len(self.rows):
            self.rows.append(rows)
        return number


def nested_data(nested: Nested, documents: Mapping[int, int], room: SnapshotRoom | None) -> dict[str, Value]:
    """The graphs inside a node as plain data; `documents` has the numbers of plans by their id.

    A light snapshot has `room` for some.
    """
    withheld = nested.withheld or (room is not None and not room.takes(nested))
    data: dict[str, Value] = {
        "call": nested.call,
        "agent": nested.agent,
        "params": nested.params,
        "document": None if nested.plan is None else documents[id(nested.plan)],
        "starts": _starts_data(nested.starts, room),
        "want_all": nested.want_all,
        "rule": nested.rule,
        "opened": nested.opened,
        "children": list(nested.children),
        "withheld": withheld,
        "rows": [] if withheld else ranges(list(nested.results)),
        "results": [] if withheld else [nested.results[row] for row in sorted(nested.results)],
        "kept": [] if withheld else [[ranges(rows), stored] for rows, stored in nested.kept],
        "failed": nested.failed,
        "outcome": None if nested.outcome is None else [nested.outcome.value, nested.outcome.failure],
    }
    if nested.row_steps:
        data["row_steps"] = nested.row_steps
    return data if nested.quorum is None else data | {"quorum": _quorum_data(nested, nested.quorum)}


def _quorum_data(nested: Nested, quorum: Quorum) -> dict[str, Value]:
    data: dict[str, Value] = {
        "rule": [quorum.needed, quorum.deadline, quorum.grace],
        "missing": [[row, missing.why, missing.message] for row, missing in nested.missing.items()],
        "timers": list(nested.timers),
        "has_grace": nested.has_grace,
    }
    if quorum.carries:
        data["places"] = [[graph, row] for graph, row in nested.places.items()]
        data["passes"] = [[row, iteration] for row, iteration in nested.passes.items()]
    return data


def _starts_data(starts: Sequence[Start], room: SnapshotRoom | None) -> Value:
    if isinstance(starts, Rows):
        return rows_data(starts) if room is None else room.number_of(starts)
    return [start.values for start in starts]


def rows_data(rows: Rows) -> Value:
    """Everything of a map's rows, as plain data."""
    names = ("rows", "row_key", "columns", "values", "limit", "invalid")
    return {name: getattr(rows, name) for name in names}


def nested_of(data: Mapping[str, Value], plans: Sequence[Plan], rows: Sequence[Value]) -> Nested:
    """The graphs inside a node that `nested_data` wrote; `rows` are those of maps that have numbers."""
    starts = rows[data["starts"]] if isinstance(data["starts"], int) else data["starts"]
    nested = Nested(
        call=data["call"],
        agent=data["agent"],
        params=data["params"],
        starts=Rows(**starts) if is_dict(starts) else [Start(values=values) for values in starts],
        plan=None if data["document"] is None else plans[int(data["document"])],
        want_all=data["want_all"],
        rule=data["rule"],
        opened=data["opened"],
        withheld=data["withheld"],
        children=list(data["children"]),
        results=dict(zip(numbers(data["rows"], len(data["results"])), data["results"], strict=True)),
        kept=[(numbers(pairs, data["opened"]), stored) for pairs, stored in data["kept"]],
        failed=data["failed"],
        outcome=outcome_of(data["outcome"]),
        row_steps=data.get("row_steps", 0),
    )
    if "quorum" in data:
        _take_quorum(nested, data["quorum"])
    return nested


def _take_quorum(nested: Nested, data: Mapping[str, Value]) -> None:
    needed, deadline, grace = data["rule"]
    nested.quorum = Quorum(needed, deadline, grace, carries="passes" in data)
    nested.places = {graph: row for graph, row in data.get("places", ())}
    nested.passes = {row: iteration for row, iteration in data.get("passes", ())}
    nested.missing = {row: Missing(why, message) for row, why, message in data["missing"]}
    nested.timers, nested.has_grace = list(data["timers"]), data["has_grace"]


def outcome_of(data: Value) -> Outcome | None:
    """How a graph ended, None while it has not."""
    return None if data is None else Outcome(*data)
