"""What is written in histories, or sent between versions, keeps its name forever.

Nothing here is rewritten by a command. A name that is missing here is lost for every run that began before.
"""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

import pytest
from temporalio import activity, workflow

from perdure.activities.activity import AgentActivities
from perdure.engine.attempts import AttemptAccount
from perdure.engine.closed_questions import Receipt
from perdure.engine.human_tasks import Answer, HumanPrompt
from perdure.engine.inbox.events import EventBatch, EventReceipt, ExternalEvent
from perdure.engine.outcomes import Failure
from perdure.engine.steering.request import NodeChange
from perdure.protocol import payloads, wire
from perdure.protocol.agents import AgentRegistry, FilterScope
from perdure.protocol.call_record import CallRecord
from perdure.protocol.interventions import Intervention
from perdure.protocol.names import (
    AGENT_ABSENT,
    DISTINCT_ACTIVITIES,
    FETCHES_IN_TURN,
    NOTICE,
    SEGMENTS_IN_TURN,
    SEND_AFTER_DRAIN,
    SLOT_SHARED,
    STATE_IN_PORTIONS,
    STATUS_ATTRIBUTE,
    WORKFLOW,
)
from perdure.protocol.records import to_plain
from perdure.protocol.steering import RunGraph, SteeringOrder, SteeringReceipt
from perdure.settings import Settings
from perdure.storage.claim_check import ClaimCheck
from perdure.temporal.search_attributes import GRAPH_KEY
from perdure.workflows.activity_options import FINAL_ERROR_TYPES
from perdure.workflows.graph_workflow import GraphWorkflow
from perdure.workflows.notices import NoticeWorkflow

FIELDS = {
    payloads.RunRequest: """document name queue indexed state indexes_questions reuse principal injects config
        graphs bypass_agents force_loop loop_count previous_results events quotas""",
    payloads.RunResult: "results all errors states failure place",
    payloads.AgentCall: """agent inputs params config filter_params node path key run retry is_result version
        verbose timeout bypassed deadline keyed_by_work grant session principal""",
    payloads.BatchCall: "calls shared",
    payloads.FirstSegmentRequest: "request run now continues needs",
    payloads.SegmentRequest: "scheduler places directory request now run unsent recalled",
    payloads.SegmentResult: "answers alone console end seconds recalled missed refusal",
    payloads.StreamTail: "attempt offset text path account",
    Answer: "path value who id",
    Receipt: "path already early count need who at digest",
    payloads.NodeStatus: "path state agent queue since retries error done total",
    payloads.RunStatus: "name iteration questions counts nodes streams console console_offset early failures"
    " paused interventions",
    payloads.RunChanges: "count changes open questions console console_offset",
    HumanPrompt: """path message role required node agent schema prefill who quorum remind escalate timeout
        asked answers notify""",
    SteeringOrder: "if_hash who why graph values retries skips pauses resumes running done rows keeps now",
    SteeringReceipt: "hash nodes refusal",
    RunGraph: "document hash paused interventions",
    Intervention: "at who why what hash",
    NodeChange: "place change state action finding hint",
    AgentRegistry: "pure others human queues local_activities store filters first event_steps allowed_queues"
    " own_queue asks_queues keys_by_work times_questions strict_json agent_wait recalls orders_locals"
    " takes_in_turn"
    " channels page quorums grants profile waits foresees carries moves_rows unreused code labels"
    " foresees_rows numbers_notices weighs paces_reruns eager_sessions foresees_open"
    " keeps_in_turn bounds_inputs",
    EventBatch: "events",
    ExternalEvent: "topic id key sender at body",
    EventReceipt: "taken already",
    payloads.HumanNotice: """id event run graph path message who channels at asked closes number how by""",
    CallRecord: """host got cached put got_ms put_ms transient lost blocked stopped absent lost_on""",
    FilterScope: "agents nodes pure",
    AttemptAccount: """transient lost blocked stopped absent absent_since unknown last rests_until host
        lost_on""",
}
"""The fields of what crosses Temporal. A new one needs a default, for what older versions sent."""


@pytest.mark.parametrize("kind", FIELDS, ids=lambda kind: kind.__name__)
def test_fields(kind: Any) -> None:
    required = [item for item in fields(kind) if item.default is MISSING and item.default_factory is MISSING]
    sparse = [item for item in fields(kind) if item.metadata.get("sparse")]
    values = {item.name: None for item in (*required, *sparse)}
    assert list(to_plain(kind(**values))) == FIELDS[kind].split()


def test_patches() -> None:
    assert FETCHES_IN_TURN == "fetches-in-turn"
    assert SEGMENTS_IN_TURN == "segments-in-turn"
    assert SEND_AFTER_DRAIN == "send-after-drain"
    assert DISTINCT_ACTIVITIES == "distinct-activities"
    assert STATE_IN_PORTIONS == "state-in-portions"


def test_workflow() -> None:
    definition = workflow._Definition.must_from_class(GraphWorkflow)
    assert (definition.name, WORKFLOW) == ("Graph", "Graph")
    assert set(definition.signals) == {None}  # any signal is taken, none means anything
    assert set(definition.queries) == {"status", "changes", "graph", "preview"}
    assert set(definition.updates) == {"answer", "event", "steer"}


def test_the_workflow_of_notices() -> None:
    assert workflow._Definition.must_from_class(NoticeWorkflow).name == NOTICE == "perdure.notice"


def test_activities() -> None:
    every = AgentActivities(agents={}, settings=Settings(), claims=ClaimCheck(None, 0)).all()
    definition: Any = activity._Definition  # pyright: ignore[reportPrivateUsage] -- there is no public way to the name
    names = {definition.must_from_callable(each).name for each in every}
    assert names == {
        "perdure.agents",
        "perdure.segment",
        "perdure.fetch",
        "perdure.keep",
        "perdure.notice",
        None,
    }


def test_error_types() -> None:
    assert set(FINAL_ERROR_TYPES) == {
        "AgentError",
        "Timeout",
        "FinalError",
        "UnknownAgent",
        "ValueTooLarge",
        "DeadlineExceeded",
        "TooLargeForLocal",
    }


def test_types_of_failures_that_are_no_exceptions() -> None:
    assert (AGENT_ABSENT, SLOT_SHARED) == ("AgentAbsent", "SlotShared")
    assert Failure("m", "timed-out", final=True).kind == "DeadlineExceeded"


def test_metadata() -> None:
    assert (wire.ENCODING, wire.PLACES) == (b"json/plain", "perdure-special")
    assert set(wire.pack(None, console=["x"], stream=["y"]).payload.metadata) == {
        "encoding",
        "perdure-console",
        "perdure-stream",
    }


def test_search_attributes() -> None:
    assert (GRAPH_KEY.name, STATUS_ATTRIBUTE) == ("PerdureGraph", "PerdureStatus")
