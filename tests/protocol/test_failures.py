"""Which node a run failed for."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.engine.state import NodeState
from perdure.protocol.failures import MAX_FAILED_COUNT, FailureLog, NodeFailure

pytestmark = pytest.mark.unit


class Node:
    state = NodeState.FAILED

    def __init__(self, error: str | None) -> None:
        self.error = error


class Graph:
    """As much of a GraphRun as a log reads."""

    def __init__(self, path: str, error: str | None) -> None:
        self.path, self.nodes = path, {"n": Node(error)}

    def key_of(self, node: str) -> str:
        return self.path


def log_of(*failed: tuple[str, str | None]) -> FailureLog:
    log = FailureLog()
    for path, error in failed:
        graph: Any = Graph(path, error)
        log.observe(graph, "n")
    return log


CASES: list[tuple[list[tuple[str, str | None]], dict[str, str], str]] = [
    ([], {}, ""),
    ([("a", "no")], {"b": "another"}, ""),
    ([("a", "no")], {"a": "no"}, "a"),
    ([("m[1].x", "no"), ("m", "no")], {"m": "no"}, "m[1].x"),
    ([("m[0].x", "no"), ("m[1].b.y", "no"), ("m[1].b", "no"), ("m", "no")], {"m": "no"}, "m[1].b.y"),
    ([("a.x", "no"), ("b.x", "no"), ("b", "no")], {"b": "no"}, "b.x"),
    ([("b.x", "no"), ("bb.x", "no"), ("b", "no")], {"b": "no"}, "b.x"),
    ([("b@1.x", "no"), ("b@2.x", "no"), ("b@2", "no")], {"b": "no"}, "b@2.x"),
    ([("b.x", None), ("b.y", "no"), ("b", "no")], {"b": "no"}, "b.y"),
    ([("b.x", "inner"), ("b", "no")], {"b": "no"}, "b"),
    ([*((f"m[{row}].x", f"{row}") for row in range(100)), ("m", "99")], {"m": "99"}, "m[99].x"),
]


@pytest.mark.parametrize(("failed", "errors", "place"), CASES)
def test_the_place_of_a_failure(
    failed: list[tuple[str, str | None]], errors: dict[str, str], place: str
) -> None:
    failure = failed[-1][1] if failed else "the run has used up its quota"
    assert log_of(*failed).place_of(failure or "", errors) == place


def test_of_a_run_that_continues_another() -> None:
    log = log_of(("m", "no"))
    log.earlier = [("m[3].x", "no")]
    assert (log.entries(), log.place_of("no", {"m": "no"})) == ([("m[3].x", "no"), ("m", "no")], "m[3].x")


def test_the_first_failures_are_shown() -> None:
    log = log_of(*((f"n{number}", "no") for number in range(MAX_FAILED_COUNT + 5)))
    assert [path for path, _ in log.entries()] == [f"n{number}" for number in range(MAX_FAILED_COUNT)]


def test_a_message_with_its_hint() -> None:
    assert NodeFailure.of("a", "no\n  hint: try") == NodeFailure("a", "no", "try")
    assert NodeFailure.of("", "no") == NodeFailure("", "no", "")
