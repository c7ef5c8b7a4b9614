"""The client: starts runs, attaches to them, asks how they are, stops them.

    client = await connect()
    run = await client.start(graph, inputs={"name": "x"}, id="r1")
    result = await run.result()

It names agents by text and never imports one.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from temporalio.api.enums.v1 import PendingActivityState, TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
)
from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.envconfig import ClientConfig
from temporalio.exceptions import ApplicationError, CancelledError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from perdure import server
from perdure.daemon import Lease
from perdure.errors import (
    ConnectionFailed,
    GraphError,
    Problem,
    RunCancelled,
    RunConflict,
    RunFailed,
    UsageError,
)
from perdure.graph.check import first_problem, modernized
from perdure.graph.values import Value, is_dict, normalize
from perdure.payloads import RunRequest, RunResult, RunStatus, from_plain
from perdure.plugin import GraphPlugin
from perdure.settings import Settings

WORKFLOW = "Graph"
GRAPH = SearchAttributeKey.for_keyword("PerdureGraph")
STATUS = SearchAttributeKey.for_keyword("PerdureStatus")
RPC_TIMEOUT = timedelta(seconds=10)
QUERY_TIMEOUT = timedelta(seconds=3)
CONNECT_TIMEOUT = timedelta(seconds=10)

# Temporal's ids may be longer; this one must also fit the names of activities and files
_ID = re.compile(r"[^\x00-\x1f\x7f]{1,200}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingCall:
    """A call of an agent that has no result yet. `started` tells whether a worker has it."""

    path: str
    agent: str
    started: bool
    attempt: int = 1
    last_failure: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """How a run is: `state` is Temporal's word in small letters, such as "running".

    `unserved` are the task queues that it waits for and no worker serves.
    """

    id: str
    state: str
    name: str = ""
    started: datetime | None = None
    closed: datetime | None = None
    status: RunStatus | None = None
    pending: tuple[PendingCall, ...] = ()
    unserved: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One line of a list of runs."""

    id: str
    state: str
    name: str
    started: datetime
    closed: datetime | None


@dataclass(frozen=True, slots=True)
class Run:
    """A run, started here or elsewhere."""

    client: GraphClient
    id: str

    @property
    def handle(self) -> WorkflowHandle[Any, Any]:
        """The Temporal handle underneath."""
        return self.client.temporal.get_workflow_handle(self.id, result_type=RunResult)

    async def result(self) -> RunResult:
        """Waits for the end. Raises RunFailed when a node failed, RunCancelled when it was stopped."""
        try:
            return await self.handle.result()
        except WorkflowFailureError as error:
            raise _run_error(self.id, error.cause) from error
        except RPCError as error:
            raise _rpc_error(error, f"run {self.id!r}") from error

    async def cancel(self) -> None:
        """Asks the run to stop: running agents are told, and no node starts any more."""
        try:
            await self.handle.cancel(rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            raise _rpc_error(error, f"run {self.id!r}") from error

    async def status(self, console_from: int = 0) -> RunStatus | None:
        """What the run itself says; None when no worker answers in time."""
        try:
            return await self.handle.query(
                "status", console_from, result_type=RunStatus, rpc_timeout=QUERY_TIMEOUT
            )
        except (RPCError, WorkflowQueryFailedError, WorkflowQueryRejectedError):
            return None

    async def report(self) -> RunReport:
        """How the run is, and what it waits for: also when no worker is there to ask."""
        try:
            description = await self.handle.describe(rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            raise _rpc_error(error, f"run {self.id!r}") from error
        pending = tuple(_pending(description))
        queues = {call.queue for call in pending} | {description.task_queue}
        running = description.status is WorkflowExecutionStatus.RUNNING
        unserved = sorted([queue for queue in queues if running and not await self.client.is_served(queue)])
        return RunReport(
            id=self.id,
            state=_state(description.status),
            name=description.typed_search_attributes.get(GRAPH) or "",
            started=description.start_time,
            closed=description.close_time,
            status=await self.status() if description.task_queue not in unserved else None,
            pending=pending,
            unserved=tuple(unserved),
        )


@dataclass(frozen=True, slots=True)
class GraphClient:
    """A connection to Temporal. `embedded` is the server that was started for it, if any.

    `lease` keeps that server from stopping while this process lives, or until `close`.
    """

    temporal: Client
    settings: Settings = field(default_factory=Settings.from_env)
    embedded: server.Embedded | None = None
    lease: Lease | None = None

    def close(self) -> None:
        """Lets go of the embedded server, which may then stop when idle."""
        if self.lease is not None:
            self.lease.__exit__(None, None, None)

    async def start(
        self,
        graph: Mapping[str, Value],
        inputs: Mapping[str, Value] | None = None,
        *,
        id: str | None = None,
        name: str = "graph",
        queue: str | None = None,
        config: Mapping[str, Value] | None = None,
        **options: Any,
    ) -> Run:
        """Starts a run, or attaches to the one that has this id and the same body.

        `graph` is a document as perdure.graph.load reads it; `inputs` go into static nodes. `name`
        is shown in lists. Other `options` are fields of RunRequest. Raises GraphError for a graph
        that is wrong, UsageError for an input that fits no node, and RunConflict when the id is
        taken by a run with another graph or other inputs.
        """
        document = modernized(normalize(graph))
        problem = first_problem(document)
        if problem is not None:
            raise GraphError([problem])
        request = RunRequest(
            document=document,
            name=name,
            queue=queue or self.settings.queue,
            injects=_injects(document, normalize(inputs or {})),
            config=config or {},
            **options,
        )
        return await self.submit(request, id)

    async def submit(self, request: RunRequest, id: str | None = None) -> Run:
        """Starts a run of a request that was checked; the errors are those of `start`."""
        run_id = id or f"{_slug(request.name)}-{secrets.token_hex(5)}"
        if not _ID.fullmatch(run_id):
            raise UsageError(f"{run_id!r} is no id: 1 to 200 characters, none of them a control character")
        body = _body(request)
        attributes = [SearchAttributePair(GRAPH, request.name), SearchAttributePair(STATUS, "running")]
        arguments: dict[str, Any] = {
            "id": run_id,
            "task_queue": request.queue,
            "memo": {"graph": request.name, "body": body},
            "id_reuse_policy": WorkflowIDReusePolicy.REJECT_DUPLICATE,
            "id_conflict_policy": WorkflowIDConflictPolicy.USE_EXISTING,
            "static_summary": request.name[:200],
            "rpc_timeout": RPC_TIMEOUT,
        }
        run = Run(self, run_id)
        try:
            if self.embedded is not None or await self._knows_attributes():
                arguments["search_attributes"] = TypedSearchAttributes(attributes)
                request = _indexed(request)
            await self.temporal.start_workflow(WORKFLOW, request, **arguments)
        except WorkflowAlreadyStartedError:
            pass  # it has ended; attached to like a running one
        except RPCError as error:
            raise _rpc_error(error, "the start") from error
        if id is not None:
            await self._compare(run, body)
        return run

    async def _compare(self, run: Run, body: str) -> None:
        description = await run.handle.describe(rpc_timeout=RPC_TIMEOUT)
        known = (await description.memo()).get("body")
        if known != body:
            raise RunConflict(
                f"run {run.id!r} exists with another graph or other inputs; choose another --id, "
                f"or look at it: perdure status {run.id}"
            )

    async def _knows_attributes(self) -> bool:
        """Whether this server has Perdure's search attributes; an unknown one makes a start fail."""
        from temporalio.api.operatorservice.v1 import (  # noqa: PLC0415 -- only where a server is foreign
            ListSearchAttributesRequest,
        )

        try:
            answer = await self.temporal.operator_service.list_search_attributes(
                ListSearchAttributesRequest(namespace=self.temporal.namespace), timeout=RPC_TIMEOUT
            )
        except RPCError:
            return False
        return {GRAPH.name, STATUS.name} <= set(answer.custom_attributes)

    def get(self, id: str) -> Run:
        """The run with this id, whoever started it."""
        return Run(self, id)

    async def list(self, limit: int = 20, query: str = "") -> AsyncIterator[RunSummary]:
        """The latest runs, newest first. `query` is Temporal's list filter."""
        wanted = f"WorkflowType = '{WORKFLOW}'" + (f" AND ({query})" if query else "")
        try:
            async for found in self.temporal.list_workflows(wanted, limit=limit):
                name = found.typed_search_attributes.get(GRAPH) or ""
                yield RunSummary(found.id, _state(found.status), name, found.start_time, found.close_time)
        except RPCError as error:
            raise _rpc_error(error, "the list of runs") from error

    async def is_served(self, queue: str) -> bool:
        """Whether a worker has asked this task queue for work lately."""
        for kind in (TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW):
            answer = await self.temporal.workflow_service.describe_task_queue(
                DescribeTaskQueueRequest(
                    namespace=self.temporal.namespace,
                    task_queue=TaskQueue(name=queue),
                    task_queue_type=kind,
                ),
                timeout=RPC_TIMEOUT,
            )
            if answer.pollers:
                return True
        return False


async def connect(settings: Settings | None = None) -> GraphClient:
    """Connects as the environment says: TEMPORAL_ADDRESS or a Temporal profile, else the embedded server.

    Raises ConnectionFailed when no server answers.
    """
    settings = settings or Settings.from_env()
    config = ClientConfig.load_client_connect_config()
    embedded = lease = None
    if not config.get("target_host"):
        lease = server.lease(settings)
        lease.__enter__()
        embedded = await asyncio.to_thread(server.ensure, settings)
        config["target_host"] = embedded.address
    address = config.get("target_host", "")
    try:
        temporal = await Client.connect(
            **config, plugins=[GraphPlugin()], connect_timeout=CONNECT_TIMEOUT
        )
    except (RPCError, RuntimeError) as error:
        raise ConnectionFailed(
            f"no Temporal server answers at {address}: {_short(error)}; start one there, "
            "or unset TEMPORAL_ADDRESS to use the embedded server"
        ) from error
    return GraphClient(temporal, settings, embedded, lease)


def _injects(document: Any, inputs: dict[str, Value]) -> list[list[Value]]:
    for name in inputs:
        node = document["nodes"].get(name)
        if node is None or "agent" in node:
            statics = [key for key, item in document["nodes"].items() if "agent" not in item]
            finding = "is computed" if node is not None else "is no node of the graph"
            known = ", ".join(statics) or "none"
            raise UsageError(f"input {name!r} {finding}; inputs go into static nodes: {known}")
    return [[name, value] for name, value in inputs.items()]


def _indexed(request: RunRequest) -> RunRequest:
    return replace(request, indexed=True)


def _body(request: RunRequest) -> str:
    """A hash of everything that decides what a run computes."""
    parts = [request.document, list(request.injects), dict(request.config), request.graphs]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=repr).encode()).hexdigest()


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:60] or "graph"


def _state(status: WorkflowExecutionStatus | None) -> str:
    return "unknown" if status is None else status.name.lower().replace("_", "-")


@dataclass(frozen=True, slots=True, kw_only=True)
class _QueuedCall(PendingCall):
    queue: str


def _pending(description: WorkflowExecutionDescription) -> list[_QueuedCall]:
    status = description.status
    if status is not WorkflowExecutionStatus.RUNNING:
        return []
    return [
        _QueuedCall(
            path=item.activity_id,
            agent=item.activity_type.name,
            started=item.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED,
            attempt=item.attempt,
            last_failure=item.last_failure.message or None,
            queue=item.activity_options.task_queue.name or description.task_queue,
        )
        for item in description.raw_description.pending_activities
    ]


def _run_error(id: str, cause: BaseException | None) -> Exception:
    if isinstance(cause, CancelledError):
        return RunCancelled(f"run {id!r} was cancelled")
    if isinstance(cause, ApplicationError):
        detail: Value = cause.details[0] if cause.details else None
        if cause.type == "RunFailed" and is_dict(detail):
            return RunFailed(cause.message, from_plain(RunResult, detail))
        if cause.type == "GraphError":
            text = str(detail) if isinstance(detail, str) else ""
            return GraphError([Problem("refused", "", cause.message, graphai=text)])
        if cause.type == "UsageError":
            return UsageError(cause.message)
        return RunFailed(cause.message)
    return RunFailed(f"run {id!r} ended without a result: {_short(cause)}")


def _rpc_error(error: RPCError, what: str) -> Exception:
    if error.status is RPCStatusCode.NOT_FOUND:
        return UsageError(f"there is no {what}; perdure list shows those there are")
    if error.status in (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED):
        return ConnectionFailed(f"the Temporal server does not answer about {what}: {_short(error)}")
    return RunFailed(f"the Temporal server refused {what}: {_short(error)}")


def _short(error: BaseException | None) -> str:
    return str(error).partition("\n")[0][:300]
