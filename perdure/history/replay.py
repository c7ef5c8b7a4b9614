"""Replays histories of runs in this process: no worker takes part, and no agent is called.

Why: the history holds events, and what a node is doing follows from them by the rules of the engine alone. A
reader that derived it from the events would be a second engine, which disagrees with the first sooner or
later. So the workflow's own code is replayed, and asked for what it knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Final

from google.protobuf.json_format import ParseError
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory
from temporalio.converter import DataConverter, PayloadCodec
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    Replayer,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from perdure.errors import UsageError
from perdure.graph.values import UNREADABLE
from perdure.history.journal import Journal
from perdure.lineage.code import joined
from perdure.plugin import GraphPlugin, data_converter
from perdure.workflows.graph_workflow import GraphWorkflow

_UNTAKEN: Final = frozenset(
    {
        EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED,
        EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED,
        EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED,
        EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT,
        EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED,
        EventType.EVENT_TYPE_TIMER_FIRED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
    }
)
"""Events that a worker takes in with its next step."""

_IN_VAIN: Final = frozenset(
    {EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED, EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT}
)
"""Ends of steps that did not count: a worker takes them again."""


@dataclass(slots=True)
class Replayed:
    """What replays have brought: notes of all of them, the workflow of the last one, and why one failed.

    `code` has the digests of the agents (perdure.lineage.code), over all executions.
    """

    journal: Journal = field(default_factory=Journal)
    workflow: GraphWorkflow | None = None
    problem: str | None = None
    code: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(slots=True)
class _Capture(Interceptor):
    replayed: Replayed

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor]:
        replayed = self.replayed

        class Inbound(WorkflowInboundInterceptor):
            async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
                instance = workflow.instance()
                if isinstance(instance, GraphWorkflow):
                    instance.journal, replayed.workflow = replayed.journal, instance
                return await super().execute_workflow(input)

        return Inbound


async def replay(histories: Sequence[WorkflowHistory], converter: DataConverter) -> Replayed:
    """Replays the executions of one run, oldest first."""
    replayed = Replayed()
    with ThreadPoolExecutor(max_workers=1) as executor:
        for history in map(_as_far_as_taken, histories):
            if not history.events:
                continue
            replayer = Replayer(
                workflows=[],
                plugins=[GraphPlugin()],
                interceptors=[_Capture(replayed)],
                data_converter=converter,
                workflow_task_executor=executor,
                debug_mode=True,  # a busy machine is not a deadlock
            )
            result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
            shell = None if replayed.workflow is None else replayed.workflow.shell
            if shell is not None:
                replayed.code = joined(replayed.code, shell.placement.registry.code)
            if result.replay_failure is not None:
                replayed.problem = str(result.replay_failure).partition("\n")[0][:500]
                break
    return replayed


def _as_far_as_taken(history: WorkflowHistory) -> WorkflowHistory:
    """The history without what came after the last step of a worker: the run does not know of it yet.

    A replay would take it in at a time that is not right. Nothing is left of an execution in which no step
    was taken: a replay would wait for one.
    """
    kinds = [event.event_type for event in history.events]
    count = len(kinds) if EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED in kinds else 0
    while count and kinds[count - 1] in {*_UNTAKEN, *_IN_VAIN}:
        is_in_vain = kinds[count - 1] in _IN_VAIN
        count = _last(kinds[:count], EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED) if is_in_vain else count - 1
    return replace(history, events=history.events[:count])


def _last(kinds: Sequence[int], kind: int) -> int:
    """The index of the last one, 0 for none."""
    return max((number for number, other in enumerate(kinds) if other == kind), default=0)


async def problem_in(place: str, data: bytes, codec: PayloadCodec | None = None) -> str | None:
    """Why a history, as JSON at `place`, cannot be replayed by this version; None if it can.

    `codec` is that of the installation. Only an encrypted history is read with it: what is signed can be read
    as it is, and without keys. Raises UsageError for what is not a history, or cannot be decrypted.
    """
    try:
        history = WorkflowHistory.from_json(place, data.decode())
    except (*UNREADABLE, ParseError) as error:
        raise _no_history(place, str(error)) from error
    kinds = [event.event_type for event in history.events]
    if kinds[:1] != [EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED]:
        raise _no_history(place, "it does not begin with the start of a run")
    start = history.events[0].workflow_execution_started_event_attributes
    codec = codec if await _is_encrypted(place, start.input.payloads, codec) else None
    converter = data_converter(replace(DataConverter.default, payload_codec=codec))
    history = replace(history, workflow_id=start.workflow_id or place)
    return (await replay([history], converter)).problem


def _no_history(place: str, reason: str) -> UsageError:
    hint = "temporal workflow show --workflow-id ID --output json > FILE writes one"
    return UsageError(f"{place}: this is not a history: {reason}", hint=hint)


async def _is_encrypted(place: str, payloads: Sequence[Payload], codec: PayloadCodec | None) -> bool:
    """Whether payloads can only be read with the codec. Raises UsageError where that cannot read them."""
    if _are_plain(payloads):
        return False
    if codec is None or not _are_plain(await codec.decode(payloads)):
        raise UsageError(
            f"{place}: this history is encrypted, and its key is not here",
            hint="set PERDURE_CODEC=aead, and PERDURE_CODEC_KEYS to the keys of the worker",
        )
    return True


def _are_plain(payloads: Sequence[Payload]) -> bool:
    return all(payload.metadata.get("encoding", b"").startswith(b"json/") for payload in payloads)
