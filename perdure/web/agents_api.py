"""The routes that clients of GraphAI's express middleware call: ``/agents`` lists agents and calls one.

Each call is a run with one node. So it has what every run has: any worker, retries, large values, and a place
in the list of runs; and a caller that repeats a request with the same Idempotency-Key gets the result of the
run that exists. An activity without a run was the alternative: not all servers have them, pure agents would
lose their place in the worker of the run, and nothing would show what was called.

What a run streams cannot be taken back. So a failure after the first piece ends the stream without the
marker that comes before a result, which clients report as a failure.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from http import HTTPStatus
from typing import Final, cast

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from perdure.agents.agent import Agent
from perdure.agents.filters_shipped.http import STREAM_END_MARKER
from perdure.client import GraphClient
from perdure.errors import GraphError, NotFound, PerdureError, RunFailed, UsageError
from perdure.graph.values import UNDEFINED, Value, is_dict
from perdure.runs import Run
from perdure.web.answers import as_json, error_body
from perdure.web.runs_api import json_of

STREAM_TYPE: Final = "text/event-stream"

_NODE_ID: Final = re.compile(r"[A-Za-z_]\w{0,99}", re.ASCII)
_STATIC: Final = "static_values"


def _agents(request: Request) -> Mapping[str, Agent]:
    return cast(Mapping[str, Agent], request.app.state.agents)


async def list_agents(request: Request) -> Response:
    """All agents that this server knows."""
    agents = [_about(agent, request) for name, agent in sorted(_agents(request).items()) if "." not in name]
    return as_json({"agents": agents})


async def describe_agent(request: Request) -> Response:
    """One agent."""
    agent = _agents(request).get(request.path_params["agent"])
    return Response("Not found", 404) if agent is None else as_json(_about(agent, request))


def _about(agent: Agent, request: Request) -> dict[str, Value]:
    base = f"{request.url.scheme}://{request.headers.get('host', '')}"
    samples = [
        {"inputs": sample.inputs, "params": sample.params, "result": sample.result}
        for sample in agent.samples
    ]
    return {
        "agentId": agent.name,
        "name": agent.name,
        "url": f"{base}/agents/{agent.name}",
        "description": agent.description,
        "category": list(agent.category),
        "author": "",
        "license": "",
        "repository": "",
        "samples": samples,
        "inputs": agent.inputs or {},
        "output": agent.output or {},
        "stream": "context" in agent.arguments,
    }


async def call(request: Request) -> Response:
    """Calls an agent: the result as JSON, or what it streams, the marker and the result."""
    kind = request.headers.get("content-type", "")
    return await _call(request, streams=kind.startswith(STREAM_TYPE))


async def call_plainly(request: Request) -> Response:
    """Calls an agent, and answers with JSON."""
    return await _call(request, streams=False)


async def call_streaming(request: Request) -> Response:
    """Calls an agent, and streams."""
    return await _call(request, streams=True)


async def _call(request: Request, *, streams: bool) -> Response:
    body = await json_of(request)
    about = body.get("debugInfo")
    about = about if is_dict(about) else {}
    agent = request.path_params.get("agent") or about.get("agentId")
    if not isinstance(agent, str):
        raise UsageError("debugInfo.agentId is missing", hint="or POST to /agents/AGENT")
    name = about.get("nodeId")
    node = name if isinstance(name, str) and _NODE_ID.fullmatch(name) and name != _STATIC else "node"
    key = request.headers.get("idempotency-key")
    client = cast(GraphClient, request.app.state.client)
    run = await client.start(
        _graph(agent, node, body), id=f"{agent}-{key}"[:200] if key else None, name=agent
    )
    try:
        if not streams:
            return as_json(await _result(run, node))
        return await _streamed(run, node)
    except (RunFailed, GraphError) as error:
        is_unknown = agent not in _agents(request) and "no agent" in error.finding
        if is_unknown:
            raise NotFound(f"there is no agent {agent!r}", hint="GET /agents lists them") from error
        # No 500, which clients repeat: the same request would give the same failure.
        return as_json(error_body(error), HTTPStatus.UNPROCESSABLE_ENTITY)


def _graph(agent: str, node: str, body: Mapping[str, Value]) -> dict[str, Value]:
    """A graph with one call. What looks like a reference in a static node or in params is none."""
    inputs, params, filters = (_object(body, key) for key in ("namedInputs", "params", "filterParams"))
    values = {f"i{number}": value for number, value in enumerate(inputs.values())}
    computed: dict[str, Value] = {
        "agent": agent,
        "inputs": {name: f":{_STATIC}.i{number}" for number, name in enumerate(inputs)},
        "params": params,
        "filterParams": {key: value for key, value in filters.items() if key != "server"},
        "isResult": True,
    }
    return {"version": 0.5, "nodes": {_STATIC: {"value": values}, node: computed}}


def _object(body: Mapping[str, Value], key: str) -> Mapping[str, Value]:
    value = body.get(key)
    if value is not None and value is not UNDEFINED and not is_dict(value):
        raise UsageError(f"{key} is not an object")
    return value if is_dict(value) else {}


async def _result(run: Run, node: str) -> Value:
    """The result of the agent; null for none. Raises RunFailed, GraphError."""
    value = (await run.result()).results.get(node)
    return None if value is UNDEFINED else value


async def _streamed(run: Run, node: str) -> Response:
    """The stream, once there is something in it. Raises what `_result` raises if there never is."""
    pieces = _pieces(run, node)
    first = await anext(pieces, None)
    if first is None:
        result = await _result(run, node)

        async def only() -> AsyncIterator[bytes]:
            yield STREAM_END_MARKER.encode() + as_json(result).body

        return StreamingResponse(only(), media_type=STREAM_TYPE)

    async def stream() -> AsyncIterator[bytes]:
        async with aclosing(pieces):
            yield first.encode()
            async for piece in pieces:
                yield piece.encode()
        try:
            result = await _result(run, node)
        except (PerdureError, asyncio.CancelledError):
            return  # without the marker: the stream broke off
        yield STREAM_END_MARKER.encode() + as_json(result).body

    return StreamingResponse(stream(), media_type=STREAM_TYPE)


async def _pieces(run: Run, node: str) -> AsyncGenerator[str]:
    """What the agent streams. What another attempt says differently cannot be taken back, and is left out."""
    length = 0
    async for piece in run.stream():
        if piece.path == node and piece.offset >= length:
            length = piece.offset + len(piece.text)
            yield piece.text
    status = await run.status(sys.maxsize)  # a call may begin and end between two looks
    for tail in () if status is None else status.streams:
        if tail.path.partition("#")[0] == node and tail.offset <= length < tail.offset + len(tail.text):
            yield tail.text[length - tail.offset :]
            length = tail.offset + len(tail.text)


AGENT_ROUTES: Final = [
    Route("/agents", list_agents, methods=["GET"]),
    Route("/agents/", list_agents, methods=["GET"]),
    Route("/agents/list", list_agents, methods=["GET"]),
    Route("/agents", call, methods=["POST"]),
    Route("/agents/", call, methods=["POST"]),
    Route("/agents/nonstream/{agent}", call_plainly, methods=["POST"]),
    Route("/agents/stream/{agent}", call_streaming, methods=["POST"]),
    Route("/agents/{agent}/stream", call_streaming, methods=["POST"]),
    Route("/agents/{agent}", describe_agent, methods=["GET"]),
    Route("/agents/{agent}", call, methods=["POST"]),
]
