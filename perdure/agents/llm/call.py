"""One call of a model: streamed, whatever the graph asked for, so that a long call shows life."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from perdure.agents.agent import AgentContext
from perdure.agents.llm import failures, openai_client
from perdure.agents.llm.messages import CompletionTimer, plain
from perdure.agents.llm.openai_client import Endpoint
from perdure.agents.llm.stream import Assembly
from perdure.errors import AgentError
from perdure.graph.javascript import normalize_json
from perdure.graph.values import Value, is_dict

CHUNKS_PER_TURN_COUNT = 20
"""Chunks of a stream that are read before other calls have their turn."""

if TYPE_CHECKING:
    from openai import AsyncOpenAI


async def chat(
    to: Endpoint, body: Mapping[str, Value], context: AgentContext, options: Mapping[str, Value]
) -> tuple[dict[str, Value], CompletionTimer]:
    """Asks for a chat completion: the completion object, and when it came.

    `body` is the request without what is None. Of `options`, `stream: false` keeps the pieces of the
    answer from being emitted, and `dataStream` emits them as events instead of text.
    Raises TransientError, FinalError and AgentError, see `llm_failures`.
    """
    request = {key: plain(value) for key, value in body.items() if value is not None}
    clock = CompletionTimer(start=_now())
    show = _Show(context, options)
    try:
        async with openai_client.client(to, context) as client:
            completion = await _stream(client, request, clock, show)
    except Exception as error:
        # No cause: tracebacks of requests would travel into the history of the run.
        raise failures.explain(error, to, context) from None
    clock.end = _now()
    return completion, clock


async def _stream(
    client: AsyncOpenAI, request: dict[str, Value], clock: CompletionTimer, show: _Show
) -> dict[str, Value]:
    create = cast("Any", client.chat.completions.create)  # graphs may pass what its types do not know
    usage = {"include_usage": True}
    stream = await create(**request, stream=True, stream_options=usage, extra_headers=show.headers)
    async with stream:
        kind = stream.response.headers.get("content-type", "")
        if "json" in kind:
            await stream.response.aread()
            return _unstreamed(stream.response.json())
        if "event-stream" not in kind:
            raise AgentError(f"answered with {kind[:80] or 'no content type'}, not with a stream of events")
        assembly = Assembly()
        await show.begin()
        async for chunk in stream:
            delta = assembly.add(normalize_json(chunk.to_dict(warnings=False)))
            if not assembly.chunks % CHUNKS_PER_TURN_COUNT:  # what has arrived is read without a wait
                await asyncio.sleep(0)
            if delta is not None:
                clock.first = clock.first or _now()
                await show.delta(delta)
    completion = assembly.completion()
    await show.end()
    return completion


def _unstreamed(answer: Any) -> dict[str, Value]:
    """The answer of a server that does not stream."""
    completion = normalize_json(answer)
    if not is_dict(completion) or not completion.get("choices"):
        raise AgentError("answered with JSON that is not a chat completion")
    return completion


def _now() -> float:
    return time.time() * 1000


class _Show:
    """Emits the pieces of an answer the way the graph's params ask for."""

    def __init__(self, context: AgentContext, options: Mapping[str, Value]) -> None:
        self._emit = context.emit
        self._events = bool(options.get("dataStream"))
        self._silent = options.get("stream") is False and not self._events
        key = context.idempotency_key
        self.headers = {"Idempotency-Key": key} if key else {}

    async def begin(self) -> None:
        if self._events:
            await self._emit({"type": "response.created", "response": {}})

    async def delta(self, delta: Mapping[str, Value]) -> None:
        content, calls = delta.get("content"), delta.get("tool_calls")
        if self._events and (content is not None or calls is not None):
            part = {"type": "text", "text": content}
            part = part if content is not None else {"type": "tool_calls", "data": calls}
            await self._emit({"type": "response.in_progress", "response": {"output": [part]}})
        elif isinstance(content, str) and content and not self._silent and not self._events:
            await self._emit(content)

    async def end(self) -> None:
        if self._events:
            await self._emit({"type": "response.completed", "response": {}})
