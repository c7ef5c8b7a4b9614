"""The figures of reports are those that other code computes from exported histories.

The histories are those of recorded runs, and of three of the runs of `python -m tests.history.reports`, whose
workers were killed, whose agents failed, and which had a store.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.history.compared import differences
from tests.support.histories import HISTORIES

pytestmark = pytest.mark.anyio

REPORTED = sorted(Path(__file__).with_name("reported").glob("*.json"))

NOT_COMPARED = {
    "federated_averaging": "holds arrays, which the other code does not read",
    "gradient_descent": "holds arrays",
    "kept_inputs": "has equal inputs in the store, which count once for the other code",
    "model_pipeline": "holds arrays",
    "secure_aggregation": "holds arrays",
    "rag": "an earlier version wrote some numbers with other digits",
}


def runs() -> dict[str, list[dict[str, Any]]]:
    recorded = {path.stem: [json.loads(path.read_text())] for path in HISTORIES}
    reported = {path.stem: json.loads(path.read_text()) for path in REPORTED}
    return {id: histories for id, histories in (recorded | reported).items() if id not in NOT_COMPARED}


async def test_the_figures_of_many_runs() -> None:
    assert len(REPORTED) == 3
    compared, differing = await differences(runs())
    assert differing == []
    assert compared > 300
