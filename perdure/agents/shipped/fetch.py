"""The agents that call an HTTP API: vanillaFetchAgent and fetchAgent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

from perdure.agents.agent import AgentContext, Sample, agent
from perdure.agents.schema import anything, fields, flag, mapping, one_of, text
from perdure.agents.shipped import fetch_xml
from perdure.agents.threads import in_thread
from perdure.errors import AgentError, FinalError
from perdure.graph.javascript import parse, stringify, to_string
from perdure.graph.values import UNDEFINED, Value, is_dict, is_list, js_truthy
from perdure.net import failures, url
from perdure.net.call_secrets import names_secret

if TYPE_CHECKING:
    from perdure.net import web

THREADED_BODY_BYTES = 250_000
"""Bytes from which an answer is decoded in a thread, outside the event loop."""

_decoding = Lock()

METHODS = ("GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH")
_WITH_BODY = ("POST", "PUT", "PATCH")
_WITHOUT_BODY = ("GET", "HEAD")

_REQUEST: dict[str, Any] = {
    "url": text("the URL; http or https"),
    "method": text("GET without a body, POST with one, unless set"),
    "headers": mapping("header names and values"),
    "queryParams": mapping("replaces the query of the URL"),
    "body": anything("sent as JSON"),
}
_DEBUG = flag("return the request instead of sending it")


@dataclass(frozen=True, kw_only=True)
class _Call:
    """A request before it is sent; `body` as JSON text.

    `headers` are those of the graph, except the one that is `hidden`, which no graph sees.
    """

    method: str
    url: str
    headers: Mapping[str, Value]
    body: str | None
    hidden: str = ""

    def shown(self) -> Value:
        """What the param `debug` gives."""
        body = UNDEFINED if self.body is None else self.body
        headers = {name: "***" if name == self.hidden else value for name, value in self.headers.items()}
        return {"url": self.url, "method": self.method, "headers": headers, "body": body}


@agent(
    "vanillaFetchAgent",
    description="Calls an HTTP API and returns its answer",
    category="service",
    inputs=fields(**_REQUEST),
    params=fields(
        **_REQUEST,
        type=one_of("json", "text"),
        debug=_DEBUG,
        supressError=flag("return {onError} if the status is an error"),
        flatResponse=flag("false: return {data: answer}"),
    ),
    output=anything("the answer, or {data}, or {onError: {message, status, error}}"),
    samples=[
        Sample(
            inputs={"url": "https://api.example.com/items", "queryParams": {"page": 2}},
            params={"debug": True},
            result={
                "url": "https://api.example.com/items?page=2",
                "method": "GET",
                "headers": {},
                "body": UNDEFINED,
            },
        )
    ],
)
async def vanilla_fetch(inputs: Value, params: Mapping[str, Value], context: AgentContext) -> Value:
    """Calls an HTTP API; inputs go over params, `config.authorization` is sent as the header to
    `config.authorizationHosts`.

    Raises TransientError for 429, 5xx and a broken network, FinalError for a request that is wrong or
    out of bounds, AgentError (``HTTP error: 404``) for other statuses and unreadable answers.
    """
    request = {**params, **inputs}
    if not js_truthy(request.get("url", UNDEFINED)):
        raise FinalError("fetchAgent: no url")
    headers = {**_mapping(params.get("headers")), **_mapping(inputs.get("headers"))}
    call = _authorized(_prepare(request, headers), context)
    if call.method not in METHODS:
        raise FinalError(f"fetchAgent: invalid method: {call.method}")
    if call.method in _WITH_BODY and call.body is None:
        raise FinalError(f"fetchAgent: The request body is required for this method: {call.method}")
    if js_truthy(params.get("debug", UNDEFINED)):
        return call.shown()
    kind = _kind(params, ("json", "text"))
    reply = await _send(call, context)
    if not reply.ok:
        return _failed(reply, kind, suppressed=js_truthy(params.get("supressError", UNDEFINED)))
    data = await _decoded(reply, kind)
    return {"data": data} if params.get("flatResponse") is False else data


@agent(
    "fetchAgent",
    description="Calls an HTTP API and returns its answer, or {onError}",
    category="service",
    inputs=fields("url", **_REQUEST),
    params=fields(
        type=one_of("json", "text", "xml"),
        debug=_DEBUG,
        throwError=flag("fail if the status is an error"),
    ),
    output=anything("the answer, or {onError: {message, status, error}}"),
    samples=[
        Sample(
            inputs={"url": "https://api.example.com/items", "body": {"name": "pear"}},
            params={"debug": True},
            result={
                "url": "https://api.example.com/items",
                "method": "POST",
                "headers": {"Content-Type": "application/json"},
                "body": '{"name":"pear"}',
            },
        )
    ],
)
async def fetch(inputs: Value, params: Mapping[str, Value], context: AgentContext) -> Value:
    """Calls an HTTP API; everything about the request comes from the inputs.

    A failing status gives {onError} unless `throwError`; otherwise as vanillaFetchAgent.
    """
    call = _prepare(inputs, _mapping(inputs.get("headers")))
    if js_truthy(params.get("debug", UNDEFINED)):
        return call.shown()
    kind = _kind(params, ("json", "text", "xml"))
    reply = await _send(call, context)
    if not reply.ok:
        return _failed(reply, kind, suppressed=not js_truthy(params.get("throwError", UNDEFINED)))
    return await _decoded(reply, kind)


def _authorized(call: _Call, context: AgentContext) -> _Call:
    """The call with `config.authorization`, if there is one: it is the caller's, and the URL the graph's.

    So it is sent to the hosts of `config.authorizationHosts` alone. Raises FinalError for others.
    """
    secret = context.config.get("authorization")
    if not js_truthy(secret):
        return call
    if names_secret(secret):  # it goes where the operator says
        return replace(call, headers={**call.headers, "Authorization": secret})
    listed: Value = context.config.get("authorizationHosts")
    target = url.parse(call.url)
    place = target.host if target.port is None else f"{target.host}:{target.port}"
    if not is_list(listed) or place not in listed:
        raise FinalError(
            f"fetchAgent: config.authorization is not for {place}",
            hint=f"where it is, list it: config.authorizationHosts: [{place}]",
        )
    # With the caller's key, a graph's own idempotency key could be that of another call, and get its answer.
    ours = ("authorization", "idempotency-key")
    headers = {name: value for name, value in call.headers.items() if name.lower() not in ours}
    return replace(call, headers={**headers, "Authorization": secret}, hidden="Authorization")


def _mapping(value: Value) -> dict[str, Value]:
    return dict(value) if is_dict(value) else {}


def _prepare(request: Mapping[str, Value], headers: Mapping[str, Value]) -> _Call:
    method, body, query = (request.get(key, UNDEFINED) for key in ("method", "body", "queryParams"))
    address = to_string(request.get("url", UNDEFINED))
    try:
        target = url.parse(address)
    except ValueError as error:
        raise FinalError(
            f"{error}: {address[:200]!r}", hint="give one such as https://example.com/data"
        ) from None
    if js_truthy(query):
        target = replace(target, query=_form(query) or None)
    if not js_truthy(body):
        default, sent = "GET", None
    else:
        default, sent = "POST", to_string(stringify(body))
        headers = {**headers, "Content-Type": "application/json"}
    method = to_string(method).upper() if js_truthy(method) else default
    return _Call(method=method, url=str(target), headers=headers, body=sent)


def _form(query: Value) -> str:
    """`query` as JavaScript's URLSearchParams writes it."""
    if is_dict(query):
        pairs = [(key, to_string(value)) for key, value in query.items()]
    elif is_list(query) and all(is_list(pair) and len(pair) == 2 for pair in query):
        pairs = [(to_string(key), to_string(value)) for key, value in query]
    else:
        raise FinalError("fetchAgent: queryParams is neither an object nor a list of pairs")
    return "&".join(f"{_form_text(key)}={_form_text(value)}" for key, value in pairs)


def _form_text(value: str) -> str:
    return quote_plus(value, safe="*", errors="replace").replace("~", "%7E")


def _kind(params: Mapping[str, Value], kinds: tuple[str, ...]) -> str:
    kind = params.get("type", UNDEFINED)
    kind = "json" if kind is None or kind is UNDEFINED else kind
    if kind not in kinds:
        raise FinalError(f"Unknown Type! {to_string(kind)}", hint=f"use one of {', '.join(kinds)}")
    return kind


async def _send(call: _Call, context: AgentContext) -> web.Reply:
    from perdure.net import web  # noqa: PLC0415 -- httpx2 takes 0.2 s to import
    from perdure.net.egress import Guard  # noqa: PLC0415 -- the same

    if call.body is not None and call.method in _WITHOUT_BODY:
        raise FinalError(f"fetchAgent: a {call.method} request cannot have a body")
    headers = {name: to_string(value).strip(" \t\r\n") for name, value in call.headers.items()}
    if any(map(names_secret, headers.values())):
        # With a key of the operator, a graph's own idempotency key could be that of another call.
        headers = {name: value for name, value in headers.items() if name.lower() != "idempotency-key"}
    present = {name.lower() for name in headers}
    if call.method not in _WITHOUT_BODY and context.idempotency_key and "idempotency-key" not in present:
        headers["Idempotency-Key"] = context.idempotency_key
    body = None if call.body is None else call.body.encode("utf-8", "replace")
    request = web.Request(method=call.method, url=call.url, headers=headers, body=body)
    guard = Guard.of(context.settings.allow_hosts, context.grant)
    return await web.send(request, guard, secrets=context.secrets)


def _failed(reply: web.Reply, kind: str, *, suppressed: bool) -> Value:
    message = f"HTTP error: {reply.status}"
    if not suppressed:
        raise failures.of_status(reply.status, message, reply.headers, counted=True)
    error: Value = reply.text
    if kind == "json":
        try:
            error = parse(reply.text)
        except (ValueError, RecursionError):
            error = reply.text  # a proxy's page: the status says enough
    return {"onError": {"message": message, "status": reply.status, "error": error}}


async def _decoded(reply: web.Reply, kind: str) -> Value:
    """What the answer says; a large one is read in a thread, one at a time, while the event loop beats on."""
    if len(reply.body) < THREADED_BODY_BYTES:
        return _read(reply, kind)
    return await in_thread("a large answer", _read_alone, reply, kind)


def _read_alone(reply: web.Reply, kind: str) -> Value:
    with _decoding:
        return _read(reply, kind)


def _read(reply: web.Reply, kind: str) -> Value:
    if kind == "text":
        return reply.text
    if kind == "xml":
        return fetch_xml.parse(reply.text)
    try:
        return parse(reply.text)
    except (ValueError, RecursionError) as error:
        content_type = reply.headers.get("content-type", "no content type")
        raise AgentError(
            f"fetchAgent: the answer ({content_type}, {len(reply.body)} bytes) is not JSON: {error}",
            hint="use params.type: text",
        ) from None
