"""What the failure of a service means for a node: repeated, counted, or final. One table for all agents.

| answer of the service                                   | raised                         |
|---------------------------------------------------------|--------------------------------|
| 408, 409, 425, 429, 5xx but 501 and 505, broken network | TransientError, `retry_after`  |
| 400, 401, 403, 404, 413, 422, other 4xx, 501, 505       | FinalError (or AgentError)     |
| an answer that cannot be read, or is not HTTP           | AgentError                     |
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
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

MIN_SECRET_CHARS = 4
"""Characters of the shortest secret that is looked for ..."""

MIN_CASELESS_CHARS = 8
"""... and of one that is found in any case: shorter ones are words too."""

_URL_SAFE = str.maketrans("+/", "-_")
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
    """`text`, shortened, without `secrets` in any of the forms in which services say them again.

    These are the secret itself, backwards, in JSON, percent-encoded, in hexadecimal, and in base64 wherever
    it begins; longer secrets in any case. What a service cuts into pieces is not found.
    """
    forms = {form for secret in secrets if len(secret) >= MIN_SECRET_CHARS for form in _forms(secret)}
    longest = max(map(len, forms), default=0)
    most = MAX_SERVICE_MESSAGE_CHARS + 2 * longest
    kept = text[:most]
    for form in sorted(forms, key=len, reverse=True):
        kept = _without(kept, form)
    if len(text) > most:
        kept = kept[: len(kept) - longest]  # there may be the beginning of another one
    elif len(kept) <= MAX_SERVICE_MESSAGE_CHARS:
        return kept
    return kept[:MAX_SERVICE_MESSAGE_CHARS] + "…"


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """All of `text`, without `secrets` in any of these forms."""
    forms = {form for secret in secrets if len(secret) >= MIN_SECRET_CHARS for form in _forms(secret)}
    for form in sorted(forms, key=len, reverse=True):
        text = _without(text, form)
    return text


def _without(text: str, form: str) -> str:
    if len(form) < MIN_CASELESS_CHARS:
        return text.replace(form, "***")
    return re.sub(re.escape(form), "***", text, flags=re.IGNORECASE)


def _forms(secret: str) -> Iterator[str]:
    data = secret.encode("utf-8", "replace")
    yield from (secret, secret[::-1], json.dumps(secret)[1:-1], quote(secret, safe=""), data.hex())
    for before in range(3):  # what comes before it shifts its bits
        encoded = base64.b64encode(bytes(before) + data).decode()
        whole = encoded[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
        yield from (whole, whole.translate(_URL_SAFE))
