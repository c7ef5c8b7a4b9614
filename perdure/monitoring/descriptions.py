"""What the server knows of runs, read from its own answers.

The SDK's descriptions are not used: they fail for every state that is newer than the SDK, such as "paused",
and so would every command that looks at such a run, or at a list with one in it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from temporalio.api.common.v1 import Memo, WorkflowExecution
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.enums.v1 import WorkflowExecutionStatus as Status
from temporalio.api.workflow.v1 import PendingActivityInfo, WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    ListWorkflowExecutionsRequest,
)
from temporalio.client import Client
from temporalio.converter import decode_typed_search_attributes
from temporalio.service import RPCError

from perdure.engine.attempts import account_at
from perdure.graph.values import Value
from perdure.monitoring.report import PendingCall, RunSummary
from perdure.protocol.names import DIRECTORY, WORKFLOW
from perdure.protocol.payloads import RunStatus, StreamTail
from perdure.temporal.rpc_errors import RPC_TIMEOUT, rpc_error
from perdure.temporal.search_attributes import GRAPH_KEY

STARTED = "started"
"""The member of a run's memo that says when it began; each execution that the run continues in has it."""

OPEN_RUNS_QUERY = f"WorkflowType = '{WORKFLOW}' AND ExecutionStatus = 'Running'"
"""Temporal's list filter for the runs that have not ended."""

PAGE_COUNT = 1000
"""Runs that are asked for at a time: the most that the server gives."""


@dataclass(frozen=True, slots=True)
class RunDescription:
    """What the server knows of a run: its answer `raw`, and the memo of the run, decoded."""

    raw: DescribeWorkflowExecutionResponse
    memo: Mapping[str, Value]

    @property
    def info(self) -> WorkflowExecutionInfo:
        """What is known of open and of ended runs alike."""
        return self.raw.workflow_execution_info

    @property
    def state(self) -> str:
        """The state, in the words of `state_name`."""
        return state_name(self.info.status)

    @property
    def started(self) -> datetime:
        """When the run began."""
        return started_at(self.info, self.memo)

    @property
    def closed(self) -> datetime | None:
        """When the run ended; None while it is open."""
        return _closed(self.info)

    @property
    def task_queue(self) -> str:
        """The queue of its workflow tasks."""
        return self.raw.execution_config.task_queue.name

    @property
    def name(self) -> str:
        """The name of the graph, "" where neither search attributes nor memo have it."""
        return name_of(self.info, self.memo)

    @property
    def paused(self) -> str | None:
        """Who paused the run, and why; None for one that is not paused."""
        if self.info.status != Status.WORKFLOW_EXECUTION_STATUS_PAUSED:
            return None
        pause = self.raw.workflow_extended_info.pause_info
        return by_whom(pause.identity, pause.reason)


def state_name(status: int) -> str:
    """Temporal's word for a run's state, such as "running" or "timed-out"."""
    if status not in Status.values():
        return "unknown"
    name = Status.Name(Status.ValueType(status)).removeprefix("WORKFLOW_EXECUTION_STATUS_")
    return "unknown" if name == "UNSPECIFIED" else name.lower().replace("_", "-")


def name_of(info: WorkflowExecutionInfo, memo: Mapping[str, Value]) -> str:
    """The name of a run's graph, "" where neither search attributes nor memo have it."""
    attribute = None
    with suppress(ValueError):  # attributes of a type that this SDK does not know
        attribute = decode_typed_search_attributes(info.search_attributes).get(GRAPH_KEY)
    return attribute or _text(memo.get("graph"))


def _text(value: Value) -> str:
    return value if isinstance(value, str) else ""


def started_at(info: WorkflowExecutionInfo, memo: Mapping[str, Value]) -> datetime:
    """When the run began, of which this is the latest execution: its client's word, in the memo.

    The server reports only the start of each execution, and a run that continues as new has several. A clock
    of a client that is ahead of the server's does not count.
    """
    start, word = info.start_time.ToDatetime(UTC), memo.get(STARTED)
    try:
        return min(datetime.fromisoformat(word), start) if isinstance(word, str) else start
    except (ValueError, TypeError):  # no time, or one without its zone
        return start


async def described(temporal: Client, id: str, execution: str = "") -> RunDescription:
    """Asks the server about a run: about its last `execution`, or the one of this Temporal run id.

    Raises UsageError when it knows no such run.
    """
    request = DescribeWorkflowExecutionRequest(
        namespace=temporal.namespace, execution=WorkflowExecution(workflow_id=id, run_id=execution)
    )
    try:
        raw = await temporal.workflow_service.describe_workflow_execution(request, timeout=RPC_TIMEOUT)
    except RPCError as error:
        raise rpc_error(error, f"run {id!r}") from error
    return RunDescription(raw, await _memo(temporal, raw.workflow_execution_info.memo))


async def executions(
    temporal: Client, query: str, limit: int | None = None
) -> AsyncIterator[WorkflowExecutionInfo]:
    """What matches Temporal's list filter `query`, newest first, at most `limit` of it."""
    token, count = b"", 0
    while limit is None or count < limit:
        size = PAGE_COUNT if limit is None else min(limit - count, PAGE_COUNT)
        request = ListWorkflowExecutionsRequest(
            namespace=temporal.namespace, query=query, page_size=size, next_page_token=token
        )
        try:
            page = await temporal.workflow_service.list_workflow_executions(request, timeout=RPC_TIMEOUT)
        except RPCError as error:
            raise rpc_error(error, "the list of runs") from error
        for info in page.executions[: None if limit is None else limit - count]:
            yield info
        count, token = count + len(page.executions), page.next_page_token
        if not token:
            return


async def listed(temporal: Client, query: str, limit: int) -> AsyncIterator[RunSummary]:
    """The latest runs that match Temporal's list filter `query`, newest first."""
    async for info in executions(temporal, query, limit):
        memo = await _memo(temporal, info.memo)
        yield RunSummary(
            id=info.execution.workflow_id,
            state=state_name(info.status),
            name=name_of(info, memo),
            started=started_at(info, memo),
            closed=_closed(info),
            event_count=info.history_length,
        )


async def _memo(temporal: Client, memo: Memo) -> dict[str, Value]:
    """What can be read of it: other workflows and other clients have memos of their own."""
    values: dict[str, Value] = {}
    for name, payload in memo.fields.items():
        with suppress(Exception):  # of a codec or a converter, which may raise anything
            values[name] = (await temporal.data_converter.decode([payload]))[0]
    return values


def _closed(info: WorkflowExecutionInfo) -> datetime | None:
    return info.close_time.ToDatetime(UTC) if info.HasField("close_time") else None


def by_whom(identity: str, reason: str) -> str:
    """Who has done something, and why, as far as the server says."""
    return " ".join([*([f"by {identity}"] if identity else []), *([f"({reason})"] if reason else [])])


async def pending_calls(temporal: Client, description: RunDescription) -> list[PendingCall]:
    """The calls of an open run that the server waits for."""
    if description.closed is not None:
        return []
    return [
        _pending_call(item, description.task_queue, await _account(temporal, item))
        for item in description.raw.pending_activities
    ]


def with_nodes(calls: Sequence[PendingCall], status: RunStatus | None) -> tuple[PendingCall, ...]:
    """The calls, with nodes in place of the question that their queue has to answer before they are sent.

    A run asks each queue that its nodes name for its agents (perdure.workflows.queue_agents). Without a
    `status`, the question stays: only the run knows which of its nodes wait for the answer.
    """
    shown: list[PendingCall] = []
    for call in calls:
        is_question = call.agent == DIRECTORY and call.path.startswith(f"{DIRECTORY}@")
        rows = status.nodes if status is not None and is_question else ()
        waiting = [row for row in rows if row.queue == call.queue and row.state == "executing"]
        shown += [
            replace(call, path=row.path, agent=str(row.agent), activity_id=call.path) for row in waiting
        ] or [call]
    return tuple(shown)


async def _account(temporal: Client, item: PendingActivityInfo) -> str:
    """How the attempts of a call have ended, from its last heartbeat."""
    if item.attempt < 2 or not item.heartbeat_details.payloads:
        return ""
    with suppress(Exception):  # it is of a foreign activity, or encoded by a codec that is not here
        (tail,) = await temporal.data_converter.decode(item.heartbeat_details.payloads, [StreamTail])
        return "" if tail.account is None else str(account_at(item.attempt, tail.account))
    return ""


def _pending_call(item: PendingActivityInfo, queue: str, account: str) -> PendingCall:
    started = item.state in (
        PendingActivityState.PENDING_ACTIVITY_STATE_STARTED,
        PendingActivityState.PENDING_ACTIVITY_STATE_PAUSE_REQUESTED,
    )
    manual = item.pause_info.manual
    return PendingCall(
        path=item.activity_id,
        agent=item.activity_type.name,
        started=started,
        since=(item.last_started_time if started else item.scheduled_time).ToMilliseconds(),
        attempt=item.attempt,
        last_failure=item.last_failure.message or None,
        queue=item.activity_options.task_queue.name or queue,
        paused=by_whom(manual.identity, manual.reason) if item.paused else None,
        account=account,
    )
