"""The HTTP gateway: ``POST /events`` answers when Temporal has the events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from perdure.daemon.secret_files import secret_in
from perdure.engine.inbox.events import MAX_BATCH_EVENT_COUNT
from perdure.errors import PerdureError, UsageError
from perdure.gateway.delivery import REFUSED, Delivery, refusal_of
from perdure.gateway.routes import Message, Routes
from perdure.graph.values import Value, is_dict, is_list
from perdure.web.guard import RequestGuard
from perdure.web.runs_api import json_of
from perdure.web.serving import listening

GATEWAY_TOKEN_FILE: Final = "gateway.token"
"""Not that of the page: it lets a device send events, and not start, answer or read runs."""

EVENT_REPLY_TIMEOUT_S: Final = 30.0
"""Seconds that a request may wait for its run; after that the sender hears that it has to send again."""


def events_app(routes: Routes, delivery: Delivery) -> Starlette:
    """The application, to be put behind perdure.web.guard."""
    app = Starlette(routes=[Route("/events", _post, methods=["POST"]), Route("/health", _health)])
    app.state.routes, app.state.delivery = routes, delivery
    return app


async def _health(request: Request) -> Response:
    return JSONResponse(dict(request.app.state.delivery.counts))


async def _post(request: Request) -> Response:
    """200: Temporal has all events. 422: some are refused for good. 503: send those again that it has not."""
    try:
        body: Value = await json_of(request)
        rows: Value = body["events"] if is_dict(body) and "events" in body else [body]
        if not is_list(rows) or not 1 <= len(rows) <= MAX_BATCH_EVENT_COUNT:
            raise UsageError(f"events is a list of 1 to {MAX_BATCH_EVENT_COUNT} events")
    except PerdureError as error:
        return JSONResponse({"error": {"finding": error.finding, "hint": error.hint}}, 400)
    state = request.app.state
    outcomes = await asyncio.gather(*(_delivered(state, row) for row in rows))
    status = 503 if "again" in outcomes else 422 if any(outcomes) else 200
    refused = [
        {"index": index, "error": outcome} for index, outcome in enumerate(outcomes) if outcome is not None
    ]
    answer = {"taken": len(rows) - len(refused), "refused": refused}
    headers = {"retry-after": "5"} if status == 503 else None
    return JSONResponse(answer, status, headers=headers)


async def _delivered(state: Any, row: Value) -> str | None:
    """None where Temporal has the event, "again" where it is to be sent again, else why it is refused."""
    try:
        target = state.routes.target(message_of(row))
    except Exception as error:
        state.delivery.counts["refused"] += 1
        return refusal_of(error)
    try:
        async with asyncio.timeout(EVENT_REPLY_TIMEOUT_S):
            await state.delivery.deliver(target)
    except TimeoutError:
        return "again"
    except REFUSED as error:
        return str(error)
    return None


def message_of(row: Value) -> Message:
    """An event as it is posted. Raises UsageError."""
    if not is_dict(row) or not isinstance(row.get("topic"), str) or not row["topic"]:
        raise UsageError("an event is an object with a topic", hint='{"topic": "telemetry", "body": {}}')
    names = ("key", "id", "from")
    for name in (*row,):
        if name not in ("topic", "body", "at", *names):
            raise UsageError(f"an event has no {name!r}", hint="there is topic, key, id, at, from, body")
    if not all(isinstance(row.get(name, ""), str) for name in names):
        raise UsageError("key, id and from of an event are strings")
    key, id, sender = (row.get(name, "") for name in names)
    return Message(topic=row["topic"], body=row.get("body"), key=key, id=id, at=row.get("at"), sender=sender)


@asynccontextmanager
async def serving(
    home: Path, routes: Routes, delivery: Delivery, host: str, port: int
) -> AsyncGenerator[tuple[str, Path]]:
    """Serves while the block runs: the URL, and the file with the token that a request has to carry."""
    file = home / GATEWAY_TOKEN_FILE
    token = secret_in(file)

    def make(hosts: Sequence[str]) -> ASGIApp:
        return RequestGuard(events_app(routes, delivery), token, hosts)

    async with listening(make, host, port) as (url, _):
        yield url, file
