"""The application that `perdure ui` and `perdure serve` serve."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from perdure.agents.agent import Agent
from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.errors import NotFound, PerdureError
from perdure.history.costs import RunCosts
from perdure.history.spent import prices_of
from perdure.pictures.states import stylesheet
from perdure.web import agents_api, changes_api, diff_api, inbox_api, openapi, runs_api
from perdure.web.answers import on_error
from perdure.web.guard import RequestGuard
from perdure.web.hub import Hub

STATIC: Final = Path(__file__).parent / "static"


def application(
    client: GraphClient,
    token: str,
    hosts: Sequence[str],
    *,
    page: bool = True,
    agents: Mapping[str, Agent] | None = None,
) -> ASGIApp:
    """The page and the API behind their guard; without `page` the API alone.

    Args:
        client: What reaches the runs. It stays the caller's to close.
        token: What every request for data has to carry (perdure.web.guard).
        hosts: The values of Host under which it is reached.
        page: Whether the page is served in addition to the API.
        agents: Those that are listed for clients of GraphAI; by default the shipped ones.
    """
    prices = prices_of(client.settings)
    hub = Hub(client, prices)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        del app
        yield
        hub.close()

    app = Starlette(routes=_routes(page=page), exception_handlers={PerdureError: on_error}, lifespan=lifespan)
    app.state.client, app.state.hub, app.state.inbox = client, hub, inbox_api.Inbox(client)
    app.state.prices, app.state.costs = prices, RunCosts(client.temporal, prices)
    app.state.agents = catalog() if agents is None else agents
    return RequestGuard(app, token, hosts)


def _routes(*, page: bool) -> list[BaseRoute]:
    unknown = Route("/{path:path}", _unknown)
    runs = [
        *runs_api.RUN_ROUTES,
        *changes_api.CHANGE_ROUTES,
        *diff_api.DIFF_ROUTES,
    ]
    api = [*runs, *inbox_api.INBOX_ROUTES, *openapi.DESCRIPTION_ROUTES, unknown]
    routes: list[BaseRoute] = [Mount("/api/v1", routes=api), *agents_api.AGENT_ROUTES]
    if page:
        routes += [
            Route("/states.css", _states, methods=["GET"]),
            Route("/", _index, methods=["GET"]),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]
    return [*routes, unknown]


async def _index(request: Request) -> Response:
    del request
    return FileResponse(STATIC / "index.html")


async def _states(request: Request) -> Response:
    del request
    return Response(stylesheet(), media_type="text/css")


async def _unknown(request: Request) -> Response:
    raise NotFound(f"there is no {request.url.path}", hint="GET /api/v1/openapi.json lists what there is")
