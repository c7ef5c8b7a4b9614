"""Makes payloads readable for the Temporal UI and its command line: what Temporal calls a codec server.

Why it only decodes
    What it encoded would be signed by this installation, and anyone who has its token could start runs in its
    name. Runs are started by clients of Perdure.

Invariants
    A request passes with the exact Host of this server, from a page of an allowed origin or from no page, and
    with the token. Payloads come and go in the body: nothing is kept or logged.
    What was not written with a key of the ring is shown as a sentence that says so.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Sequence
from typing import Any, Final

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp
from temporalio.api.common.v1 import Payload, Payloads

from perdure.protocol.payload_codec import KeyedCodec
from perdure.protocol.wire import UNTRUSTED

MAX_CODEC_BODY_BYTES: Final = 16_000_000
"""Bytes of a request: a page of the UI asks for all payloads of it at once."""

_METHODS: Final = "POST, OPTIONS"
_HEADERS: Final = "authorization, content-type, x-namespace"
_FOREIGN: Final = "not shown: it was not written with a key of this installation"


def codec_application(codec: KeyedCodec, token: str, hosts: Sequence[str], origins: Sequence[str]) -> ASGIApp:
    """The application, reached under these values of Host; pages of `origins` may ask it."""

    async def decode(request: Request) -> Response:
        refusal = _refusal(request, token, hosts, origins)
        if refusal is not None:
            return refusal
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=_cors(request, origins))
        body = await _body(request)
        try:
            payloads = ParseDict(json.loads(body), Payloads()).payloads
        except (ValueError, RecursionError, ParseError):
            return _refused(400, "the body is not JSON with payloads")
        decoded = Payloads(payloads=[_shown(one) for one in await codec.decode(payloads)])
        return JSONResponse(MessageToDict(decoded), headers=_cors(request, origins))

    async def encode(request: Request) -> Response:
        del request
        return _refused(403, "this server only decodes: runs are started by clients of Perdure")

    return Starlette(
        routes=[
            Route("/decode", decode, methods=["POST", "OPTIONS"]),
            Route("/encode", encode, methods=["POST", "OPTIONS"]),
        ]
    )


def _refusal(request: Request, token: str, hosts: Sequence[str], origins: Sequence[str]) -> Response | None:
    headers = request.headers
    if headers.get("host", "").lower() not in hosts:
        return _refused(421, "this server has another name")
    origin = headers.get("origin")
    if origin is not None and origin not in origins:
        return _refused(403, "pages of this origin may not ask: start the server with --origin")
    if request.method == "OPTIONS":  # a browser asks before it sends the token
        return None
    sent = headers.get("authorization", "").removeprefix("Bearer ").encode()
    if not hmac.compare_digest(sent, token.encode()):
        return _refused(401, "the token is missing or wrong", {"www-authenticate": "Bearer"})
    if int(headers.get("content-length") or 0) > MAX_CODEC_BODY_BYTES:
        return _refused(413, f"a request has at most {MAX_CODEC_BODY_BYTES:,} bytes")
    return None


async def _body(request: Request) -> bytes:
    """The body, no more of it than is allowed: a length need not be announced."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_CODEC_BODY_BYTES:
            return b""
    return bytes(body)


def _shown(payload: Payload) -> Payload:
    if payload.metadata.get("encoding") != UNTRUSTED:
        return payload
    return Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(_FOREIGN).encode())


def _cors(request: Request, origins: Sequence[str]) -> dict[str, str]:
    origin = request.headers.get("origin")
    if origin not in origins:
        return {"cache-control": "no-store"}
    return {
        "access-control-allow-origin": origin or "",
        "access-control-allow-methods": _METHODS,
        "access-control-allow-headers": _HEADERS,
        "access-control-allow-credentials": "true",
        "vary": "origin",
        "cache-control": "no-store",
    }


def _refused(status: int, finding: str, headers: dict[str, Any] | None = None) -> Response:
    return JSONResponse({"error": finding}, status_code=status, headers=headers)
