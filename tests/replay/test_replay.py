"""Old runs end as they ended: every recorded history is replayed on the workflow of today.

Temporal's replayer compares the commands, not what is in them: results are compared here.
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    Replayer,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)
from temporalio.workflow import NondeterminismError

from perdure.plugin import GraphPlugin
from tests.support.examples import EXAMPLES
from tests.support.histories import FOLDER, GRAPHS, HISTORIES, private_texts

pytestmark = pytest.mark.anyio

EXAMPLE = FOLDER / "concurrent_profiles.json"

each = pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
sandboxes = pytest.mark.parametrize("strict", [False, True], ids=["plain", "sandbox"])


@dataclass
class Ending(Interceptor):
    """Notes how the replayed run ends."""

    seen: list[Any] = field(default_factory=list)

    def workflow_interceptor_class(
        self, _: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor]:
        seen = self.seen

        class Inbound(WorkflowInboundInterceptor):
            async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
                try:
                    raw: RawValue = await super().execute_workflow(input)
                except ApplicationError as error:
                    seen.append(error.message)
                    raise
                seen.append(ending(raw.payload.data))
                return raw

        return Inbound


def ending(data: bytes) -> Any:
    """A result as JSON, or its bytes if it contains arrays."""
    try:
        return json.loads(data)
    except ValueError:
        return data


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def is_same(end: Any, recorded: Any) -> bool:
    """A message of a failure may begin with the path of the node: those of older versions do not."""
    return end == recorded or (isinstance(end, str) and end.endswith(f": {recorded}"))


def recorded_ending(history: dict[str, Any]) -> Any:
    last = history["events"][-1]
    if "workflowExecutionFailedEventAttributes" in last:
        return last["workflowExecutionFailedEventAttributes"]["failure"]["message"]
    (payload,) = last["workflowExecutionCompletedEventAttributes"]["result"]["payloads"]
    return ending(base64.b64decode(payload["data"]))


async def replay(history: dict[str, Any], *, strict: bool = False) -> list[Any]:
    ending = Ending()
    plugin = GraphPlugin(sandbox=strict)
    # Debugging: a busy machine is not a deadlock.
    replayer = Replayer(workflows=[], plugins=[plugin], interceptors=[ending], debug_mode=True)
    await replayer.replay_workflow(WorkflowHistory.from_json("recorded", history))
    return ending.seen


def test_every_example_and_graph_has_a_history() -> None:
    names = {example.name for example in EXAMPLES} | {path.stem for path in GRAPHS}
    assert {path.stem for path in HISTORIES} >= names


@each
def test_it_tells_nothing_about_the_machine_it_was_recorded_on(path: Path) -> None:
    text = path.read_text()
    assert private_texts(text) == []
    assert text.count('"identity": "') == text.count('"identity": "recorder"')


@sandboxes
@each
async def test_it_ends_as_it_ended(path: Path, strict: bool) -> None:
    history = read(path)
    ends = await replay(copy.deepcopy(history), strict=strict)
    if events_of(history, "workflowExecutionContinuedAsNewEventAttributes"):
        assert ends == []
    else:
        (end,) = ends
        assert is_same(end, recorded_ending(history))


# ---- what must not go unnoticed ---------------------------------------------------------------------


def events_of(history: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [event[kind] for event in history["events"] if kind in event]


def renamed_activity(history: dict[str, Any]) -> None:
    events_of(history, "activityTaskScheduledEventAttributes")[0]["activityType"]["name"] = "anotherAgent"


def another_place(history: dict[str, Any]) -> None:
    events_of(history, "activityTaskScheduledEventAttributes")[0]["activityId"] = "userProfiles[7].profile"


def swapped_activities(history: dict[str, Any]) -> None:
    first, second = events_of(history, "activityTaskScheduledEventAttributes")[:2]
    for key in ("activityType", "activityId"):
        first[key], second[key] = second[key], first[key]


def renamed_local_activity(history: dict[str, Any]) -> None:
    (payload,) = events_of(history, "markerRecordedEventAttributes")[-1]["details"]["data"]["payloads"]
    data = json.loads(base64.b64decode(payload["data"]))
    assert data["activity_type"] == "perdure.segment"
    payload["data"] = base64.b64encode(json.dumps({**data, "activity_type": "other"}).encode()).decode()


def a_timer_instead(history: dict[str, Any]) -> None:
    event = next(event for event in history["events"] if "activityTaskScheduledEventAttributes" in event)
    del event["activityTaskScheduledEventAttributes"]
    event["eventType"] = "EVENT_TYPE_TIMER_STARTED"
    event["timerStartedEventAttributes"] = {"timerId": "1", "startToFireTimeout": "1s"}


@pytest.mark.parametrize(
    "alter",
    [renamed_activity, another_place, swapped_activities, renamed_local_activity, a_timer_instead],
)
async def test_another_order_or_name_of_commands_is_noticed(alter: Callable[[dict[str, Any]], None]) -> None:
    history = read(EXAMPLE)
    alter(history)
    with pytest.raises(NondeterminismError):
        await replay(history)


async def test_another_result_is_noticed() -> None:
    history = read(EXAMPLE)
    details = events_of(history, "markerRecordedEventAttributes")[-1]["details"]
    payload = details["result"]["payloads"][0]
    data = json.loads(base64.b64decode(payload["data"]))
    data["answers"][-1][2] = {"name": "Dora"}
    payload["data"] = base64.b64encode(json.dumps(data).encode()).decode()
    assert await replay(history) != [recorded_ending(history)]
