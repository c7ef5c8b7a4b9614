"""What the failure of a service means for a node: repeated, counted, or final. One table for all agents.

| answer of the service                                   | raised                         |
|---------------------------------------------------------|--------------------------------|
| 408, 409, 425, 429, 5xx but 501 and 505, broken network | TransientError, `retry_after`  |
| 400, 401, 403, 404, 413, 422, other 4xx, 501, 505       | FinalError (or AgentError)     |
| an answer that cannot be read, or is not HTTP           | AgentError                     |
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import quote

from perdure.errors import AgentError, FinalError, TransientError

MIN_RETRY_AFTER_S = 1.0
"""Seconds: a service that asks for a shorter pause is asked again after this one."""

MAX_RETRY_AFTER_S = 600.0
"""Seconds: a service that asks for a longer pause is asked again after this one."""

MAX_SERVICE_MESSAGE_CHARS = 2000
"""Characters kept of what a service says about its failure."""

_AGAIN_LATER = frozenset({408, 409, 425, 429})
_NEVER = frozenset({501, 505})
_BROKEN_OFF = ("disconnected", "closed connection", "terminated")
"""What errors of the protocol say where the network, or a server that stops, is the cause."""


def is_transient(status: int) -> bool:
    """Whether a repetition of a request that was answered with `status` can succeed."""
    return status in _AGAIN_LATER or (status >= 500 and status not in _NEVER)


def of_transport(error: BaseException, message: str) -> AgentError:
    """The exception for one of httpx2: a broken network is repeated, an answer that is not HTTP counts."""
    reason = str(error).lower()
    malformed = type(error).__name__ == "RemoteProtocolError" and not any(
        word in reason for word in _BROKEN_OFF
    )
    return AgentError(message) if malformed else TransientError(message)


def of_status(
    status: int, message: str, headers: Mapping[str, str], *, counted: bool = False, hint: str = ""
) -> AgentError:
    """The exception for an answer with `status`; `counted` leaves refusals to the node's `retry`."""
    if is_transient(status):
        return TransientError(message, retry_after(headers), hint=hint)
    return AgentError(message, hint=hint) if counted else FinalError(message, hint=hint)


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds that the service asks to wait, in 1..600; None where it does not say.

    Reads ``retry-after-ms``, then ``retry-after`` as seconds or as an HTTP date (RFC 9110 §10.2.3).
    """
    lower = {name.lower(): value.strip() for name, value in headers.items()}
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(lower[name]) * unit
        except (KeyError, ValueError):
            continue
        return None if math.isnan(seconds) else min(max(seconds, MIN_RETRY_AFTER_S), MAX_RETRY_AFTER_S)
    try:
        date = parsedate_to_datetime(lower["retry-after"])
    except (KeyError, ValueError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    seconds = (date - (now or datetime.now(UTC))).total_seconds()
    return min(max(seconds, MIN_RETRY_AFTER_S), MAX_RETRY_AFTER_S)


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text`, shortened, without `secrets`: as they are, percent-encoded, or in base64."""
    for secret in secrets:
        if len(secret) < 4:
            continue
        encoded = base64.b64encode(secret.encode("utf-8", "replace")).decode().rstrip("=")
        for form in (secret, quote(secret, safe=""), encoded):
            text = text.replace(form, "***")
    return text if len(text) <= MAX_SERVICE_MESSAGE_CHARS else text[:MAX_SERVICE_MESSAGE_CHARS] + "…"
