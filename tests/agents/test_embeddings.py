"""stringEmbeddingsAgent against a server on loopback."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from perdure.agents.agent import AgentContext
from perdure.agents.llm import openai_client
from perdure.agents.shipped import embeddings
from perdure.agents.shipped.embeddings import string_embeddings
from perdure.errors import AgentError, FinalError, TransientError
from perdure.settings import Settings
from tests.support.servers import Answer, Server, embedded, failed, json_answer, serve

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
async def _clients() -> AsyncIterator[None]:
    yield
    await openai_client.close_clients()


def context(server: Server, **more: Any) -> AgentContext:
    settings = Settings(keys={"openai": "sk-1"}, base_urls={"openai": f"{server.url}/v1"})
    return AgentContext(agent="stringEmbeddingsAgent", settings=settings, **more)


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({"array": ["a", "bcd"]}, [[1, 0.5], [3, 0.5]]),
        ({"item": "ab"}, [[2, 0.5]]),
        ({"array": ["a"], "item": "ignored"}, [[1, 0.5]]),
    ],
)
async def test_vectors(inputs: dict[str, Any], expected: Any) -> None:
    with serve(embedded) as server:
        assert await string_embeddings(inputs, {}, context(server, idempotency_key="k")) == expected
    (seen,) = server.seen
    assert seen.path == "/v1/embeddings"
    assert seen.json["model"] == "text-embedding-3-small"
    assert seen.headers["idempotency-key"] == "k"


async def test_no_texts_are_no_call() -> None:
    with serve(embedded) as server:
        assert await string_embeddings({"array": []}, {}, context(server)) == []
    assert not server.seen


async def test_many_texts_are_several_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "EMBEDDINGS_PER_REQUEST_COUNT", 2)
    with serve(embedded) as server:
        result = await string_embeddings(
            {"array": ["a", "bb", "ccc"]}, {}, context(server, idempotency_key="k")
        )
    assert [vector[0] for vector in result] == [1, 2, 3]
    assert [seen.headers["idempotency-key"] for seen in server.seen] == ["k", "k-2"]


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/v1", "/v1/embeddings"),
        ("/v1/embeddings", "/v1/embeddings"),
        ("/api/embed", "/v1/embeddings"),
        ("/v1/", "/v1/embeddings"),
    ],
)
async def test_base_urls_of_graphs(path: str, asked: str) -> None:
    with serve(embedded) as server:
        settings = Settings(keys={"openai": "sk-worker"}, allow_hosts=(server.host,))
        params = {"baseURL": server.url + path, "model": "nomic"}
        await string_embeddings({"item": "x"}, params, AgentContext(settings=settings))
    assert server.seen[0].path == asked
    assert server.seen[0].headers["authorization"] == "Bearer none"


async def test_a_url_of_the_graph_is_guarded() -> None:
    with serve(embedded) as server, pytest.raises(FinalError, match="PERDURE_ALLOW_HOSTS"):
        await string_embeddings({"item": "x"}, {"baseURL": server.url}, AgentContext())
    assert not server.seen


async def test_local_models() -> None:
    with serve(embedded) as server:

        async def local() -> str:
            return f"{server.url}/v1"

        settings = AgentContext(settings=Settings(), local_models=local)
        assert await string_embeddings({"item": "x"}, {}, settings) == [[1, 0.5]]


@pytest.mark.parametrize(
    ("inputs", "finding"),
    [
        ({}, "namedInputs.array is UNDEFINED!"),
        ({"array": "text"}, "UNDEFINED"),
        ({"array": ["a", 5]}, r"array\[1\]"),
        ({"array": ["a", ""]}, r"array\[1\]"),
    ],
)
async def test_refused(inputs: dict[str, Any], finding: str) -> None:
    with serve(embedded) as server, pytest.raises(FinalError, match=finding):
        await string_embeddings(inputs, {}, context(server))
    assert not server.seen


def vectors(*entries: Any) -> Answer:
    return json_answer(
        {"data": [{"index": index, "embedding": entry} for index, entry in enumerate(entries)]}
    )


@pytest.mark.parametrize(
    ("answer", "kind", "finding"),
    [
        (failed(429, "slow", Retry_After="2"), TransientError, "HTTP 429"),
        (failed(500, "oops"), TransientError, "HTTP 500"),
        (failed(501, "no embeddings"), FinalError, "HTTP 501"),
        (failed(401, "key sk-1"), FinalError, "OPENAI_API_KEY"),
        (Answer(end="reset"), TransientError, "broke the connection"),
        (Answer(headers={"Content-Type": "text/html"}, body=b"<html>"), AgentError, "malformed"),
        (json_answer({"error": "x"}), AgentError, ""),
        (vectors(), AgentError, ""),
        (vectors([1.0], [2.0]), AgentError, "without a vector"),
        (vectors(["x"]), AgentError, "without a vector"),
        (vectors([]), AgentError, "without a vector"),
        (vectors(None), AgentError, "without a vector"),
    ],
)
async def test_failures(answer: Answer, kind: type[AgentError], finding: str) -> None:
    with serve(lambda _: answer) as server, pytest.raises(AgentError) as caught:
        await string_embeddings({"item": "x"}, {}, context(server))
    assert type(caught.value) is kind, caught.value
    assert finding in str(caught.value)
    assert len(server.seen) == 1
