"""The routes of runs: ``/api/v1/runs`` and what belongs to one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import asdict
from typing import Any, Final, cast

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from perdure.client import GraphClient
from perdure.errors import PerdureError, RunCancelled, RunFailed, UsageError
from perdure.graph.text.load import load_value
from perdure.graph.values import Value, is_dict
from perdure.history.costs import RunCosts
from perdure.history.model import RunModel
from perdure.history.spent import spent_by_node
from perdure.pictures.picture import picture
from perdure.protocol.failures import NodeFailure
from perdure.protocol.payloads import RunResult
from perdure.runs import Run
from perdure.web import node_views, views
from perdure.web import timeline as bars
from perdure.web.answers import as_json
from perdure.web.hub import Hub

MAX_BODY_BYTES: Final = 20_000_000
"""Bytes of a request's body."""

MAX_WAIT_S: Final = 60.0
"""Seconds that a request for a result may wait."""

MAX_LIST_COUNT: Final = 500
ANSWER_BODY: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["path", "value"],
    "additionalProperties": False,
    "properties": {
        "path": {"type": "string", "description": "the place of the question in the run"},
        "value": {"description": "the answer: a string, or what fills the form"},
        "who": {"type": "string", "description": "who answers"},
        "id": {"type": "string", "description": "the same for every repeat of one answer"},
    },
}
KEEP_ALIVE_S: Final = 15.0
"""Seconds without an event after which a comment keeps the stream open."""


def _client(request: Request) -> GraphClient:
    return cast(GraphClient, request.app.state.client)


def run_of(request: Request) -> Run:
    """The run that the path names."""
    return _client(request).get(request.path_params["id"])


async def _shown(request: Request) -> RunModel:
    hub = cast(Hub, request.app.state.hub)
    return await hub.model(request.path_params["id"])


async def body_of(request: Request) -> dict[str, Value]:
    """The JSON object of a request that says that it is JSON. Raises UsageError."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind != "application/json":
        raise UsageError(f"the body is {kind or 'of no type'}", hint="send application/json")
    return await json_of(request)


async def json_of(request: Request) -> dict[str, Value]:
    """The JSON object of a request, whatever its type. Raises UsageError."""
    length = request.headers.get("content-length", "")
    data = bytearray()
    if not length.isdigit() or int(length) <= MAX_BODY_BYTES:
        async for chunk in request.stream():
            data += chunk
            if len(data) > MAX_BODY_BYTES:
                break
    if len(data) > MAX_BODY_BYTES or (length.isdigit() and int(length) > MAX_BODY_BYTES):
        raise UsageError(f"the body has more than {MAX_BODY_BYTES:,} bytes")
    try:
        value = load_value(data.decode())
    except (PerdureError, UnicodeDecodeError) as error:
        raise UsageError(f"the body is not JSON: {error}") from error
    if not is_dict(value):
        raise UsageError("the body is not a JSON object")
    return value


def number(request: Request, name: str, default: float, most: float) -> float:
    """A number of the query, from 0 to `most`. Raises UsageError."""
    text = request.query_params.get(name, "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = -1.0
    if not 0 <= value <= most:
        raise UsageError(f"{name} is {text!r}: give a number from 0 to {most:g}")
    return value


def _text(body: dict[str, Value], name: str, default: str | None = None) -> str:
    value = body.get(name, default)
    if not isinstance(value, str):
        raise UsageError(f"{name} is {'missing' if value is None else 'not a string'}")
    return value


async def start(request: Request) -> Response:
    """Starts a run, or attaches to the one that the Idempotency-Key names."""
    body = await body_of(request)
    unknown = body.keys() - {"graph", "inputs", "name", "queue", "id"}
    if unknown:
        raise UsageError(f"unknown member {min(unknown)!r}", hint="graph, inputs, name, queue, id")
    graph, inputs = body.get("graph"), body.get("inputs", {})
    if not is_dict(graph) or not is_dict(inputs):
        raise UsageError("graph and inputs are objects", hint='{"graph": {"nodes": {...}}, "inputs": {...}}')
    id = request.headers.get("idempotency-key") or body.get("id")
    queue = body.get("queue")
    if not isinstance(id, str | None) or not isinstance(queue, str | None):
        raise UsageError("id and queue are strings")
    run = await _client(request).start(graph, inputs, id=id, name=_text(body, "name", "graph"), queue=queue)
    return as_json({"id": run.id, "url": f"/api/v1/runs/{run.id}"}, 201)


async def list_runs(request: Request) -> Response:
    """The latest runs, filtered by state, graph and a part of the id, or by a list filter of Temporal."""
    chosen = request.query_params
    limit = int(number(request, "limit", 50, MAX_LIST_COUNT))
    parts = [f"({chosen['query']})"] if chosen.get("query") else []
    if chosen.get("state"):
        words = "".join(word.capitalize() for word in chosen["state"].split("-"))
        parts.append(f"ExecutionStatus = {_quoted(words)}")
    if chosen.get("graph"):
        parts.append(f"PerdureGraph = {_quoted(chosen['graph'])}")
    if chosen.get("search"):
        parts.append(f"WorkflowId STARTS_WITH {_quoted(chosen['search'])}")
    runs = [run async for run in _client(request).list(limit, " AND ".join(parts))]
    plain: list[dict[str, Value]] = [dict(run.plain()) for run in runs]
    if chosen.get("spent") == "1":
        for run, shown in zip(runs, plain, strict=True):
            spent = await cast(RunCosts, request.app.state.costs).of(run)
            shown["spent"] = None if spent is None else asdict(spent)
    return as_json({"runs": plain})


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


async def get(request: Request) -> Response:
    """A run: its state, counts, questions."""
    return as_json(views.summary(await _shown(request), request.app.state.prices))


async def result(request: Request) -> Response:
    """The result, waited for as many seconds as `wait` says: 202 if there is none yet."""
    wait = number(request, "wait", 0, MAX_WAIT_S)
    run = run_of(request)
    if wait == 0 and (await run.describe()).closed is None:
        return as_json({"state": "running"}, 202)
    try:
        async with asyncio.timeout(wait or None):
            ended = await run.result()
    except TimeoutError:
        return as_json({"state": "running"}, 202)
    except RunFailed as error:
        state = "canceled" if isinstance(error, RunCancelled) else "failed"
        outcome = await _outcome(request, error.result) if isinstance(error.result, RunResult) else {}
        cause = asdict(NodeFailure(error.place, error.finding, error.hint))
        return as_json({"state": state, "failure": str(error), "cause": cause, **outcome})
    return as_json({"state": "completed", **await _outcome(request, ended)})


async def _outcome(request: Request, ended: RunResult) -> dict[str, Value]:
    if request.query_params.get("shown") == "1":
        return {"results": await asyncio.to_thread(node_views.shown_value, dict(ended.results))}
    return {"results": dict(ended.results), "errors": dict(ended.errors), "states": dict(ended.states)}


async def graph(request: Request) -> Response:
    """The document of the run as it is now, and its picture."""
    as_started = request.query_params.get("started") == "1"  # at once, and without what people have changed
    document = dict((await run_of(request).request()).graph if as_started else (await _shown(request)).graph)
    drawn = picture(document, request.query_params.get("around"))
    shown = {} if request.query_params.get("document") == "0" else {"graph": document}
    return as_json({**shown, "picture": asdict(drawn)})


async def node(request: Request) -> Response:
    """One node: inputs, params, result, attempts, console."""
    run = run_of(request)
    whole = await run.history()
    model = whole.node(request.path_params["address"])
    spent = spent_by_node(whole, request.app.state.prices).get(model.address)
    values = {"inputs": model.inputs, "params": model.params, "result": model.result}
    known = {name: await run.value(value) for name, value in values.items()}
    notices = await run.notices(model) if model.placement == "person" else ()
    return as_json(await asyncio.to_thread(node_views.node_view, model, known, spent, notices))


async def explain_node(request: Request) -> Response:
    """Why a node is in its state, and what to do."""
    explanation = await run_of(request).explain(request.path_params["address"])
    return as_json(asdict(explanation))


async def rows(request: Request) -> Response:
    """Rows of a map."""
    model = await _shown(request)
    offset = int(number(request, "offset", 0, 1e9))
    limit = int(number(request, "limit", 50, views.MAX_PAGE_ROW_COUNT))
    phase = request.query_params.get("phase", "")
    return as_json(views.rows_page(model, request.path_params["address"], offset, limit, phase))


async def timeline(request: Request) -> Response:
    """When each node executed."""
    return as_json(bars.timeline(await run_of(request).history()))


async def pending(request: Request) -> Response:
    """The questions of a run."""
    model = await _shown(request)
    return as_json({"questions": views.summary(model)["questions"]})


async def answer(request: Request) -> Response:
    """Answers a question: 202 if no worker replies and the server keeps the answer."""
    body = await body_of(request)
    if "value" not in body:
        raise UsageError("value is missing")
    who, id = _text(body, "who", ""), _text(body, "id", "")
    receipt = await run_of(request).answer(_text(body, "path"), body["value"], who=who, id=id)
    if receipt is None:
        return as_json({"kept": True}, 202)
    return as_json({"kept": False, **asdict(receipt)})


async def cancel(request: Request) -> Response:
    """Asks a run to stop."""
    await run_of(request).cancel()
    return as_json({"cancelling": True}, 202)


async def events(request: Request) -> Response:
    """Server-sent events: ``state``, ``stream``, ``end``, ``error``."""
    hub = cast(Hub, request.app.state.hub)
    stream = _lines(hub, request.path_params["id"])
    return StreamingResponse(stream, media_type="text/event-stream", headers={"x-accel-buffering": "no"})


async def _lines(hub: Hub, id: str) -> AsyncIterator[str]:
    """The events as text, with a comment after a while without one."""
    async with aclosing(hub.events(id)) as source:
        upcoming: asyncio.Task[Any] | None = None
        try:
            while True:
                upcoming = upcoming or asyncio.ensure_future(anext(source))
                done, _ = await asyncio.wait([upcoming], timeout=KEEP_ALIVE_S)
                if not done:
                    yield ": nothing new\n\n"
                    continue
                try:
                    name, data = upcoming.result()
                except StopAsyncIteration:
                    return
                finally:
                    upcoming = None
                yield f"event: {name}\ndata: {json.dumps(data)}\n\n"
        finally:
            if upcoming is not None:
                upcoming.cancel()
                await asyncio.wait([upcoming])


RUN_ROUTES: Final = [
    Route("/runs", list_runs, methods=["GET"]),
    Route("/runs", start, methods=["POST"]),
    Route("/runs/{id}", get, methods=["GET"]),
    Route("/runs/{id}/result", result, methods=["GET"]),
    Route("/runs/{id}/graph", graph, methods=["GET"]),
    Route("/runs/{id}/events", events, methods=["GET"]),
    Route("/runs/{id}/timeline", timeline, methods=["GET"]),
    Route("/runs/{id}/nodes/{address:path}", node, methods=["GET"]),
    Route("/runs/{id}/explain/{address:path}", explain_node, methods=["GET"]),
    Route("/runs/{id}/rows/{address:path}", rows, methods=["GET"]),
    Route("/runs/{id}/pending", pending, methods=["GET"]),
    Route("/runs/{id}/answers", answer, methods=["POST"]),
    Route("/runs/{id}/cancel", cancel, methods=["POST"]),
]
