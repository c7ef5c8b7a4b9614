"""What the server says of a run: reports, errors, and their words."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
)
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import ApplicationError, CancelledError, TerminatedError, TimeoutError
from temporalio.service import RPCError, RPCStatusCode

from perdure.errors import ConnectionFailed, GraphError, Problem, RunCancelled, RunFailed, UsageError
from perdure.graph.values import Value, is_dict
from perdure.protocol.names import GRAPH_ATTRIBUTE, STATUS_ATTRIBUTE
from perdure.protocol.payloads import RunResult, RunStatus
from perdure.protocol.records import from_plain

RPC_TIMEOUT = timedelta(seconds=10)
GRAPH_KEY = SearchAttributeKey.for_keyword(GRAPH_ATTRIBUTE)
STATUS_KEY = SearchAttributeKey.for_keyword(STATUS_ATTRIBUTE)
NO_ANSWER = frozenset(
    (
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.UNKNOWN,  # a connection that broke while the answer was awaited
        RPCStatusCode.INTERNAL,
    )
)
"""What tells nothing of the run: the server is not there, or not itself."""

POLLER_TIMEOUT_S = 75
"""A worker that has not asked for so long is gone: a request for work lasts for a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingCall:
    """A call of an agent that has no result yet. `started` tells whether a worker has it; then `since` is
    when it began, in milliseconds since the epoch. `paused` says who paused it at the server, and why: ""
    where the server does not say, None for a call that is not paused.
    """

    path: str
    agent: str
    queue: str
    started: bool
    attempt: int = 1
    last_failure: str | None = None
    since: int = 0
    paused: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """How a run is: `state` is Temporal's word in small letters, such as "running".

    `unserved` are the task queues that it waits for and no worker serves. `attempt` counts how often a
    worker tried to take the step that is due: 0 when none is, above 1 when workers fail at it. `cancelling`
    is a run that was asked to stop and has not ended. `paused` is as in PendingCall.
    """

    id: str
    state: str
    name: str = ""
    started: datetime | None = None
    closed: datetime | None = None
    status: RunStatus | None = None
    pending: tuple[PendingCall, ...] = ()
    unserved: tuple[str, ...] = ()
    attempt: int = 0
    cancelling: bool = False
    paused: str | None = None


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One line of a list of runs."""

    id: str
    state: str
    name: str
    started: datetime
    closed: datetime | None


def run_error(id: str, cause: BaseException | None) -> Exception:
    """Why a run ended without a result, as one of Perdure's exceptions."""
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
    if isinstance(cause, TerminatedError):
        return RunFailed(f"run {id!r} was terminated" + (f": {short(cause)}" if str(cause) else ""))
    if isinstance(cause, TimeoutError):
        return RunFailed(f"run {id!r} ran into the time limit that it was started with")
    return RunFailed(f"run {id!r} ended without a result: {short(cause)}")


def rpc_error(error: RPCError, what: str) -> Exception:
    """Why the server did not do what it was asked about `what`: "run 'x'", or another thing."""
    if b"NamespaceNotFound" in error.raw_grpc_status:
        return ConnectionFailed(
            short(error),
            hint=(
                "set TEMPORAL_NAMESPACE to a namespace that the server has, or make "
                "this one: temporal operator namespace create -n NAME"
            ),
        )
    if error.status is RPCStatusCode.NOT_FOUND and "already completed" in error.message:
        return UsageError(f"{what} has ended; perdure status and perdure result show what became of it")
    if error.status is RPCStatusCode.NOT_FOUND and what.startswith("run "):
        return UsageError(f"{what} is expired or unknown", hint="perdure list shows the runs there are")
    if error.status in (RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.PERMISSION_DENIED):
        return ConnectionFailed(
            f"the Temporal server lets nobody in for {what} with these credentials: {short(error)}",
            hint="see TEMPORAL_API_KEY, TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_NAMESPACE",
        )
    if error.status in NO_ANSWER or _is_busy(error):
        hint = "; can it write its database, or is the disk full?" if "shard" in str(error) else ""
        return ConnectionFailed(f"the Temporal server does not answer about {what}: {short(error)}{hint}")
    return RunFailed(f"the Temporal server refused {what}: {short(error)}")


def _is_busy(error: RPCError) -> bool:
    # a message that is too large has the same status, and is so for ever
    return error.status is RPCStatusCode.RESOURCE_EXHAUSTED and "larger than" not in error.message


def short(error: BaseException | None) -> str:
    """The first line of an error."""
    return str(error).partition("\n")[0][:300]


async def workers(temporal: Client, queue: str, *, local: bool = False) -> set[str]:
    """The identities of the workers that have asked this task queue for work lately.

    `local` tells that the server is on this machine for this machine alone: workers here that have
    ended are then left out.
    """
    identities: set[str] = set()
    for kind in (TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW):
        request = DescribeTaskQueueRequest(
            namespace=temporal.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
        )
        try:
            answer = await temporal.workflow_service.describe_task_queue(request, timeout=RPC_TIMEOUT)
        except RPCError as error:
            raise rpc_error(error, f"task queue {queue!r}") from error
        recent = time.time() - POLLER_TIMEOUT_S
        identities |= {item.identity for item in answer.pollers if item.last_access_time.seconds > recent}
    return {identity for identity in identities if not local or _lives(identity)}


def _lives(identity: str) -> bool:
    """Whether the process "pid@host" is alive, as far as this host can tell."""
    pid, _, host = identity.partition("@")
    if not pid.isdecimal() or host.partition("+")[0] != socket.gethostname():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is somebody else's
        return True
    return True


async def knows_attributes(temporal: Client, names: set[str]) -> bool:
    """Whether this server has these search attributes; an unknown one makes a start fail."""
    request = ListSearchAttributesRequest(namespace=temporal.namespace)
    try:
        answer = await temporal.operator_service.list_search_attributes(request, timeout=RPC_TIMEOUT)
    except RPCError:
        return False
    return names <= set(answer.custom_attributes)
