"""Runs of earlier versions can be repeated: what each has answered is in its record, and is reused."""

from __future__ import annotations

import pytest
from temporalio.client import WorkflowHistory

from perdure.history.read import replayed
from perdure.history.rerun import prepared
from perdure.lineage.change import Change
from perdure.lineage.forecast import RUNS, Forecast
from perdure.plugin import data_converter
from perdure.storage.claim_check import ClaimCheck
from tests.support.histories import FOLDER

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("name", "runs"),
    [
        ("hello", []),
        ("retried", []),
        ("loop", []),
        ("nested", []),
        ("quorum", []),
        ("approval", []),
        ("rerun", []),
        ("failed", ["hopeless"]),
        ("timed_out", ["outer.slow"]),
        ("steered", ["extra"]),  # a person has skipped it, and what another has set is reused
    ],
)
async def test_a_recorded_run_is_repeated(name: str, runs: list[str]) -> None:
    history = WorkflowHistory.from_json(name, (FOLDER / f"{name}.json").read_text())
    model = await replayed([history], data_converter(None))
    rerun, record = await prepared(model, Change(), ClaimCheck(None, 1_000_000))
    assert len(record.entries) == len(model.calls) > 0
    forecast = Forecast(rerun, {})
    assert not forecast.play(0)
    assert [call.position for call in forecast.calls if call.state == RUNS] == runs
    assert (forecast.finish is not None) == (not runs)
