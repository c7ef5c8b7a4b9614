"""How graphs and runs are compared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from perdure.cli.commands.runs.diff import lines
from perdure.graph.values import UNDEFINED
from perdure.lineage.compare import (
    CallDifference,
    ComparedCall,
    GraphDifference,
    NodeDifference,
    by_node,
    call_differences,
    first_difference,
    graph_differences,
)
from tests.support.commands import call

OLD: dict[str, Any] = {
    "nodes": {
        "word": {"value": 1},
        "same": {"agent": "a", "inputs": {"x": ":word"}},
        "how": {"agent": "a"},
        "what": {"agent": "a", "params": {"p": 1}},
        "map": {"agent": "mapAgent", "graph": {"nodes": {"in": {"agent": "a"}, "out": {"agent": "b"}}}},
        "gone": {"agent": "a"},
    }
}
NEW: dict[str, Any] = {
    "nodes": {
        "word": {"value": 2},
        "same": {"agent": "a", "inputs": {"x": ":word"}},
        "how": {"agent": "a", "retry": 2, "queue": "q"},
        "what": {"agent": "a", "params": {"p": 2}, "retry": 1},
        "map": {"agent": "mapAgent", "graph": {"nodes": {"in": {"agent": "c"}, "new": {"agent": "b"}}}},
    }
}


def test_graphs() -> None:
    assert graph_differences(OLD, OLD) == []
    assert graph_differences(OLD, NEW) == [
        GraphDifference("word", "value", ("value",)),
        GraphDifference("how", "how", ("queue", "retry")),
        GraphDifference("what", "what", ("params", "retry")),
        GraphDifference("map[].in", "what", ("agent",)),
        GraphDifference("map[].new", "added"),
        GraphDifference("map[].out", "removed"),
        GraphDifference("gone", "removed"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "at"),
    [
        (1, 1, None),
        (1, 1.5, "."),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, ".a[1].b"),
        ([1], [1, 2], "[1]"),
        ({"a": 1}, {}, ".a"),
        ({"a": UNDEFINED}, {}, None),
    ],
)
def test_where_values_begin_to_differ(old: Any, new: Any, at: str | None) -> None:
    assert first_difference(old, new) == at


def test_runs() -> None:
    first = {"same": (1, "r"), "own": (1, "r"), "in": (1, "r"), "absorbed": (1, "r"), "gone": (1, "r")}
    second = {"same": (1, "r"), "own": (1, "s"), "in": (2, "s"), "absorbed": (2, "r"), "new": (1, "r")}
    kinds = {each.position: each.kind for each in call_differences(calls(first), calls(second))}
    assert kinds == {
        "same": "equal",
        "own": "own",
        "in": "inputs",
        "absorbed": "absorbed",
        "gone": "first",
        "new": "second",
    }


def test_rows_that_have_moved_are_compared_with_what_they_were() -> None:
    first = calls({"m[0].n": ("a", "A"), "m[1].n": ("b", "B"), "m[2].n": ("c", "C")})
    second = calls({"m[0].n": ("c", "C"), "m[1].n": ("x", "X"), "m[2].n": ("a", "other")})
    assert call_differences(first, second) == [
        CallDifference("m[0].n", "equal", partner="m[2].n"),
        CallDifference("m[1].n", "inputs", "."),
        CallDifference("m[2].n", "own", ".", "m[0].n"),
    ]


def test_calls_are_counted_by_node() -> None:
    first = calls({"m[0].n": ("a", "A"), "m[1].n": ("b", "B"), "end": (1, 1)})
    second = calls({"m[0].n": ("a", "A"), "m[1].n": ("x", "X"), "m[2].n": ("y", "Y"), "end": (1, 1)})
    second["end"] = replace(second["end"], is_reused=True)
    differences = call_differences(first, second)
    assert by_node(differences) == [
        NodeDifference("m[].n", {"equal": 1, "inputs": 1, "second": 1}, 0),
        NodeDifference("end", {"equal": 1}, 1),
    ]
    assert lines(differences) == [
        "node   equal  reused  different\n"
        "m[].n  1              the result differs, and so do the inputs or params; only in the second run\n"
        "end    1      1",
        "",
        "call    difference                                          from\n"
        "m[1].n  the result differs, and so do the inputs or params  .\n"
        "m[2].n  only in the second run",
        "2 calls are equal, 1 of them reused; 2 differ",
    ]


def calls(of: dict[str, tuple[Any, Any]]) -> dict[str, ComparedCall]:
    return {
        position: ComparedCall(call(number, position, {"x": asked}), result)
        for number, (position, (asked, result)) in enumerate(of.items())
    }
