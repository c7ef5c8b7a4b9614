"""What the server refuses, in the words of Perdure's errors."""

import pytest
from temporalio.service import RPCError, RPCStatusCode

from perdure.errors import ConnectionFailed, RunFailed, UsageError
from perdure.reports import rpc_error

NAMESPACE = b"\x1aT\nItype.googleapis.com/temporal.api.errordetails.v1.NamespaceNotFoundFailure"
NOT_FOUND, UNAVAILABLE = RPCStatusCode.NOT_FOUND, RPCStatusCode.UNAVAILABLE
REFUSALS = (
    (NOT_FOUND, "workflow not found for ID: x", b"", UsageError, "run 'x' is expired or unknown"),
    (NOT_FOUND, "Namespace n is not found.", NAMESPACE, ConnectionFailed, "cure: set TEMPORAL_NAMESPACE"),
    (RPCStatusCode.PERMISSION_DENIED, "Request unauthorized.", b"", ConnectionFailed, "see TEMPORAL_API_KEY"),
    (RPCStatusCode.UNAUTHENTICATED, "expired", b"", ConnectionFailed, "see TEMPORAL_API_KEY"),
    (UNAVAILABLE, "shard status unknown", b"", ConnectionFailed, "is the disk full?"),
    (
        UNAVAILABLE,
        "tcp connect error",
        b"",
        ConnectionFailed,
        "does not answer about run 'x': tcp connect error",
    ),
    (RPCStatusCode.DEADLINE_EXCEEDED, "Timeout expired", b"", ConnectionFailed, "does not answer"),
    (RPCStatusCode.UNKNOWN, "transport error", b"", ConnectionFailed, "does not answer"),
    (RPCStatusCode.INTERNAL, "h2 protocol error: error reading a body", b"", ConnectionFailed, "not answer"),
    (RPCStatusCode.INTERNAL, "oh", b"", RunFailed, "refused run 'x': oh"),
)


@pytest.mark.parametrize(("status", "text", "raw", "kind", "words"), REFUSALS)
def test_a_refusal(status: RPCStatusCode, text: str, raw: bytes, kind: type[Exception], words: str) -> None:
    found = rpc_error(RPCError(text, status, raw), "run 'x'")
    assert type(found) is kind
    assert words in str(found)


def test_only_runs_expire() -> None:
    found = rpc_error(RPCError("not found", NOT_FOUND, b""), "task queue 'q'")
    assert (type(found), str(found)) == (RunFailed, "the Temporal server refused task queue 'q': not found")
