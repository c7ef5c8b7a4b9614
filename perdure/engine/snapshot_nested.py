"""The graphs inside a node in a snapshot (snapshot.py): as plain data, and read again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from perdure.engine.maps.quorum import Missing, Quorum
from perdure.engine.maps.starts import Rows, Start, numbers, ranges
from perdure.engine.plan import Plan
from perdure.engine.state import Nested, Outcome
from perdure.graph.values import Value, is_dict

MAX_SNAPSHOT_ROW_COUNT: Final = 500
"""Rows of a map whose results a light snapshot has."""


def nested_data(nested: Nested, documents: Mapping[int, int], light: bool) -> dict[str, Value]:
    """The graphs inside a node as plain data; `documents` has the numbers of plans by their id."""
    withheld = nested.withheld or (light and len(nested.results) > MAX_SNAPSHOT_ROW_COUNT)
    data: dict[str, Value] = {
        "call": nested.call,
        "agent": nested.agent,
        "params": nested.params,
        "document": None if nested.plan is None else documents[id(nested.plan)],
        "starts": _starts_data(nested.starts),
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
    return data if nested.quorum is None else data | {"quorum": _quorum_data(nested, nested.quorum)}


def _quorum_data(nested: Nested, quorum: Quorum) -> dict[str, Value]:
    return {
        "rule": [quorum.needed, quorum.deadline, quorum.grace],
        "missing": [[row, missing.why, missing.message] for row, missing in nested.missing.items()],
        "timers": list(nested.timers),
        "has_grace": nested.has_grace,
    }


def _starts_data(starts: Sequence[Start]) -> Value:
    if isinstance(starts, Rows):
        names = ("rows", "row_key", "columns", "values", "limit", "invalid")
        return {name: getattr(starts, name) for name in names}
    return [start.values for start in starts]


def nested_of(data: Mapping[str, Value], plans: Sequence[Plan]) -> Nested:
    """The graphs inside a node that `nested_data` wrote."""
    starts = data["starts"]
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
        kept=[(numbers(rows, data["opened"]), stored) for rows, stored in data["kept"]],
        failed=data["failed"],
        outcome=outcome_of(data["outcome"]),
    )
    if "quorum" in data:
        _take_quorum(nested, data["quorum"])
    return nested


def _take_quorum(nested: Nested, data: Mapping[str, Value]) -> None:
    needed, deadline, grace = data["rule"]
    nested.quorum = Quorum(needed, deadline, grace)
    nested.missing = {row: Missing(why, message) for row, why, message in data["missing"]}
    nested.timers, nested.has_grace = list(data["timers"]), data["has_grace"]


def outcome_of(data: Value) -> Outcome | None:
    """How a graph ended, None while it has not."""
    return None if data is None else Outcome(*data)
