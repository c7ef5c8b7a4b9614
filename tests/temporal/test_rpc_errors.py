"""What is said of a server that does not answer, and of one that refuses: never that the run has failed."""

from __future__ import annotations

import pytest
from temporalio.service import RPCError, RPCStatusCode

from perdure.errors import ConnectionFailed, NotFound, PerdureError, RunFailed
from perdure.temporal.rpc_errors import rpc_error


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (RPCStatusCode.NOT_FOUND, NotFound),
        (RPCStatusCode.UNAVAILABLE, ConnectionFailed),
        (RPCStatusCode.DEADLINE_EXCEEDED, ConnectionFailed),
        (RPCStatusCode.CANCELLED, ConnectionFailed),
        (RPCStatusCode.UNKNOWN, ConnectionFailed),  # "transport error": it was killed while it answered
        (RPCStatusCode.INTERNAL, ConnectionFailed),
        (RPCStatusCode.PERMISSION_DENIED, ConnectionFailed),
        (RPCStatusCode.UNAUTHENTICATED, ConnectionFailed),
        (RPCStatusCode.INVALID_ARGUMENT, RunFailed),
    ],
)
def test_an_error_of_the_server_has_a_kind(status: RPCStatusCode, kind: type[PerdureError]) -> None:
    error = rpc_error(RPCError("transport error\nand more", status, b""), "run 'r'")
    assert type(error) is kind
    assert "run 'r'" in str(error)
    assert "and more" not in str(error)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Workflow is busy.", ConnectionFailed),
        ("limit on number of concurrent in-flight updates has been reached (10)", ConnectionFailed),
        ("grpc: received message larger than max (5000000 vs. 4194304)", RunFailed),
    ],
)
def test_a_busy_server_is_one_to_come_back_to(message: str, kind: type[PerdureError]) -> None:
    error = rpc_error(RPCError(message, RPCStatusCode.RESOURCE_EXHAUSTED, b""), "the start")
    assert type(error) is kind
    assert message in str(error)


NOT_FOUND = RPCStatusCode.NOT_FOUND
NAMESPACE = b"\x1aT\nItype.googleapis.com/temporal.api.errordetails.v1.NamespaceNotFoundFailure"
HINTS = (
    (NOT_FOUND, "workflow not found", b"", NotFound, "run 'x' is expired or unknown\n  hint: perdure list"),
    (NOT_FOUND, "Namespace n is not found.", NAMESPACE, ConnectionFailed, "hint: set TEMPORAL_NAMESPACE"),
    (RPCStatusCode.UNAUTHENTICATED, "expired", b"", ConnectionFailed, "hint: see TEMPORAL_API_KEY"),
    (RPCStatusCode.UNAVAILABLE, "shard status unknown", b"", ConnectionFailed, "is the disk full?"),
)


@pytest.mark.parametrize(("status", "text", "raw", "kind", "words"), HINTS)
def test_a_refusal_names_its_hint(
    status: RPCStatusCode, text: str, raw: bytes, kind: type[PerdureError], words: str
) -> None:
    error = rpc_error(RPCError(text, status, raw), "run 'x'")
    assert type(error) is kind
    assert words in str(error)


def test_only_runs_expire() -> None:
    error = rpc_error(RPCError("not found", NOT_FOUND, b""), "task queue 'q'")
    assert (type(error), str(error)) == (RunFailed, "the Temporal server refused task queue 'q': not found")
