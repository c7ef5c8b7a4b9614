"""wikipediaAgent against a MediaWiki on loopback."""

import socket
from typing import Any

import pytest

from perdure.agents.agent import AgentContext
from perdure.agents.shipped.wikipedia import wikipedia
from perdure.errors import AgentError, FinalError, TransientError
from perdure.graph.values import UNDEFINED
from perdure.settings import Settings
from tests.support.servers import Answer, Server, json_answer, serve, wiki


async def call(server: Server, inputs: dict[str, Any], **params: Any) -> Any:
    # The address is the operator's: it needs no place on the allow list.
    settings = Settings(wikipedia_url=f"{server.url}/{{lang}}/w/api.php")
    return await wikipedia(inputs, params, AgentContext(settings=settings))


@pytest.mark.anyio
async def test_article() -> None:
    with serve(wiki) as server:
        result = await call(server, {"query": "green tea & more"})
    assert result == {
        "content": "Tea is a drink.\n\n\n== History ==",
        "ns": 0,
        "title": "Tea",
        "pageid": 42,
    }
    first, second = server.seen
    assert first.query["srsearch"] == "green tea & more"
    assert {first.path, second.path} == {"/en/w/api.php"}
    assert first.headers["user-agent"].startswith("perdure/")


@pytest.mark.anyio
async def test_a_host_with_the_language_in_it_is_no_host_of_the_operator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A graph that chooses a name below a domain may choose one that leads inside."""
    with serve(wiki) as server:
        real = socket.getaddrinfo

        def lookup(host: Any, *rest: Any, **more: Any) -> Any:
            return real("127.0.0.1" if str(host).endswith("wiki.example") else host, *rest, **more)

        monkeypatch.setattr(socket, "getaddrinfo", lookup)
        template = f"http://{{lang}}.wiki.example:{server.port}/w/api.php"
        settings = Settings(wikipedia_url=template)
        with pytest.raises(FinalError, match=r"admin\.wiki\.example:\d+ is out of bounds"):
            await wikipedia({"query": "tea"}, {"lang": "admin"}, AgentContext(settings=settings))
        assert server.seen == []
        settings = Settings(wikipedia_url=template, allow_hosts=(f"en.wiki.example:{server.port}",))
        article = await wikipedia({"query": "tea"}, {}, AgentContext(settings=settings))
        assert article["title"] == "Tea"


@pytest.mark.anyio
async def test_summary_in_a_language() -> None:
    with serve(wiki) as server:
        result = await call(server, {"query": "tea"}, lang="JA", summary=True)
    assert server.seen[0].path == "/ja/w/api.php"
    assert result["title"] == "Tea"
    assert result["content"] == {
        "type": "standard",
        "title": "Tea",
        "pageid": 42,
        "lang": "en",
        "description": "hot drink",
        "extract": "Tea is a drink.",
        "content_urls": {"desktop": {"page": "https://en.wikipedia.org/wiki/Tea"}},
    }


@pytest.mark.anyio
@pytest.mark.parametrize("inputs", [{"query": "nothing like it"}, {"query": ""}, {}])
async def test_no_such_article(inputs: dict[str, Any]) -> None:
    with serve(wiki) as server:
        assert await call(server, inputs) is UNDEFINED


@pytest.mark.anyio
async def test_a_page_that_vanished() -> None:
    search_result = json_answer({"query": {"search": [{"ns": 0, "title": "Gone", "pageid": 7}]}})
    with serve(lambda seen: search_result if "srsearch" in seen.query else wiki(seen)) as server:
        assert await call(server, {"query": "gone"}) is UNDEFINED


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "kind", "wait"),
    [
        (Answer(status=429, headers={"Retry-After": "3"}), TransientError, 3),
        (Answer(status=503), TransientError, None),
        (Answer(end="reset"), TransientError, None),
        (json_answer({"error": {"code": "maxlag", "info": "slow"}}, Retry_After="5"), TransientError, 5),
        (json_answer({"error": {"code": "ratelimited", "info": "slow"}}), TransientError, None),
        (json_answer({"error": {"code": "badvalue", "info": "wrong"}}), AgentError, None),
        (Answer(status=403), AgentError, None),
        (Answer(body=b"<html>"), AgentError, None),
    ],
)
async def test_failures(answer: Answer, kind: type[AgentError], wait: float | None) -> None:
    with serve(lambda _: answer) as server, pytest.raises(AgentError) as caught:
        await call(server, {"query": "tea"})
    assert type(caught.value) is kind
    assert getattr(caught.value, "retry_after", None) == wait


@pytest.mark.anyio
@pytest.mark.parametrize("language", ["evil.com/", "a", "en.evil", "en@evil.com", "x" * 30, "..", 5])
async def test_the_language_is_nothing_else(language: Any) -> None:
    with serve(wiki) as server, pytest.raises(FinalError, match=r"params\.lang"):
        await call(server, {"query": "tea"}, lang=language)
    assert not server.seen


@pytest.mark.anyio
async def test_redirects_do_not_lead_elsewhere_inside() -> None:
    with serve(wiki) as inner:
        moved = Answer(status=302, headers={"Location": inner.url})
        with serve(lambda _: moved) as server, pytest.raises(FinalError, match="out of bounds"):
            await call(server, {"query": "tea"})
    assert server.seen
    assert not inner.seen
