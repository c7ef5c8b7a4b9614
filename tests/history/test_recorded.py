"""The read model of every recorded history, old ones too: what the run itself said at its end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.common import RawValue

from perdure.engine.state import TERMINAL_STATES
from perdure.history.activities import activities
from perdure.history.model import RunModel
from perdure.history.read import replayed
from perdure.plugin import data_converter
from perdure.protocol.payloads import RunResult
from perdure.protocol.wire import unpack
from tests.support.histories import HISTORIES

pytestmark = pytest.mark.anyio

ENDS = ("EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED", "EVENT_TYPE_WORKFLOW_EXECUTION_FAILED")
ENDED = [path for path in HISTORIES if any(end in path.read_text() for end in ENDS)]
each = pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
each_ended = pytest.mark.parametrize("path", ENDED, ids=lambda path: path.stem)


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


WHOLE: dict[Path, RunModel] = {}
"""The models of whole histories: several tests look at each, none changes it."""


async def whole_model(path: Path) -> RunModel:
    if path not in WHOLE:
        WHOLE[path] = await model_of(read(path))
    return WHOLE[path]


async def model_of(history: dict[str, Any], events: int | None = None) -> RunModel:
    """That of the first `events` events, or of all."""
    cut = {**history, "events": history["events"][:events]}
    return await replayed([WorkflowHistory.from_json("recorded", cut)], data_converter(None))


def result_of(history: dict[str, Any]) -> RunResult:
    """What the run left behind, by its last event."""
    last = WorkflowHistory.from_json("recorded", history).events[-1]
    failed = last.workflow_execution_failed_event_attributes.failure
    ended = failed.application_failure_info.details if failed.message else None
    completed = last.workflow_execution_completed_event_attributes.result
    (payload,) = (completed if ended is None else ended).payloads
    return unpack(RawValue(payload), RunResult, strict=False)


@each_ended
async def test_it_ends_as_the_run_ended(path: Path) -> None:
    history = read(path)
    model, result = await whole_model(path), result_of(history)
    assert model.problem is None
    assert model.results == result.results
    assert model.failure == result.failure
    assert model.errors.keys() == result.errors.keys()
    last = max((node.iteration for node in model.inside(None)), default=0)
    outer = [node for node in model.inside(None) if node.iteration == last]
    assert {node.node: node.state for node in outer} == result.states
    assert {node.node: node.result for node in outer if node.node in result.all} == result.all


@each_ended
async def test_times_follow_each_other(path: Path) -> None:
    model = await whole_model(path)
    times = [transition.time for transition in model.transitions]
    assert times == sorted(times)
    assert model.started is not None
    assert model.ended is not None
    for node in model.nodes.values():
        known = [time for time in (node.ready, node.started, node.ended) if time is not None]
        assert [model.started, *known, model.ended] == sorted([model.started, *known, model.ended])
        assert (node.ended is not None) == (node.state in TERMINAL_STATES)


LOST = ("the connection is closed", "session 'a' is not in this worker")
"""Failures of calls that sessions have lost."""


@each
async def test_nodes_begin_in_the_order_of_the_events(path: Path) -> None:
    history = read(path)
    model = await whole_model(path)
    records = activities(WorkflowHistory.from_json("recorded", history).events).values()
    scheduled = [
        each.id
        for several in records
        for each in several
        # a call that a session has lost is sent again
        if not each.type.startswith("perdure.") and each.failure not in LOST
    ]
    nodes = {each.activity: node.address for node in model.nodes.values() for each in node.attempts}
    expected = [nodes[activity] for activity in scheduled]
    begun = [each.address for each in model.transitions if each.state == "executing"]
    assert [address for address in begun if address in expected] == expected


@each
async def test_every_beginning_of_a_history_has_a_model(path: Path) -> None:
    """A run that is not over: without a worker, and at whatever event its history ends."""
    history = read(path)
    moments = 2 if path.stem == "pauses" else 5  # whose replay takes long
    for count in range(1, len(history["events"]), max(1, len(history["events"]) // moments)):
        model = await model_of(history, count)
        assert (model.problem, model.state, model.is_open) == (None, "running", True)
        assert sum(model.counts.values()) == len(model.nodes)


async def test_of_a_history_that_this_version_cannot_replay_the_reason_is_shown() -> None:
    history = read(next(path for path in HISTORIES if path.stem == "retried"))
    for event in history["events"]:
        if "activityTaskScheduledEventAttributes" in event:
            event["activityTaskScheduledEventAttributes"]["activityType"]["name"] = "another"
    model = await model_of(history)
    assert "another" in (model.problem or "")
    assert (model.state, model.name) == ("completed", "retried")
