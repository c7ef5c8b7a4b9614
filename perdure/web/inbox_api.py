"""The route of all open questions: ``/api/v1/pending``."""

from __future__ import annotations

from typing import Any, Final, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perdure.client import GraphClient
from perdure.web import views
from perdure.web.answers import as_json

MAX_INBOX_RUN_COUNT: Final = 200
"""Open runs that are asked for their questions, the latest first."""


async def pending(request: Request) -> Response:
    """What all open runs ask people."""
    client = cast(GraphClient, request.app.state.client)
    asked: list[dict[str, Any]] = []
    async for run in client.list(MAX_INBOX_RUN_COUNT, "ExecutionStatus = 'Running'"):
        model = await client.get(run.id).history()
        asked += [{"run": run.id, **question} for question in views.summary(model)["questions"]]
    return as_json({"questions": asked})


INBOX_ROUTES: Final = [Route("/pending", pending, methods=["GET"])]
