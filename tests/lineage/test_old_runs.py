"""Runs of earlier versions can be repeated: what each has answered is in its record, and is reused."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory

from perdure.graph.human_input import APPROVAL
from perdure.history.read import replayed
from perdure.history.rerun import prepared
from perdure.lineage.change import Change
from perdure.lineage.forecast import RUNS, Forecast
from perdure.plugin import data_converter
from perdure.storage.claim_check import ClaimCheck
from tests.support.histories import HISTORIES

pytestmark = pytest.mark.anyio


EXECUTED = {
    "actors": {f"processed[{number}].call" for number in range(3)},  # calls of sessions are not reused
    "approved": {"send"},  # its inputs have the time
    "carried": {"naps@1[1].begun"},  # a late row that nothing has waited for
    "eager_session": {"sum"},  # as those of actors
    "failed": {"hopeless"},
    "foreign": {"broken"},
    "hedged": {"late"},
    "kept_inputs": {"third"},  # its inputs are too large
    "labels": {"notes"},
    "local_turn_earlier": {"local"},
    "portions": {
        f"rows[{number}].step" for number in range(1018, 1026)
    },  # begun, when the first execution ends
    "secure_aggregation": {"rounds.masked@1[3].update"},
    "session": {"sum"},  # as those of actors
    "smart_spaces": {f"seen[{number}].count" for number in range(3)},  # as those of actors
    "steered": {"extra"},  # a person has skipped it, and what another has set is reused
    "timed_out": {"outer.slow"},
    "tools_earlier": {  # tools whose names were not recognised then
        "chat.llmToolAgentCallMap[0].offered",
        "chat.llmToolAgentCallMap[1].offered",
        "turns.llmToolAgentCallMap.offered",
    },
}
"""Calls that a rerun of a recorded run makes again: they have no answer."""


CUT_OFF = {"open_rows"}
"""A quota ends this run in the middle of its rows, and its rerun: neither has an answer of the last."""


@pytest.mark.parametrize(
    "path", [path for path in HISTORIES if path.stem not in CUT_OFF], ids=lambda path: path.stem
)
async def test_a_recorded_run_is_repeated(path: Path) -> None:
    history = WorkflowHistory.from_json(path.stem, path.read_text())
    model = await replayed([history], data_converter(None))
    rerun, record = await prepared(model, Change(), ClaimCheck(None, 1_000_000))
    sessions = sum(call.command.options.session is not None for call in model.calls)
    approvals = sum(call.command.agent == APPROVAL for call in model.calls)  # which hold in their run alone
    assert len(record.entries) == len(model.calls) - sessions - approvals
    forecast = Forecast(rerun, {})
    fetches = forecast.play(0)
    executed = {call.position for call in forecast.calls if call.state == RUNS}
    assert executed == EXECUTED.get(path.stem, set())
    assert forecast.finish is not None or fetches or executed or forecast.problem
