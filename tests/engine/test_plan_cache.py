"""Plans that are kept: one for each document, for all callers, and no run can change another's."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from perdure.engine.plan_cache import checked_plan, plan_of, problem_of
from perdure.errors import GraphError
from perdure.graph.values import UNDEFINED

GRAPH: dict[str, Any] = {"nodes": {"a": {"value": 1}, "b": {"agent": "copyAgent", "inputs": {"x": ":a"}}}}
UNWRITABLE: dict[str, Any] = {
    "nodes": {"a": {"value": UNDEFINED}, "b": {"agent": "copyAgent", "inputs": {"x": ":a"}}}
}
"""JSON cannot hold it, so that it has no text to be known by."""


def test_a_text_has_one_plan() -> None:
    plan = plan_of(GRAPH)
    assert plan_of(copy.deepcopy(GRAPH)) is plan
    assert checked_plan(GRAPH, None, frozenset({"copyAgent"})) is plan
    assert plan_of(GRAPH, {"f": GRAPH}) is not plan
    other = copy.deepcopy(GRAPH)
    other["nodes"]["a"]["value"] = 2
    assert plan_of(other) is not plan


def test_what_has_no_text_is_compiled_each_time() -> None:
    plan = checked_plan(UNWRITABLE, None, frozenset({"copyAgent"}))
    assert plan.order == ("a", "b")
    assert plan_of(UNWRITABLE) is not plan
    assert problem_of(UNWRITABLE) is None


@pytest.mark.parametrize("document", [GRAPH, UNWRITABLE])
def test_an_agent_that_does_not_exist(document: dict[str, Any]) -> None:
    assert problem_of(document) is None
    with pytest.raises(GraphError, match="no agent 'copyAgent'"):
        checked_plan(document, None, frozenset({"otherAgent"}))


def test_the_first_problem_is_reported_each_time() -> None:
    wrong = {"nodes": {"a": {"agent": "copyAgent", "inputs": {"x": ":missing"}}}}
    problems = [problem_of(copy.deepcopy(wrong)) for _ in range(2)]
    assert [problem and problem.code for problem in problems] == ["unknown-node", "unknown-node"]
