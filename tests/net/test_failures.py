"""What the failure of a service means."""

import base64
import json
from datetime import UTC, datetime
from urllib.parse import quote

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


KEY = 'sk-Ab3"/+9xZ é-secret'


def encoded(before: bytes, url_safe: bool = False) -> str:
    encode = base64.urlsafe_b64encode if url_safe else base64.b64encode
    return encode(before + KEY.encode() + b"-after").decode()


@pytest.mark.parametrize(
    "said",
    [
        KEY,
        KEY.upper(),
        KEY[::-1],
        json.dumps({"key": KEY}),
        quote(KEY, safe=""),
        quote(KEY, safe="").lower(),
        KEY.encode().hex(),
        KEY.encode().hex().upper(),
        *(encoded(before) for before in (b"", b"u:", b"u", b"Bearer ")),
        encoded(b"u:", url_safe=True),
    ],
)
def test_a_key_is_not_repeated_in_any_form(said: str) -> None:
    shown = failures.redact(f"before {said} after", [KEY])
    assert shown.startswith("before ")
    assert shown.endswith(" after")
    assert "***" in shown
    remains = shown.lower()
    assert not any(part in remains for part in ('3"/+9', "zx9+", "9xz", "2d736563", "secret"))


def test_a_key_at_the_end_of_what_is_kept_is_not_cut_in_two() -> None:
    for before in range(1_900, 2_100):
        shown = failures.redact("x" * before + KEY * 3 + "y" * 5_000, [KEY])
        assert not set(shown) & set(KEY[:4])
        assert len(shown) <= 2_001


def test_short_keys_are_words_too() -> None:
    assert failures.redact("None of none", ["none", "of"]) == "None of ***"
