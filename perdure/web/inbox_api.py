"""The route of all open questions: ``/api/v1/pending``."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perdure.client import GraphClient
from perdure.history.model import Question
from perdure.monitoring.pending import pending_filter
from perdure.web import views
from perdure.web.answers import as_json

MAX_INBOX_RUN_COUNT: Final = 200
"""Open runs that are asked for their questions, the latest first."""


@dataclass(slots=True)
class Inbox:
    """What open runs ask. The history of each is read once, and again only when it has new events."""

    client: GraphClient
    _cached: OrderedDict[str, tuple[int, tuple[Question, ...]]] = field(
        default_factory=OrderedDict[str, tuple[int, tuple[Question, ...]]]
    )

    async def questions(self) -> list[dict[str, Any]]:
        """Those of the latest runs that ask, or of open runs if the server cannot say which ask."""
        asked: list[dict[str, Any]] = []
        runs = self.client.list(MAX_INBOX_RUN_COUNT, await pending_filter(self.client.temporal, None))
        async for run in runs:
            asked += [
                {"run": run.id, **views.question_view(question)} for question in await self._asked_by(run.id)
            ]
        return asked

    async def _asked_by(self, id: str) -> tuple[Question, ...]:
        run = self.client.get(id)
        info = (await run.describe()).info
        execution, length = info.execution.run_id, info.history_length
        cached = self._cached.get(execution)
        if cached is None or cached[0] != length:
            cached = self._cached[execution] = (length, (await run.history()).questions)
        self._cached.move_to_end(execution)
        while len(self._cached) > MAX_INBOX_RUN_COUNT:
            self._cached.popitem(last=False)
        return cached[1]


async def pending(request: Request) -> Response:
    """What all open runs ask people."""
    inbox = cast(Inbox, request.app.state.inbox)
    return as_json({"questions": await inbox.questions()})


INBOX_ROUTES: Final = [Route("/pending", pending, methods=["GET"])]
