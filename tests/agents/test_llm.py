"""The model agents against servers on loopback that speak OpenAI's protocol, with the real client."""

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from perdure.agents.agent import AgentContext
from perdure.agents.llm import failures, openai_client
from perdure.agents.llm.agents import openai_chat, openai_fetch, openai_image
from perdure.agents.llm.providers import anthropic, gemini, groq
from perdure.errors import AgentError, FinalError, TransientError
from perdure.settings import Settings
from tests.support.servers import (
    DONE,
    EVENTS,
    USAGE,
    Answer,
    Server,
    called,
    chunk,
    failed,
    json_answer,
    said,
    serve,
)

KEY = "sk-very-secret-0123456789/+"
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


@pytest.fixture(autouse=True)
async def _clients() -> AsyncIterator[None]:
    yield
    await openai_client.close_clients()


pytestmark = pytest.mark.anyio


def context(server: Server, provider: str = "openai", **more: Any) -> AgentContext:
    settings = Settings(keys={provider: KEY}, base_urls={provider: f"{server.url}/v1"})
    return AgentContext(agent=f"{provider}Agent", settings=settings, **more)


class Watcher:
    """Remembers what an agent emits."""

    def __init__(self) -> None:
        self.pieces: list[Any] = []

    async def __call__(self, piece: Any, /) -> None:
        self.pieces.append(piece)


async def test_answer() -> None:
    watcher = Watcher()
    with serve(lambda _: said("Hel", "lo 🎈")) as server:
        result = await openai_chat(
            {"prompt": ["What", "", "now?"], "system": "Be brief."},
            {"model": "gpt-4o-mini", "max_tokens": 5},
            context(server, emit=watcher, idempotency_key="run-1"),
        )
    metadata = result.pop("metadata")
    assert result == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "mock-1",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello 🎈", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": USAGE,
        "text": "Hello 🎈",
        "tool_calls": [],
        "message": {"role": "assistant", "content": "Hello 🎈"},
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What\nnow?"},
            {"role": "assistant", "content": "Hello 🎈"},
        ],
        "responseFormat": None,
    }
    assert metadata["timing"].keys() >= {"start", "firstToken", "end", "latencyToFirstToken", "totalElapsed"}
    assert watcher.pieces == ["Hel", "lo 🎈"]
    (seen,) = server.seen
    assert seen.json == {
        "model": "gpt-4o-mini",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What\nnow?"}],
        "max_completion_tokens": 5,
        "temperature": 0.7,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert (seen.method, seen.path) == ("POST", "/v1/chat/completions")
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert seen.headers["idempotency-key"] == "run-1"


@pytest.mark.parametrize(
    ("inputs", "params", "config", "expected"),
    [
        ({"prompt": "p"}, {}, {}, {"model": "gpt-4o", "temperature": 0.7}),
        ({"prompt": "p"}, {"temperature": 0}, {}, {"temperature": 0}),
        ({"prompt": "p"}, {"model": "o3", "temperature": 1}, {}, {"model": "o3", "temperature": None}),
        ({"prompt": "p", "model": "ignored"}, {}, {}, {"model": "gpt-4o"}),
        ({"prompt": "p"}, {}, {"model": "c"}, {"model": "c"}),
        ({"prompt": "p"}, {"model": "p"}, {"model": "c"}, {"model": "p"}),
        (
            {"prompt": "p"},
            {"max_tokens": 1, "max_completion_tokens": 2},
            {},
            {"max_completion_tokens": 2, "max_tokens": None},
        ),
        (
            {"prompt": "p", "tools": [TOOL], "tool_choice": "required"},
            {},
            {},
            {"tools": [TOOL], "tool_choice": "required"},
        ),
        ({"prompt": "p", "tools": []}, {"tool_choice": "auto"}, {}, {"tools": None, "tool_choice": None}),
        (
            {"messages": [{"role": "user", "content": "a"}], "prompt": "b"},
            {"system": "s"},
            {},
            {"messages": [("system", "s"), ("user", "a"), ("user", "b")]},
        ),
        ({"message": {"role": "user", "content": "m"}, "prompt": "p"}, {}, {}, {"messages": [("user", "m")]}),
        (
            {"mergeablePrompts": ["a", "b"], "prompt": "no"},
            {"mergeablePrompts": "c", "mergeableSystem": "s"},
            {},
            {"messages": [("system", "s"), ("user", "a\nb\nc")]},
        ),
        (
            {"prompt": "p", "images": ["https://x.example/1.png", "ignored"]},
            {},
            {},
            {
                "messages": [
                    ("user", "p"),
                    (
                        "user",
                        [
                            {
                                "type": "image_url",
                                "image_url": {"url": "https://x.example/1.png", "detail": "high"},
                            }
                        ],
                    ),
                ]
            },
        ),
    ],
)
async def test_request(
    inputs: dict[str, Any], params: dict[str, Any], config: dict[str, Any], expected: dict[str, Any]
) -> None:
    with serve(lambda _: said("x")) as server:
        await openai_chat(inputs, params, context(server, config=config))
    body = server.seen[0].json
    body["messages"] = [(message["role"], message["content"]) for message in body["messages"]]
    assert {key: body.get(key) for key in expected} == expected


async def test_tools() -> None:
    calls = (("id-1", "weather", '{"city": "Oslo"}'), ("id-2", "time", "{broken"))
    with serve(lambda _: called(*calls)) as server:
        result = await openai_chat({"prompt": "p", "tools": [TOOL]}, {}, context(server))
    assert result["text"] is None
    assert result["tool"] == {"id": "id-1", "name": "weather", "arguments": {"city": "Oslo"}}
    assert [(call["id"], call["name"]) for call in result["tool_calls"]] == [
        ("id-1", "weather"),
        ("id-2", "time"),
    ]
    raw = [
        {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
        for call_id, name, arguments in calls
    ]
    assert result["message"] == {"content": None, "role": "assistant", "tool_calls": raw}
    assert result["messages"][-1] == result["message"]
    assert result["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [(said('{"a": ', "1}"), {"a": 1}), (said("[1]"), [1]), (said("5"), None), (said(), None)],
)
async def test_response_format(answer: Answer, expected: Any) -> None:
    schema_format = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    with serve(lambda _: answer) as server:
        result = await openai_chat({"prompt": "p"}, {"response_format": schema_format}, context(server))
    assert result["responseFormat"] == expected
    assert server.seen[0].json["response_format"] == schema_format


@pytest.mark.parametrize("answer", [said("no json"), said('{"a":', finish="length")])
async def test_response_format_that_is_none(answer: Answer) -> None:
    with serve(lambda _: answer) as server, pytest.raises(AgentError, match="response_format") as caught:
        await openai_chat({"prompt": "p"}, {"response_format": {"type": "json_object"}}, context(server))
    assert type(caught.value) is AgentError


async def test_a_server_that_does_not_stream() -> None:
    message = {"role": "assistant", "content": "whole"}
    whole = {
        "id": "1",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": USAGE,
    }
    with serve(lambda _: json_answer(whole)) as server:
        result = await openai_chat({"prompt": "p"}, {}, context(server))
    assert (result["text"], result["usage"]) == ("whole", USAGE)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, ["a", "b"]),
        ({"stream": True}, ["a", "b"]),
        ({"stream": False}, []),
        (
            {"dataStream": True},
            [
                {"type": "response.created", "response": {}},
                {"type": "response.in_progress", "response": {"output": [{"type": "text", "text": ""}]}},
                {"type": "response.in_progress", "response": {"output": [{"type": "text", "text": "a"}]}},
                {"type": "response.in_progress", "response": {"output": [{"type": "text", "text": "b"}]}},
                {"type": "response.completed", "response": {}},
            ],
        ),
    ],
)
async def test_what_is_emitted(params: dict[str, Any], expected: list[Any]) -> None:
    watcher = Watcher()
    with serve(lambda _: said("a", "b")) as server:
        result = await openai_chat({"prompt": "p"}, params, context(server, emit=watcher))
    assert watcher.pieces == expected
    assert result["text"] == "ab"


async def test_verbose() -> None:
    lines: list[str] = []
    with serve(lambda _: said("a")) as server:
        await openai_chat({"prompt": "p"}, {"verbose": True}, context(server, log=lines.append))
    assert lines == ["user: p"]


async def test_surrogates_cut_by_chunks() -> None:
    high, low = b'"\\ud83c', b'\\udf88"'
    pieces = (
        chunk({"content": "HIGH"}).replace(b'"HIGH"', high + b'"'),
        chunk({"content": "LOW"}).replace(b'"LOW"', b'"' + low),
        chunk({"content": "LONE"}).replace(b'"LONE"', high + b'"'),
        chunk({}, "stop"),
        DONE,
    )
    with serve(lambda _: Answer(headers=EVENTS, pieces=pieces)) as server:
        result = await openai_chat({"prompt": "p"}, {}, context(server))
    assert result["text"] == "🎈\ufffd"


def stream(*pieces: bytes, end: str = "clean") -> Answer:
    return Answer(headers=EVENTS, pieces=pieces, end=end)


ERROR_EVENT = b'data: {"error": {"message": "overloaded", "type": "server_error", "code": null}}\n\n'
LONG_EVENT = (
    b'data: {"error": {"message": "too long", "type": "invalid_request_error",'
    b' "code": "context_length_exceeded"}}\n\n'
)

FAILURES = [
    ("429", failed(429, "slow down", Retry_After="7"), TransientError, "HTTP 429: slow down"),
    ("quota", failed(429, "no credit", "insufficient_quota"), FinalError, "billing"),
    ("500", failed(500, "oops"), TransientError, "HTTP 500: oops"),
    ("502 page", Answer(status=502, body=b"<html>bad gateway"), TransientError, "HTTP 502"),
    ("408", failed(408, "late"), TransientError, "HTTP 408"),
    ("409", failed(409, "busy"), TransientError, "HTTP 409"),
    ("400", failed(400, "wrong field"), FinalError, "HTTP 400: wrong field"),
    ("too long", failed(400, "8192 tokens", "context_length_exceeded"), FinalError, "send less text"),
    ("401", failed(401, f"bad key {KEY}"), FinalError, "OPENAI_API_KEY"),
    ("403", failed(403, "no"), FinalError, "hint"),
    ("404", failed(404, "no such model"), FinalError, "params.model"),
    ("422", failed(422, "unprocessable"), FinalError, "HTTP 422"),
    ("501", failed(501, "no chat here"), FinalError, "another server"),
    ("redirect", Answer(status=307, headers={"Location": "http://169.254.169.254/"}), FinalError, "HTTP 307"),
    ("reset at once", Answer(end="reset"), TransientError, "broke the connection"),
    (
        "reset in the stream",
        stream(chunk({"content": "a"}), end="reset"),
        TransientError,
        "broke the connection",
    ),
    ("truncated", stream(chunk({"content": "a"}), end="truncated"), TransientError, "broke the connection"),
    ("ended early", stream(chunk({"content": "a"})), TransientError, "broke off"),
    ("done early", stream(chunk({"content": "a"}), DONE), TransientError, "broke off"),
    ("no events", stream(), TransientError, "broke off"),
    ("error event", stream(chunk({"content": "a"}), ERROR_EVENT), TransientError, "overloaded"),
    ("final error event", stream(LONG_EVENT), FinalError, "too long"),
    ("html", Answer(headers={"Content-Type": "text/html"}, body=b"<html>"), AgentError, "text/html"),
    ("no type", Answer(body=b"hello"), AgentError, "no content type"),
    ("json of something", json_answer({"hello": 1}), AgentError, "not a chat completion"),
    ("half json", Answer(headers={"Content-Type": "application/json"}, body=b'{"a'), AgentError, "malformed"),
    ("half event", stream(b'data: {"id": \n\n'), AgentError, "malformed"),
    ("event of a list", stream(b"data: [1]\n\n"), AgentError, ""),
    ("choice of text", stream(b'data: {"choices": ["x"]}\n\n'), AgentError, ""),
    (
        "index of text",
        stream(b'data: {"choices": [{"index": "x", "delta": {}}]}\n\n'),
        AgentError,
        "malformed",
    ),
    (
        "call of a far index",
        stream(chunk({"tool_calls": [{"index": 10**9, "id": "x", "function": {"name": "n"}}]})),
        AgentError,
        "malformed",
    ),
]


@pytest.mark.parametrize(
    ("answer", "kind", "text"), [case[1:] for case in FAILURES], ids=[case[0] for case in FAILURES]
)
async def test_failures(answer: Answer, kind: type[AgentError], text: str) -> None:
    with serve(lambda _: answer) as server, pytest.raises(AgentError) as caught:
        await openai_chat({"prompt": "p"}, {}, context(server))
    assert type(caught.value) is kind, caught.value
    assert text in str(caught.value)
    assert str(caught.value).startswith("openaiAgent: 127.0.0.1: ")
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None
    assert len(server.seen) == 1, "the client repeated the call by itself"


async def test_retry_after() -> None:
    with (
        serve(lambda _: failed(429, "x", Retry_After="7")) as server,
        pytest.raises(TransientError) as caught,
    ):
        await openai_chat({"prompt": "p"}, {}, context(server))
    assert caught.value.retry_after == 7


async def test_a_port_that_is_none() -> None:
    params = {"baseURL": "http://127.0.0.1:99999/v1"}
    settings = Settings(allow_hosts=("127.0.0.1",))
    with pytest.raises(FinalError, match="has port 99999: ports are 1 to 65535"):
        await openai_chat({"prompt": "p"}, params, AgentContext(agent="openAIAgent", settings=settings))


async def test_nothing_listens() -> None:
    with serve(lambda _: said("x")) as server:
        gone = context(server)
    with pytest.raises(TransientError, match="broke the connection"):
        await openai_chat({"prompt": "p"}, {}, gone)


async def test_a_group_of_exceptions_is_what_is_in_it() -> None:
    inner = ExceptionGroup("inner", [OSError("no route"), OSError("refused")])
    assert failures.to_text(ExceptionGroup("outer", [inner])) == "OSError: no route"


@pytest.mark.parametrize(
    "form", [KEY, "sk-very-secret-0123456789%2F%2B", "c2stdmVyeS1zZWNyZXQtMDEyMzQ1Njc4OS8r"]
)
async def test_keys_are_not_shown(form: str) -> None:
    with serve(lambda _: failed(400, f"got {form}!" * 300)) as server, pytest.raises(FinalError) as caught:
        await openai_chat({"prompt": "p"}, {}, context(server))
    assert form not in str(caught.value)
    assert "got ***!" in str(caught.value)
    assert len(str(caught.value)) < 4000
    assert KEY not in repr(
        openai_client.Endpoint(provider="openai", base_url="http://x", key=KEY, trusted=True)
    )


# ---- where, and with which key ----------------------------------------------------------------------


async def test_nothing_to_ask() -> None:
    with pytest.raises(FinalError) as caught:
        await openai_chat({"prompt": "p"}, {}, AgentContext(agent="openAIAgent", settings=Settings()))
    for hint in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "pip install '.[local]'"):
        assert hint in str(caught.value)


async def test_local_models() -> None:
    with serve(lambda _: said("local")) as server:

        async def local() -> str:
            return f"{server.url}/v1".replace("://", "://:local-key@")

        console: list[str] = []
        asking = AgentContext(settings=Settings(), local_models=local, run="local", log=console.append)
        result = await openai_chat({"prompt": "p"}, {}, asking)
    assert result["text"] == "local"
    assert server.seen[0].headers["authorization"] == "Bearer local-key"
    assert [text.partition(" (")[0] for text in console] == ["no API key: smollm2 answers for every model"]


async def test_settings_come_before_local_models() -> None:
    async def local() -> str:
        raise AssertionError("started")

    with serve(lambda _: said("remote")) as server:
        result = await openai_chat({"prompt": "p"}, {}, context(server, local_models=local))
    assert result["text"] == "remote"


async def test_a_url_without_a_key() -> None:
    with serve(lambda _: said("x")) as server:
        settings = Settings(base_urls={"openai": server.url})
        await openai_chat({"prompt": "p"}, {}, AgentContext(settings=settings))
    assert server.seen[0].headers["authorization"] == "Bearer none"


@pytest.mark.parametrize("where", ["params", "config"])
async def test_a_url_of_the_graph_is_guarded(where: str) -> None:
    with serve(lambda _: said("x")) as server:
        place = {where: {"baseURL": server.url, "apiKey": "k"}}
        with pytest.raises(FinalError, match="PERDURE_ALLOW_HOSTS"):
            await openai_chat(
                {"prompt": "p"}, place.get("params", {}), AgentContext(config=place.get("config", {}))
            )
        assert not server.seen


async def test_a_server_of_the_graph_gets_nothing_of_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-the-worker")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-admin")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Corporate: secret\nAuthorization: Bearer corporate")
    with serve(lambda _: said("x")) as server:
        settings = Settings(keys={"openai": KEY}, allow_hosts=(server.host,))
        await openai_chat({"prompt": "p"}, {"baseURL": server.url}, AgentContext(settings=settings))
    headers = server.seen[0].headers
    assert headers["authorization"] == "Bearer none"
    assert not {"x-corporate", "openai-organization"} & headers.keys()
    for secret in (KEY, "org-of-the-worker", "sk-of-the-environment", "sk-admin", "corporate"):
        assert secret not in json.dumps(dict(headers))


async def test_the_keys_of_the_environment_are_those_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-admin")
    with serve(lambda _: said("x")) as server:
        await openai_chat({"prompt": "p"}, {}, context(server))
    assert server.seen[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("named", "gets"),
    [
        ("/v1", KEY),
        ("/v1/", KEY),
        ("/v2", "none"),
        ("/", "none"),
        ("/v1/../key", "none"),
        ("/key/generate?x=", "none"),
        ("/v1?x=", "none"),
        ("/v1#x", "none"),
        ("/V1", "none"),
    ],
)
@pytest.mark.parametrize("config", [{}, {"apiKey": "sk-config"}])
async def test_a_base_url_of_the_graph_gets_a_key_if_it_is_the_operators(
    named: str, gets: str, config: dict[str, Any]
) -> None:
    with serve(lambda _: said("x")) as server:
        settings = Settings(
            keys={"openai": KEY}, base_urls={"openai": f"{server.url}/v1"}, allow_hosts=(server.host,)
        )
        with suppress(AgentError):
            await openai_chat(
                {"prompt": "p"},
                {"baseURL": server.url + named},
                AgentContext(settings=settings, config=config),
            )
    if gets == KEY and config:
        gets = "sk-config"
    assert [seen.headers["authorization"] for seen in server.seen] == [f"Bearer {gets}"]


async def test_a_key_of_config_goes_to_the_url_of_config() -> None:
    with serve(lambda _: said("x")) as server:
        config = {"apiKey": "sk-config", "baseURL": server.url}
        around = AgentContext(settings=Settings(allow_hosts=(server.host,)), config=config)
        await openai_chat({"prompt": "p"}, {}, around)
        await openai_chat({"prompt": "p"}, {"baseURL": server.url + "/other"}, around)
        await openai_chat({"prompt": "p"}, {"baseURL": server.url + "/other", "apiKey": "sk-graph"}, around)
    assert [seen.headers["authorization"] for seen in server.seen] == [
        "Bearer sk-config",
        "Bearer none",
        "Bearer sk-graph",
    ]


async def test_a_key_of_the_graph_goes_to_the_operators_site() -> None:
    with serve(lambda _: said("x")) as server:
        await openai_chat({"prompt": "p"}, {"apiKey": "sk-graph"}, context(server))
    assert server.seen[0].headers["authorization"] == "Bearer sk-graph"


async def test_compressed_answers_of_strange_servers_are_refused() -> None:
    answer = Answer(headers={**EVENTS, "Content-Encoding": "gzip"}, body=b"x" * 50)
    with serve(lambda _: answer) as server:
        settings = Settings(allow_hosts=(server.host,))
        with pytest.raises(AgentError, match="compressed unasked"):
            await openai_chat({"prompt": "p"}, {"baseURL": server.url}, AgentContext(settings=settings))
    assert server.seen[0].headers["accept-encoding"] == "identity"


async def test_azure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of an Azure site, resolved to the server on loopback."""
    import socket

    real = socket.getaddrinfo
    host = "mine.openai.azure.com"
    with serve(lambda _: said("x")) as server:
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda name, *a, **k: real("127.0.0.1" if name == host else name, *a, **k)
        )
        settings = Settings(allow_hosts=(host,))
        params = {"baseURL": f"http://{host}:{server.port}", "apiKey": "azure-key", "model": "gpt-4o"}
        await openai_chat({"prompt": "p"}, params, AgentContext(settings=settings))
    (seen,) = server.seen
    assert seen.path == "/openai/deployments/gpt-4o/chat/completions"
    assert seen.query == {"api-version": "2025-04-01-preview"}
    assert seen.headers["api-key"] == "azure-key"


async def test_clients_are_kept_for_the_operators_endpoint_only() -> None:
    with serve(lambda _: said("x")) as server:
        allowed = Settings(keys={"openai": KEY}, base_urls={"openai": server.url}, allow_hosts=(server.host,))
        for params in ({}, {}, {"apiKey": "a"}, {"apiKey": "b"}, {"baseURL": server.url + "/x"}):
            await openai_chat({"prompt": "p"}, params, AgentContext(settings=allowed))
    (kept,) = openai_client._kept.values()
    assert [endpoint.key for endpoint, _ in kept] == [KEY]


# ---- the relatives ----------------------------------------------------------------------------------


async def test_openai_fetch_agent() -> None:
    with serve(lambda _: said("x")) as server:
        result = await openai_fetch(
            {"prompt": "p"},
            {"model": "o3", "apiKey": "sk-params"},
            context(server, config={"apiKey": "sk-config", "model": "ignored"}),
        )
    assert (server.seen[0].json["model"], server.seen[0].json["temperature"]) == ("o3", 0.7)
    assert server.seen[0].headers["authorization"] == "Bearer sk-config"
    assert result["message"] == {"role": "assistant", "content": "x", "refusal": None}
    assert result["messages"][-1] == result["message"]


async def test_openai_image_agent() -> None:
    drawn = {"created": 1, "data": [{"url": "https://images.example.com/1.png"}]}
    with serve(lambda _: json_answer(drawn)) as server:
        result = await openai_image({"prompt": "a kite"}, {"system": "oil on canvas"}, context(server))
    assert result == drawn
    assert server.seen[0].path == "/v1/images/generations"
    assert server.seen[0].json == {
        "model": "dall-e-3",
        "prompt": "oil on canvas\na kite",
        "n": 1,
        "response_format": "url",
    }


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(failed(400, "no"), FinalError), (failed(500, "no"), TransientError), (json_answer({}), AgentError)],
)
async def test_openai_image_agent_fails(answer: Answer, kind: type[AgentError]) -> None:
    with serve(lambda _: answer) as server, pytest.raises(AgentError) as caught:
        await openai_image({"prompt": "a kite"}, {}, context(server))
    assert type(caught.value) is kind


async def test_anthropic_agent() -> None:
    history = [{"role": "system", "content": "old"}, {"role": "user", "content": "a"}]
    with serve(lambda _: said('Here: ```json\n{"n": 7}\n```')) as server:
        result = await anthropic(
            {"prompt": "b", "messages": history, "tools": [TOOL], "tool_choice": {"type": "any"}},
            {"response_format": {"n": "number"}, "model": "no"},
            context(server, "anthropic", config={"model": "claude-x"}),
        )
    body = server.seen[0].json
    assert (body["model"], body["max_tokens"], body["tool_choice"]) == ("claude-x", 8192, "required")
    assert [message["role"] for message in body["messages"]] == ["system", "user", "user"]
    assert '"n": "number"' in body["messages"][0]["content"]
    assert "response_format" not in body
    assert result["responseFormat"] == {"n": 7}
    assert result["messages"] == [*history, {"role": "user", "content": "b"}]
    assert result["usage"] == {**USAGE, "input_tokens": 3, "output_tokens": 4}


async def test_anthropic_agent_takes_the_system_of_the_history() -> None:
    history = [{"role": "system", "content": "old"}, {"role": "user", "content": "a"}]
    with serve(lambda _: said("x")) as server:
        result = await anthropic({"messages": history}, {}, context(server, "anthropic"))
    assert server.seen[0].json["messages"] == history
    assert result["responseFormat"] is None


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "tool", "name": "weather"}, {"type": "function", "function": {"name": "weather"}}),
        ({"type": "auto"}, "auto"),
        ("auto", "auto"),
    ],
)
async def test_anthropic_tool_choice(choice: Any, expected: Any) -> None:
    with serve(lambda _: said("x")) as server:
        await anthropic(
            {"prompt": "p", "tools": [TOOL]}, {"tool_choice": choice}, context(server, "anthropic")
        )
    assert server.seen[0].json["tool_choice"] == expected


async def test_gemini_agent() -> None:
    earlier = {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}],
    }
    with serve(lambda _: called(("id-9", "weather", '{"city": "Oslo"}'))) as server:
        result = await gemini(
            {"prompt": "p", "system": "s", "messages": [earlier], "tools": [TOOL], "tool_choice": "any"},
            {"response_format": {"type": "schema", "json_schema": {"schema": {"type": "object"}}}},
            context(server, "gemini"),
        )
    body = server.seen[0].json
    assert (body["model"], body["tool_choice"], body.get("temperature")) == (
        "gemini-2.5-flash",
        "required",
        None,
    )
    assert body["messages"][0] == {"role": "user", "content": "System Message: s"}
    assert body["messages"][1]["tool_calls"][0]["id"] == "dummy"
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": {"type": "object"}},
    }
    assert result["tool"] == {"id": "dummy", "name": "weather", "arguments": {"city": "Oslo"}}
    assert result["messages"][0] == {"role": "system", "content": "s"}
    assert result["usage"]["totalTokenCount"] == 7


async def test_gemini_agent_without_a_message() -> None:
    assert await gemini({}, {}, AgentContext()) == []


async def test_groq_agent() -> None:
    with serve(lambda _: called(("id-1", "weather", "{}"))) as server:
        result = await groq(
            {"prompt": "p", "tools": [TOOL]}, {"model": "llama", "max_tokens": 9}, context(server, "groq")
        )
    body = server.seen[0].json
    assert (body["model"], body["temperature"], body["max_tokens"], body["tool_choice"]) == (
        "llama",
        0.7,
        9,
        "auto",
    )
    assert result["tool"]["name"] == "weather"


async def test_groq_agent_needs_a_model() -> None:
    with pytest.raises(FinalError, match=r"params\.model"):
        await groq({"prompt": "p"}, {}, AgentContext())


@pytest.mark.parametrize(
    ("function", "provider"),
    [(anthropic, "ANTHROPIC"), (gemini, "GEMINI"), (groq, "GROQ"), (openai_image, "OPENAI")],
)
async def test_no_key(function: Any, provider: str) -> None:
    async def local() -> str:
        raise AssertionError("local models cannot replace this one")

    with pytest.raises(FinalError, match=f"{provider}_API_KEY"):
        await function({"prompt": "p"}, {"model": "m"}, AgentContext(settings=Settings(), local_models=local))
