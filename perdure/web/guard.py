"""Who may talk to the page and the API: a guard before everything else.

Why
    A page on the loopback address is within reach of every web site that its user visits (a
    cross-site request, or a name that is rebound to 127.0.0.1) and of every user of the machine.

Invariants
    A request passes only with the exact Host of this server, from its own page or from no page,
    and under /api, /agents and /events only with the token. Every answer, refusals included, has the headers
    that keep a browser from executing or framing what is not ours.

Rejected
    A cookie for the token: cookies ignore the port, so every other service on this address would
    get it. A token inside the page: anyone who reaches the port would get it.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Sequence
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SAFE_HEADERS: Final[Sequence[tuple[bytes, bytes]]] = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
PROTECTED: Final = ("/api/", "/agents", "/events")
_OWN_SITES: Final = frozenset({"", "none", "same-origin"})


class RequestGuard:
    """The application behind it, for those who may.

    Args:
        app: The application.
        token: What `Authorization: Bearer` has to carry.
        hosts: The values of Host under which this server is reached, such as ``127.0.0.1:8321``.
    """

    def __init__(self, app: ASGIApp, token: str, hosts: Sequence[str]) -> None:
        self._app = app
        self._token = token.encode()
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(Headers(scope=scope), scope["path"])
        if refusal is not None:
            await _refuse(send, *refusal)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *SAFE_HEADERS]}
            await send(message)

        await self._app(scope, receive, send_safely)

    def _refusal(self, headers: Headers, path: str) -> tuple[int, str, str] | None:
        """Status, finding and hint for a request that does not pass."""
        host = headers.get("host", "").lower()
        if host not in self._hosts:
            return 421, f"this server is not {host!r}", f"use {min(self._hosts)}"
        origin = headers.get("origin")
        if origin is not None and origin.lower().partition("://")[2] not in self._hosts:
            return 403, f"requests from pages of {origin!r} are refused", "use the page of this server"
        if headers.get("sec-fetch-site", "") not in _OWN_SITES:
            return 403, "requests from other sites are refused", "use the page of this server"
        if not path.startswith(PROTECTED):
            return None
        token = headers.get("authorization", "").removeprefix("Bearer ").encode()
        if not hmac.compare_digest(token, self._token):
            return 401, "the token is missing or wrong", "send it as Authorization: Bearer TOKEN"
        return None


async def _refuse(send: Send, status: int, finding: str, hint: str) -> None:
    body = json.dumps({"error": {"finding": finding, "hint": hint}}).encode()
    headers: list[Any] = [(b"content-type", b"application/json"), *SAFE_HEADERS]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
