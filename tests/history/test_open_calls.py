"""What the server knows of open calls, in the model."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.activity.v1 import ActivityOptions
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.failure.v1 import Failure
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse

from perdure.history.model import Attempt, NodeModel, Phase, RunModel
from perdure.history.open_calls import with_open_calls
from perdure.monitoring.descriptions import RunDescription

STARTED = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
SCHEDULED = PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
NOW_MS = 100_000


def at(seconds: int) -> Timestamp:
    return Timestamp(seconds=seconds)


def beating(seconds: int) -> dict[str, Any]:
    return {"activity_options": ActivityOptions(heartbeat_timeout=Duration(seconds=seconds))}


def model(activity: str = "a") -> RunModel:
    attempt = Attempt(path="a", activity=activity, scheduled=1_000)
    node = NodeModel(
        address="a",
        node="a",
        state="executing",
        phase=Phase.RUNNING,
        attempts=(attempt,),
        placement="activity",
    )
    return RunModel(id="r", name="g", state="running", graph={"nodes": {}}, nodes={"a": node})


def changed(start: RunModel, **info: Any) -> NodeModel:
    calls = [PendingActivityInfo(activity_id="a", **info)] if info else []
    raw = DescribeWorkflowExecutionResponse(pending_activities=calls)
    after = with_open_calls(start, RunDescription(raw, {}), NOW_MS)
    assert after.counts == {str(after.nodes["a"].phase): 1}
    return after.nodes["a"]


@pytest.mark.parametrize(
    ("phase", "info"),
    [
        (Phase.RUNNING, {"state": STARTED, "attempt": 1, "last_heartbeat_time": at(93), **beating(10)}),
        (Phase.RUNNING, {"state": STARTED, "attempt": 1, "last_heartbeat_time": at(91), **beating(60)}),
        (Phase.RUNNING, {"state": STARTED, "attempt": 1, "last_started_time": at(3)}),
        (Phase.LOST, {"state": STARTED, "attempt": 1, "last_heartbeat_time": at(91), **beating(10)}),
        (Phase.LOST, {"state": STARTED, "attempt": 1, "last_started_time": at(91), **beating(10)}),
        (Phase.QUEUED_THERE, {"state": SCHEDULED, "attempt": 1}),
        (Phase.QUEUED_THERE, {"state": SCHEDULED, "attempt": 2, "next_attempt_schedule_time": at(99)}),
        (Phase.BACKOFF, {"state": SCHEDULED, "attempt": 2, "next_attempt_schedule_time": at(160)}),
        (Phase.PAUSED, {"state": SCHEDULED, "attempt": 2, "paused": True}),
    ],
)
def test_phases(phase: Phase, info: dict[str, Any]) -> None:
    assert changed(model(), **info).phase is phase


def test_the_last_attempt() -> None:
    info: dict[str, Any] = {
        "state": STARTED,
        "attempt": 3,
        "last_failure": Failure(message="429"),
        "last_worker_identity": "1@host",
        "last_started_time": at(90),
        "last_heartbeat_time": at(95),
    }
    (attempt,) = changed(model(), **info).attempts
    assert attempt == Attempt(
        path="a",
        activity="a",
        number=3,
        worker="1@host",
        scheduled=1_000,
        started=90_000,
        failure="429",
        beat=95_000,
    )


def test_a_call_that_was_not_sent_is_held_back_by_the_run() -> None:
    assert changed(model(activity="")).phase is Phase.QUEUED_HERE


def test_a_call_whose_answer_the_run_has_not_taken_yet() -> None:
    assert changed(model()).phase is Phase.RUNNING
