"""What the failure of a service means."""

from datetime import UTC, datetime

import httpx2
import pytest

from perdure.errors import AgentError, FinalError, TransientError
from perdure.net import failures


@pytest.mark.parametrize(
    ("status", "counted", "kind"),
    [
        (400, False, FinalError),
        (401, False, FinalError),
        (403, False, FinalError),
        (404, False, FinalError),
        (404, True, AgentError),
        (408, False, TransientError),
        (409, True, TransientError),
        (413, False, FinalError),
        (422, False, FinalError),
        (425, False, TransientError),
        (429, True, TransientError),
        (500, False, TransientError),
        (501, False, FinalError),
        (502, False, TransientError),
        (503, True, TransientError),
        (504, False, TransientError),
        (505, True, AgentError),
        (529, False, TransientError),
    ],
)
def test_of_status(status: int, counted: bool, kind: type[AgentError]) -> None:
    error = failures.of_status(status, "m", {"Retry-After": "3"}, counted=counted)
    assert type(error) is kind
    assert getattr(error, "retry_after", None) == (3 if kind is TransientError else None)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7),
        ({"retry-after": " 0.5 "}, 1),
        ({"Retry-After": "-1"}, 1),
        ({"Retry-After": "1e9"}, 600),
        ({"Retry-After": "inf"}, 600),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "7", "retry-after-ms": "250"}, 1),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:09 GMT"}, 9),
        ({"Retry-After": "Wed, 21 Oct 2015 07:27:00 GMT"}, 1),
        ({"Retry-After": "Fri, 21 Oct 2016 07:28:00 -0000"}, 600),
    ],
)
def test_retry_after_header(headers: dict[str, str], expected: float | None) -> None:
    assert failures.retry_after(headers, datetime(2015, 10, 21, 7, 28, tzinfo=UTC)) == expected


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx2.RemoteProtocolError("Receive buffer too long"), AgentError),
        (httpx2.RemoteProtocolError("illegal status line: bytearray(b'x')"), AgentError),
        (httpx2.RemoteProtocolError("Server disconnected without sending a response."), TransientError),
        (
            httpx2.RemoteProtocolError("peer closed connection without sending complete message body"),
            TransientError,
        ),
        (httpx2.ReadError("reset"), TransientError),
        (httpx2.ConnectError("refused"), TransientError),
    ],
)
def test_of_transport(error: Exception, kind: type[AgentError]) -> None:
    """An answer that is not HTTP counts against `retry`; one that breaks off does not."""
    assert type(failures.of_transport(error, "text")) is kind
