"""The filter that lets agents run on another server: it sends their calls there, by HTTP.

A call becomes a POST to ``baseUrl/agent`` with the JSON body ``{params, debugInfo, filterParams,
namedInputs, inputs}``; the answer is the result, as JSON. A node whose stream is listened to asks for
``text/event-stream``: then the answer is text, piece by piece, and after ``___END___`` the result.
Source: GraphAI's httpAgentFilter. Unlike there, a failing status is a failure.
"""

from __future__ import annotations

import codecs
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from perdure.agents.filters import Filter, FilteredCall, Next
from perdure.agents.shipped.objects import spread
from perdure.errors import AgentError, FinalError
from perdure.graph.javascript import parse, stringify, to_string
from perdure.graph.values import UNDEFINED, Value, is_dict, js_truthy, normalize
from perdure.net import failures

if TYPE_CHECKING:
    import httpx2

    from perdure.net.egress import Guard

STREAM_END_MARKER: Final = "___END___"

REMOTE_CONNECT_TIMEOUT_S: Final = 10.0
REMOTE_READ_TIMEOUT_S: Final = 600.0
"""Seconds without a byte: the other side may be a model at work. The node's `timeout` bounds it all."""

MAX_REMOTE_ANSWER_BYTES: Final = 20_000_000
"""Bytes of one answer."""

_OURS: Final = frozenset(
    {"accept-encoding", "connection", "content-length", "content-type", "host", "transfer-encoding"}
)
"""Headers that ``config.headers`` cannot set."""

Emit = Callable[[str], Awaitable[None]]


def remote(base_url: str | None = None) -> Filter:
    """A filter that executes agents at ``filterParams.server``, or else at `base_url`.

    Without both the agent runs here. `base_url` may be anywhere; what a graph names is reached as
    `Settings.allow_hosts` says, without what the operator and the caller of the run gave: the
    ``config.headers`` and the filter params of the worker.
    """

    async def run_remotely(call: FilteredCall, next: Next) -> Value:
        server_param = spread(call.context.filter_params).get("server", UNDEFINED)
        if js_truthy(server_param):
            url, guard = _named_by_graph(call, server_param), _guard(call)
        elif base_url is not None:
            url = f"{base_url.rstrip('/')}/{quote(call.context.agent, safe='')}"
            guard = _guard(call).trusting(base_url)
        else:
            return await next(call)
        server = server_param if is_dict(server_param) else {}
        own = spread(call.context.node_filter_params)
        by_graph = js_truthy(own.get("server", UNDEFINED))
        if js_truthy(server.get("isDebug", UNDEFINED)):
            call.context.log(f"{call.context.path}: POST {url}")
        headers = _headers(call, trusted=not by_graph)
        passed_on = own if by_graph else call.context.filter_params
        return await _exchange(call, url, headers, guard, _body(call, passed_on))

    return run_remotely


def _guard(call: FilteredCall) -> Guard:
    from perdure.net.egress import Guard  # noqa: PLC0415 -- httpx2 takes 0.1 s to import

    return Guard.of(call.context.settings.allow_hosts, call.context.grant)


def _named_by_graph(call: FilteredCall, server: Value) -> str:
    name = call.context.agent
    own = server.get("serverAgentUrlDictionary") if is_dict(server) else None
    if is_dict(own) and js_truthy(own.get(name)):
        return to_string(own[name])
    if not is_dict(server) or not js_truthy(server.get("baseUrl")):
        raise FinalError(
            f"{name}: filterParams.server names no place to call",
            hint="write `server: {baseUrl: https://agents.example.com/api}`",
        )
    return f"{to_string(server['baseUrl'])}/{quote(name, safe='')}"


def _headers(call: FilteredCall, *, trusted: bool) -> dict[str, str]:
    config_headers = call.context.config.get("headers") if trusted else None
    headers = {
        name: to_string(value)
        for name, value in (config_headers.items() if is_dict(config_headers) else ())
        if name.lower() not in _OURS
    }
    streams = call.context.is_result
    headers |= {
        "Content-Type": "text/event-stream" if streams else "application/json",
        "Accept-Encoding": "identity",
    }
    if call.context.idempotency_key:
        headers["Idempotency-Key"] = call.context.idempotency_key
    return headers


def _body(call: FilteredCall, filter_params: Value) -> bytes:
    context = call.context
    said = {
        "params": dict(call.params),
        "debugInfo": {
            "nodeId": context.node,
            "agentId": context.agent,
            "retry": context.retry,
            "verbose": context.verbose,
            "version": context.version,
            "isResult": context.is_result,
        },
        "filterParams": {key: value for key, value in spread(filter_params).items() if _is_data(value)},
        "namedInputs": call.inputs,
        "inputs": list[Value](),
    }
    return to_string(stringify(said)).encode("utf-8", "replace")


def _is_data(value: Value) -> bool:
    """Whether this is a value: other filters may hand on what is none."""
    try:
        normalize(value)
    except TypeError:
        return False
    return True


async def _exchange(
    call: FilteredCall, url: str, headers: Mapping[str, str], guard: Guard, body: bytes
) -> Value:
    import httpx2  # noqa: PLC0415 -- 0.1 s, for this filter only

    from perdure.net.egress import GuardedTransport  # noqa: PLC0415 -- it imports httpx2

    name = call.context.agent
    timeout = httpx2.Timeout(REMOTE_READ_TIMEOUT_S, connect=REMOTE_CONNECT_TIMEOUT_S)
    secrets = call.context.secrets
    transport = GuardedTransport(guard, largest=MAX_REMOTE_ANSWER_BYTES, secrets=secrets)
    try:
        async with (
            httpx2.AsyncClient(transport=transport, trust_env=False, timeout=timeout) as client,
            client.stream("POST", guard.check(url), headers=headers, content=body) as answer,
        ):
            return _result(name, await _text(answer, call, headers))
    except (httpx2.LocalProtocolError, httpx2.InvalidURL, UnicodeEncodeError) as error:
        raise FinalError(f"{name}: the call cannot be sent: {error}") from None
    except httpx2.TransportError as error:
        raise failures.of_transport(error, f"{name}: its server: {error or type(error).__name__}") from None


async def _text(answer: httpx2.Response, call: FilteredCall, headers: Mapping[str, str]) -> str:
    """The JSON of the answer; what streams before it has been emitted."""
    if not answer.is_success:
        await answer.aread()
        said = failures.redact(answer.text, headers.values())
        message = f"{call.context.agent}: its server answered {answer.status_code}: {said}"
        raise failures.of_status(answer.status_code, message, answer.headers)
    kind = answer.headers.get("content-type", "")
    if headers["Content-Type"] == "application/json" or "json" in kind:
        await answer.aread()
        return answer.content.decode("utf-8-sig", "replace")
    split = Split(call.context.emit)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    async for piece in answer.aiter_raw():
        await split.add(decoder.decode(piece))
    await split.add(decoder.decode(b"", final=True))
    if not split.ended:
        raise AgentError(f"{call.context.agent}: its server ended the stream before {STREAM_END_MARKER}")
    return "".join(split.rest)


@dataclass(slots=True)
class Split:
    """Parts a stream at END, wherever its pieces break: what comes before is emitted, the rest kept."""

    emit: Emit
    ended: bool = False
    rest: list[str] = field(default_factory=list[str])
    _held: str = ""

    async def add(self, text: str) -> None:
        """Takes the next piece."""
        if self.ended:
            self.rest.append(text)
            return
        before, mark, after = (self._held + text).partition(STREAM_END_MARKER)
        self.ended = bool(mark)
        if self.ended:
            self.rest.append(after)
        else:
            begun = next(
                (
                    n
                    for n in range(len(STREAM_END_MARKER) - 1, 0, -1)
                    if before.endswith(STREAM_END_MARKER[:n])
                ),
                0,
            )
            before, self._held = before[: len(before) - begun], before[len(before) - begun :]
        if before:
            await self.emit(before)


def _result(name: str, text: str) -> Value:
    try:
        return parse(text)
    except (ValueError, RecursionError) as error:
        raise AgentError(f"{name}: the answer of its server is not JSON: {error}") from None
