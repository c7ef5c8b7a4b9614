"""The description of the API, as OpenAPI 3.1: ``/api/v1/openapi.json``.

Paths, methods and summaries are those of the routes themselves, so it cannot name what there is not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perdure.version import VERSION
from perdure.web import changes_api, diff_api, inbox_api, runs_api
from perdure.web.answers import as_json

_PARAMETER: Final = re.compile(r"\{(\w+)(?::\w+)?\}")

_STRING: Final = {"type": "string"}
_OBJECT: Final = {"type": "object"}
_ERROR: Final = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["finding", "hint"],
            "properties": {
                "type": _STRING,
                "finding": _STRING,
                "hint": _STRING,
                "problems": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "place": _STRING,
                            "code": _STRING,
                            "finding": _STRING,
                            "hint": _STRING,
                            "line": {"type": ["integer", "null"]},
                        },
                    },
                },
            },
        }
    },
}
BODIES: Final[dict[str, dict[str, Any]]] = {
    "start": {
        "type": "object",
        "required": ["graph"],
        "additionalProperties": False,
        "properties": {
            "graph": {**_OBJECT, "description": "the document"},
            "inputs": {**_OBJECT, "description": "values for static nodes"},
            "name": {**_STRING, "default": "graph"},
            "queue": {**_STRING, "description": "the task queue for agents that name none"},
            "id": {**_STRING, "description": "as the header Idempotency-Key, which goes before it"},
        },
    },
    "answer": runs_api.ANSWER_BODY,
    "rerun": changes_api.RERUN_BODY,
    "steer": changes_api.STEERING_BODY,
}
"""JSON Schema of the bodies, by the name of the function that serves the route."""

QUERIES: Final[dict[str, dict[str, str]]] = {
    "list_runs": {
        "limit": "at most this many (50)",
        "state": "running, completed, failed, canceled, terminated or timed-out",
        "graph": "the name of the graph",
        "search": "how the id begins",
        "query": "a list filter of Temporal",
        "spent": "1 adds what each run has used and cost, if PERDURE_PRICES has prices",
    },
    "result": {
        "wait": "seconds to wait for the end, at most 60",
        "shown": "1 is the results as JSON text, at most 65,536 characters of it, and nothing else",
    },
    "graph": {
        "around": "of a graph with more than 300 nodes, the node to draw with its neighbours",
        "document": "0 leaves the document out: it may be large",
        "started": "1 is as the run was started, at once; else as people have changed it since",
    },
    "rows": {
        "offset": "the first row",
        "limit": "at most this many (50)",
        "phase": "only rows in this state",
    },
}
"""Parameters of the query with what they mean, by the same names."""


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """The whole description."""
    paths: dict[str, Any] = {}
    for route in routes:
        path = _PARAMETER.sub(r"{\1}", f"/api/v1{route.path}")
        for method in sorted((route.methods or set()) - {"HEAD"}):
            paths.setdefault(path, {})[method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Perdure", "version": VERSION},
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Error": _ERROR},
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    name = route.endpoint.__name__
    path = [
        {"name": key, "in": "path", "required": True, "schema": _STRING} for key in route.param_convertors
    ]
    query = [
        {"name": key, "in": "query", "description": text, "schema": _STRING}
        for key, text in QUERIES.get(name, {}).items()
    ]
    if name == "start":
        about = "the id of the run: a repeat attaches to it"
        query.append({"name": "Idempotency-Key", "in": "header", "description": about, "schema": _STRING})
    kind = "text/event-stream" if name == "events" else "application/json"
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    operation: dict[str, Any] = {
        "operationId": name,
        "summary": (route.endpoint.__doc__ or "").partition("\n")[0],
        "parameters": [*path, *query],
        "responses": {
            "200": {"description": "done", "content": {kind: {}}},
            "default": {"description": "what is wrong, and what to do", "content": error},
        },
    }
    if name in BODIES:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": BODIES[name]}},
        }
    return operation


async def describe(request: Request) -> Response:
    """This description."""
    del request
    own = [
        *runs_api.RUN_ROUTES,
        *changes_api.CHANGE_ROUTES,
        *diff_api.DIFF_ROUTES,
    ]
    routes = [*own, *inbox_api.INBOX_ROUTES, *DESCRIPTION_ROUTES]
    return as_json(document(routes))


DESCRIPTION_ROUTES: Final = [Route("/openapi.json", describe, methods=["GET"])]
