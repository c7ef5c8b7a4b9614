"""Why the server did not do what it was asked, and why a run ended, as exceptions of Perdure."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from temporalio.exceptions import ApplicationError, CancelledError, TerminatedError, TimeoutError
from temporalio.service import RPCError, RPCStatusCode

from perdure.errors import (
    ConnectionFailed,
    GraphError,
    NotFound,
    Problem,
    RunCancelled,
    RunFailed,
    UsageError,
    without_hint,
)
from perdure.graph.values import Value, is_dict
from perdure.protocol.payloads import RunResult
from perdure.protocol.records import from_plain

RPC_TIMEOUT = timedelta(seconds=10)
NO_ANSWER = frozenset(
    (
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.UNKNOWN,  # a connection that broke while the answer was awaited
        RPCStatusCode.INTERNAL,
    )
)
"""The statuses that say nothing of the run: the server is unreachable, or unwell."""

_NEXT_FINDING: Final = re.compile(r"\n(?!  )")


def run_error(id: str, cause: BaseException | None) -> Exception:
    """Why a run ended without a result, as one of Perdure's exceptions."""
    if isinstance(cause, CancelledError):
        return RunCancelled(f"run {id!r} was cancelled")
    if isinstance(cause, ApplicationError):
        detail: Value = cause.details[0] if cause.details else None
        if cause.type == "RunFailed" and is_dict(detail):
            result = from_plain(RunResult, detail)
            return result.error() or RunFailed(cause.message, result)
        if cause.type == "GraphError":
            return GraphError(_refused(cause.message, str(detail) if isinstance(detail, str) else ""))
        if cause.type == "UsageError":
            return usage_error(cause)
        return RunFailed(cause.message)
    if isinstance(cause, TerminatedError):
        return RunFailed(f"run {id!r} was terminated" + (f": {short(cause)}" if str(cause) else ""))
    if isinstance(cause, TimeoutError):
        return RunFailed(f"run {id!r} ran into the time limit that it was started with")
    return RunFailed(f"run {id!r} ended without a result: {short(cause)}")


def _refused(text: str, graphai: str) -> list[Problem]:
    """What a worker found wrong in a graph: GraphError has joined its findings, each with its hint."""
    parts = [without_hint(part) for part in _NEXT_FINDING.split(text)]
    return [Problem("refused", "", finding, hint, graphai=graphai) for finding, hint in parts]


def usage_error(cause: BaseException | None) -> UsageError:
    """What a run has refused, its hint apart."""
    text = cause.message if isinstance(cause, ApplicationError) else str(cause)
    finding, hint = without_hint(text)
    return UsageError(finding, hint=hint)


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
        return NotFound(f"{what} is expired or unknown", hint="perdure list shows the runs there are")
    if error.status in (RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.PERMISSION_DENIED):
        return ConnectionFailed(
            f"the Temporal server rejected the credentials for {what}: {short(error)}",
            hint="see TEMPORAL_API_KEY, TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_NAMESPACE",
        )
    if error.status in NO_ANSWER or _is_busy(error):
        hint = "; can it write its database, or is the disk full?" if "shard" in str(error) else ""
        return ConnectionFailed(f"the Temporal server does not answer about {what}: {short(error)}{hint}")
    return RunFailed(f"the Temporal server refused {what}: {short(error)}")


def no_worker(id: str, queue: str) -> ConnectionFailed:
    """No worker replies for a run that is open."""
    hint = f"start one: perdure worker --queue {queue}"
    return ConnectionFailed(f"no worker replies for run {id!r}", hint=hint)


def _is_busy(error: RPCError) -> bool:
    # a message that is too large has the same status, and stays too large
    return error.status is RPCStatusCode.RESOURCE_EXHAUSTED and "larger than" not in error.message


def short(error: BaseException | None) -> str:
    """The first line of an error."""
    return str(error).partition("\n")[0][:300]
