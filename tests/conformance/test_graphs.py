"""Whole graphs recorded from GraphAI, on both shells; deviations are listed with reasons."""

from pathlib import Path
from typing import Any

import pytest

from tests.conformance import temporal
from tests.support import recorded_run
from tests.support.recorded import DEVIATIONS, HERE, SHARED, Outcome, differences, load_cases

OWN = HERE / "own" / "graphs.json"
UPSTREAM = SHARED / "upstream" / "graphs.json"


def cases(path: Path) -> list[dict[str, Any]]:
    return load_cases(path) if path.exists() else []


def parameters(path: Path) -> list[Any]:
    listed = DEVIATIONS["graphs"]
    return [
        pytest.param(
            case,
            id=case["name"],
            marks=pytest.mark.xfail(reason=listed[case["name"]]) if case["name"] in listed else (),
        )
        for case in cases(path)
    ]


@pytest.mark.parametrize("case", parameters(OWN))
def test_own_graph_in_memory(case: dict[str, Any]) -> None:
    assert differences(case, recorded_run.run_case(case)) == []


@pytest.mark.skipif(
    not UPSTREAM.exists(), reason="the cases of GraphAI's own tests are not part of the project"
)
@pytest.mark.parametrize("case", parameters(UPSTREAM))
def test_upstream_graph_in_memory(case: dict[str, Any]) -> None:
    assert differences(case, recorded_run.run_case(case)) == []


@pytest.fixture(scope="module")
def durable() -> dict[str, tuple[dict[str, Any], Outcome]]:
    """Every third case of those that need no real sleeping, run on a real server.

    `python -m tests.conformance FILE --shell temporal` runs them all.
    """
    lasting = [case for path in (OWN, UPSTREAM) for case in cases(path) if not temporal.waits(case)]
    chosen = lasting[::3]
    return {
        case["name"]: (case, outcome)
        for case, outcome in zip(chosen, temporal.run_cases(chosen), strict=True)
    }


def test_graphs_on_the_durable_shell(durable: dict[str, tuple[dict[str, Any], Outcome]]) -> None:
    all_differences = {name: differences(case, outcome) for name, (case, outcome) in durable.items()}
    different = {name: difference for name, difference in all_differences.items() if difference}
    assert different.keys() <= DEVIATIONS["graphs"].keys(), different
    assert len(durable) >= 70


def test_the_read_model_says_what_the_run_said(durable: dict[str, tuple[dict[str, Any], Outcome]]) -> None:
    assert {name: outcome.log for name, (_, outcome) in durable.items() if outcome.log} == {}


def test_there_are_few_deviations() -> None:
    assert sum(len(listed) for listed in DEVIATIONS.values()) <= 40
    assert all(reason for listed in DEVIATIONS.values() for reason in listed.values())
