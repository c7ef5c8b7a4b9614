"""What events alone say of a run is true: the same as its replay says, for every recorded history."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory

from perdure.graph.values import UNDEFINED
from perdure.history.events_only import event_table
from perdure.history.model import NodeModel
from perdure.history.read import replayed
from perdure.plugin import data_converter
from tests.support.histories import HISTORIES
from tests.support.recorded import normalized

pytestmark = pytest.mark.anyio


def output(node: NodeModel) -> dict[str, Any]:
    names = ("node", "parent", "row", "iteration", "state", "retries")
    failed = node.failure is not None and node.state != "fell-back"  # why it did is in no event
    return {name: getattr(node, name) for name in names} | {"failed": failed}


CUT_OFF = {"open_rows"}
"""A quota ends this run in the middle of its rows: which of them had a place for a call is in no event."""


@pytest.mark.parametrize(
    "path", [path for path in HISTORIES if path.stem not in CUT_OFF], ids=lambda path: path.stem
)
async def test_it_is_true(path: Path) -> None:
    history = WorkflowHistory.from_json("recorded", json.loads(path.read_text()))
    model = await replayed([history], data_converter(None))
    table = (await event_table([history], data_converter(None), model.graph)).nodes
    for address, node in table.items():
        assert output(node) == output(model.nodes[address]), address
        if node.result is not UNDEFINED:
            assert normalized(node.result) == normalized(model.nodes[address].result), address
    called = {
        address for address, node in model.nodes.items() if any(each.activity for each in node.attempts)
    }
    assert called - table.keys() == set()


async def test_of_a_history_that_cannot_be_replayed_it_is_what_is_shown() -> None:
    plain = json.loads(next(path for path in HISTORIES if path.stem == "retried").read_text())
    whole = await replayed([WorkflowHistory.from_json("recorded", plain)], data_converter(None))
    for event in plain["events"]:
        if "timerStartedEventAttributes" in event:
            event["timerStartedEventAttributes"]["timerId"] = "77"
        if "activityTaskScheduledEventAttributes" in event:
            event["activityTaskScheduledEventAttributes"]["activityType"]["name"] = "another"
    model = await replayed([WorkflowHistory.from_json("recorded", plain)], data_converter(None))
    assert "another" in (model.problem or "")
    assert (model.results, model.errors.keys()) == (whole.results, whole.errors.keys())
    assert {address: node.state for address, node in model.nodes.items()} == {
        address: node.state for address, node in whole.nodes.items()
    }


async def test_of_an_open_run_it_says_what_executes() -> None:
    plain = json.loads(next(path for path in HISTORIES if path.stem == "map_reduce").read_text())
    kinds = [event["eventType"] for event in plain["events"]]
    plain["events"] = plain["events"][: kinds.index("EVENT_TYPE_ACTIVITY_TASK_STARTED")]
    table = await event_table([WorkflowHistory.from_json("recorded", plain)], data_converter(None), {})
    states = {address: node.state for address, node in table.nodes.items()}
    assert states == {**{f"mapper[{row}].mapTask": "executing" for row in range(3)}, "mapper": "executing"}
    rows = table.nodes["mapper"].rows
    assert rows is not None
    assert (rows.total, rows.done, rows.failed) == (3, 0, 0)
