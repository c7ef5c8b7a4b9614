"""A message to a webhook, signed as standardwebhooks.com describes, so that receivers find a library."""

from __future__ import annotations

import base64
import hashlib
import hmac
from http import HTTPStatus
from typing import Final

from perdure.errors import FinalError, PerdureError, TransientError
from perdure.net.egress import Guard
from perdure.net.web import Bounds, Request, send

WEBHOOK_BOUNDS: Final = Bounds(
    connect=10.0, read=20.0, total=30.0, wire=100_000, decoded=100_000, redirects=0
)


def signature(secret: str, id: str, seconds: int, body: bytes) -> str:
    """HMAC-SHA256 over id, time and body, under a secret as PERDURE_NOTIFY_SECRET has it."""
    key = base64.b64decode(secret.partition("_")[2])
    digest = hmac.new(key, f"{id}.{seconds}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


async def post(url: str, id: str, seconds: int, body: bytes, secret: str, guard: Guard) -> None:
    """Sends JSON to `url`, an address of the operator: it may be anywhere, and redirects are not followed.

    Raises TransientError where it was not taken, which an operator or time may change, and FinalError where
    it never will be.
    """
    headers = {"Content-Type": "application/json", "webhook-id": id, "webhook-timestamp": str(seconds)}
    if secret:
        headers["webhook-signature"] = signature(secret, id, seconds, body)
    request = Request(method="POST", url=url, headers=headers, body=body)
    try:
        reply = await send(request, guard.trusting(url), WEBHOOK_BOUNDS)
    except PerdureError as error:
        raise TransientError(f"the webhook was not reached: {error.finding}") from error
    if reply.status == HTTPStatus.GONE:  # the receiver wants no more
        raise FinalError("the webhook is gone: it answered 410")
    if not reply.ok:
        raise TransientError(f"the webhook answered {reply.status}")
