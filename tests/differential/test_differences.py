"""Graphs by which the engine once differed from GraphAI, compared with GraphAI's recorded answers."""

import json
from typing import Any

import pytest

from tests.differential.compare import compare
from tests.differential.run import DIFFERENCES
from tests.support.recorded_run import run_case

CASES = [json.loads(path.read_text()) for path in sorted(DIFFERENCES.glob("*.json"))]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_graph_that_differed(case: dict[str, Any]) -> None:
    assert compare(case, case, run_case(case)) == []
