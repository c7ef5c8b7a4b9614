"""vanillaFetchAgent and fetchAgent against servers on loopback."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from perdure.agents.agent import AgentContext, Sample, declared
from perdure.agents.shipped.fetch import fetch, vanilla_fetch
from perdure.agents.shipped.fetch_xml import parse as parse_xml
from perdure.errors import AgentError, FinalError, TransientError
from perdure.graph.values import UNDEFINED
from perdure.net import web
from perdure.net.egress import Guard
from perdure.settings import Settings
from tests.support.servers import Answer, Seen, Server, json_answer, serve

CONFORMANCE = Path(__file__).parents[2] / "../shared/conformance"


def context(*hosts: str, **more: Any) -> AgentContext:
    return AgentContext(agent="vanillaFetchAgent", settings=Settings(allow_hosts=hosts), **more)


def echo(seen: Seen) -> Answer:
    request = {"method": seen.method, "path": seen.path, "query": seen.query, "body": seen.body.decode()}
    return json_answer({**request, "headers": seen.headers})


async def call(server: Server, inputs: dict[str, Any], params: dict[str, Any] | None = None) -> Any:
    request = {**inputs, "url": server.url + inputs.get("url", "/")}
    return await vanilla_fetch(request, params or {}, context(server.host))


def recorded() -> list[Any]:
    cases: list[Any] = []
    for part in ("own", "upstream"):
        path = CONFORMANCE / part / "agents.json"
        lines = path.read_text().splitlines() if path.exists() else []
        recordings = [
            json.loads(line.rstrip(",")) for line in lines if '"agent": "vanillaFetchAgent"' in line
        ]
        cases += [pytest.param(case, id=f"{part}-{index}") for index, case in enumerate(recordings)]
    return cases or [pytest.param(None, marks=pytest.mark.skip(reason="no recorded cases here"))]


@pytest.mark.anyio
@pytest.mark.parametrize("case", recorded())
async def test_recorded(case: dict[str, Any]) -> None:
    if "thrown" in case:
        with pytest.raises(AgentError) as caught:
            await vanilla_fetch(case["inputs"], case["params"], context())
        assert caught.value.finding.startswith(case["thrown"])  # and the address, where it is none
    else:
        result = await vanilla_fetch(case["inputs"], case["params"], context())
        assert result == {"body": UNDEFINED, **case["expected"]}


@pytest.mark.anyio
@pytest.mark.parametrize("function", [vanilla_fetch, fetch])
async def test_samples(function: Any) -> None:
    agent = declared(function)
    assert agent is not None
    for sample in agent.samples:
        assert isinstance(sample, Sample)
        assert await function(sample.inputs, sample.params, context()) == sample.result


@pytest.mark.anyio
async def test_what_is_sent() -> None:
    with serve(echo) as server:
        seen = await vanilla_fetch(
            {
                "url": f"{server.url}/a?old=1",
                "queryParams": {"q": "a b~*é", "n": 2},
                "headers": {"X-One": "1", "X-Number": 5},
                "body": {"k": [1.5, UNDEFINED]},
            },
            {"headers": {"X-One": "0", "X-Two": "2"}, "method": "put"},
            context(
                server.host,
                config={"authorization": "Bearer t", "authorizationHosts": [server.url[7:]]},
                idempotency_key="key-1",
            ),
        )
    assert (seen["method"], seen["path"], seen["body"]) == ("PUT", "/a", '{"k":[1.5,null]}')
    assert seen["query"] == {"q": "a b~*é", "n": "2"}
    sent = {name: seen["headers"].get(name) for name in ("x-one", "x-two", "x-number", "authorization")}
    assert sent == {"x-one": "1", "x-two": "2", "x-number": "5", "authorization": "Bearer t"}
    assert seen["headers"]["idempotency-key"] == "key-1"
    assert seen["headers"]["content-type"] == "application/json"
    assert seen["headers"]["user-agent"].startswith("perdure/")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "params", "expected"),
    [
        (json_answer({"a": 1.0}), {}, {"a": 1}),
        (json_answer([1]), {"flatResponse": False}, {"data": [1]}),
        (Answer(body="né".encode()), {"type": "text"}, "né"),
        (Answer(body=b"\xef\xbb\xbf[1]"), {}, [1]),
        (json_answer({"why": "x"}, 404), {"supressError": True}, ("HTTP error: 404", 404, {"why": "x"})),
        (Answer(status=503, body=b"<p>"), {"supressError": True}, ("HTTP error: 503", 503, "<p>")),
        (
            Answer(headers={"Content-Encoding": "gzip"}, body=gzip.compress(b"[1") + gzip.compress(b",2]")),
            {},
            [1, 2],
        ),
    ],
)
async def test_results(answer: Answer, params: dict[str, Any], expected: Any) -> None:
    if isinstance(expected, tuple):
        expected = {"onError": dict(zip(("message", "status", "error"), expected, strict=True))}
    with serve(lambda _: answer) as server:
        assert await call(server, {}, params) == expected


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (Answer(status=404), AgentError, "HTTP error: 404"),
        (Answer(status=401), AgentError, "HTTP error: 401"),
        (Answer(status=500), TransientError, "HTTP error: 500"),
        (Answer(status=408), TransientError, "HTTP error: 408"),
        (Answer(body=b"<html>"), AgentError, "is not JSON"),
        (Answer(body=b"[" * 100_000), AgentError, "is not JSON"),
        (Answer(end="reset"), TransientError, "127.0.0.1"),
        (Answer(pieces=(b"[1,",), end="truncated"), TransientError, "127.0.0.1"),
        (Answer(pieces=(b"[1,",), end="reset"), TransientError, "127.0.0.1"),
        (Answer(headers={"Content-Encoding": "br"}, body=b"x"), AgentError, "'br'"),
        (Answer(headers={"Content-Encoding": "gzip"}, body=b"x"), AgentError, "not gzip"),
        (Answer(status=302, headers={"Location": "/"}), AgentError, "more than 5 redirects"),
        (Answer(status=302, headers={"Location": "file:///etc/passwd"}), FinalError, "http and https only"),
    ],
)
async def test_failures(answer: Answer, kind: type[AgentError], text: str) -> None:
    with serve(lambda _: answer) as server, pytest.raises(AgentError) as caught:
        await call(server, {})
    assert type(caught.value) is kind
    assert text in str(caught.value)


@pytest.mark.anyio
async def test_retry_after() -> None:
    with (
        serve(lambda _: Answer(status=429, headers={"Retry-After": "7"})) as server,
        pytest.raises(TransientError) as caught,
    ):
        await call(server, {})
    assert caught.value.retry_after == 7


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("inputs", "params", "finding"),
    [
        ({"method": "TRACE"}, {}, "fetchAgent: invalid method: TRACE"),
        ({"method": "GET", "body": 1}, {}, "a GET request cannot have a body"),
        ({}, {"type": "xml"}, "Unknown Type! xml"),
        ({"queryParams": 5}, {}, "queryParams"),
        ({"headers": {"X": "a\r\nHost: evil"}}, {}, "the header 'X'"),
        ({"headers": {"X": "a\0"}}, {}, "the header 'X'"),
        ({"headers": {"X": "日"}}, {}, "the header 'X'"),
        ({"headers": {"X y": "a"}}, {}, "the header 'X y'"),
        ({"headers": {"": "a"}}, {}, "the header ''"),
        ({"headers": {"Host": "a"}}, {}, "belongs to the connection"),
        ({"headers": {"content-length": "5"}}, {}, "belongs to the connection"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, {}, "belongs to the connection"),
        ({"headers": {"Proxy-Authorization": "x"}}, {}, "belongs to the connection"),
    ],
)
async def test_refused_before_anything_is_sent(
    inputs: dict[str, Any], params: dict[str, Any], finding: str
) -> None:
    with serve(echo) as server, pytest.raises(FinalError) as caught:
        await call(server, inputs, params)
    assert not server.seen
    assert finding in str(caught.value)


@pytest.mark.anyio
async def test_loopback_is_out_of_bounds() -> None:
    with serve(echo) as server, pytest.raises(FinalError, match="PERDURE_ALLOW_HOSTS"):
        await vanilla_fetch({"url": server.url}, {}, context())
    assert not server.seen


@pytest.mark.anyio
@pytest.mark.parametrize(
    "location", ["http://127.0.0.1:{port}/", "//localhost:{port}/", "http://[::1]:{port}/"]
)
async def test_redirects_inside_are_refused(location: str) -> None:
    with serve(echo) as inner:
        target = location.format(port=inner.port)
        moved = Answer(status=307, headers={"Location": target})
        with serve(lambda _: moved) as outer, pytest.raises(FinalError, match="out of bounds"):
            await call(outer, {})
    assert outer.seen
    assert not inner.seen


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "PUT", "GET"),
        (307, "POST", "POST"),
        (308, "PUT", "PUT"),
    ],
)
async def test_redirects(status: int, method: str, then: str) -> None:
    with (
        serve(echo) as target,
        serve(lambda seen: Answer(status=status, headers={"Location": f"{target.url}/there"})) as server,
    ):
        headers = {"Authorization": "Bearer s", "X-Api-Key": "s", "Accept": "a/b"}
        seen = await vanilla_fetch(
            {"url": server.url, "method": method, "headers": headers, "body": {"k": 1}},
            {},
            context(server.host, target.host),
        )
    assert (seen["method"], seen["path"]) == (then, "/there")
    assert seen["body"] == ("" if then == "GET" else '{"k":1}')
    assert seen["headers"]["accept"] == "a/b"
    # Another port is another origin: nothing that may be a secret goes there.
    assert not {"authorization", "x-api-key"} & seen["headers"].keys()


@pytest.mark.anyio
async def test_authorization_of_config_goes_to_its_hosts_and_is_never_shown() -> None:
    with serve(echo) as server:
        place = server.url.removeprefix("http://")
        for listed in ([], None, "all", [server.host + ":1"], ["example.com"]):
            config = {"authorization": "Bearer t", "authorizationHosts": listed}
            with pytest.raises(FinalError, match="not for") as refused:
                await vanilla_fetch({"url": server.url}, {}, context(server.host, config=config))
            assert refused.value.hint == f"where it is, list it: config.authorizationHosts: [{place}]"
        assert server.seen == []
        around = context(server.host, config={"authorization": "Bearer t", "authorizationHosts": [place]})
        request = {"url": server.url, "headers": {"authorization": "mine", "X": "1"}}
        shown = await vanilla_fetch(request, {"debug": True}, around)
        assert shown["headers"] == {"X": "1", "Authorization": "***"}
        assert (await vanilla_fetch(request, {}, around))["headers"]["authorization"] == "Bearer t"


@pytest.mark.anyio
@pytest.mark.parametrize("config", [{}, {"authorization": "Bearer t"}], ids=["own key", "caller's key"])
async def test_with_the_callers_key_a_graph_names_no_idempotency_key(config: dict[str, Any]) -> None:
    """One that it guessed could be that of another call, and give it that call's answer."""
    with serve(echo) as server:
        config = {**config, "authorizationHosts": [server.url.removeprefix("http://")]}
        around = context(server.host, config=config, idempotency_key="ours")
        request = {"url": server.url, "body": {}, "headers": {"idempotency-KEY": "guessed"}}
        seen = await vanilla_fetch(request, {}, around)
    assert seen["headers"]["idempotency-key"] == ("ours" if "authorization" in config else "guessed")


@pytest.mark.anyio
async def test_redirects_within_an_origin_keep_the_headers() -> None:
    def respond(seen: Seen) -> Answer:
        return echo(seen) if seen.path == "/there" else Answer(status=302, headers={"Location": "there"})

    with serve(respond) as server:
        seen = await call(server, {"headers": {"Authorization": "Bearer s"}})
    assert seen["headers"]["authorization"] == "Bearer s"


SMALL = web.Bounds(wire=20_000, decoded=50_000, total=0.5, read=5)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "kind", "finding"),
    [
        (Answer(body=b"x" * 20_001), AgentError, "answer is larger than 20,000"),
        (Answer(pieces=(b"x" * 5000,) * 5), AgentError, "answer is larger than 20,000"),
        (
            Answer(headers={"Content-Encoding": "gzip"}, body=gzip.compress(b"0" * 5_000_000)),
            AgentError,
            "decompressed answer is larger than 50,000",
        ),
        (Answer(pieces=(b"x",) * 100, pause=0.1), TransientError, r"within 0\.5 s"),
    ],
)
async def test_bounds(answer: Answer, kind: type[AgentError], finding: str) -> None:
    with serve(lambda _: answer) as server, pytest.raises(kind, match=finding):
        await web.send(web.Request(url=server.url), Guard.of([server.host]), SMALL)


@pytest.mark.anyio
async def test_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    with (
        serve(echo) as trap,
        serve(
            lambda seen: (
                json_answer(dict(seen.headers), Set_Cookie="a=1; Path=/")
                if seen.path == "/there"
                else Answer(status=302, headers={"Location": "/there", "Set-Cookie": "a=1; Path=/"})
            )
        ) as server,
    ):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, trap.url)
        monkeypatch.setenv("NETRC", str(netrc))
        headers = await call(server, {})
        assert not trap.seen
    assert not {"authorization", "cookie", "proxy-authorization"} & headers.keys()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "params", "expected"),
    [
        (
            Answer(status=500, body=b"{}"),
            {},
            {"onError": {"message": "HTTP error: 500", "status": 500, "error": {}}},
        ),
        (Answer(body=b"<a x='1'><b>t</b><b/></a>"), {"type": "xml"}, {"a": {"x": "1", "b": ["t", ""]}}),
        (Answer(body=b"hi"), {"type": "text"}, "hi"),
    ],
)
async def test_fetch_agent(answer: Answer, params: dict[str, Any], expected: Any) -> None:
    with serve(lambda _: answer) as server:
        assert await fetch({"url": server.url}, params, context(server.host)) == expected


@pytest.mark.anyio
async def test_fetch_agent_throws() -> None:
    with serve(lambda _: Answer(status=404)) as server, pytest.raises(AgentError, match=r"^HTTP error: 404$"):
        await fetch({"url": server.url}, {"throwError": True}, context(server.host))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<r/>", {"r": ""}),
        ("<r>a</r>", {"r": "a"}),
        ("<r> <a>1</a> </r>", {"r": {"a": "1"}}),
        ("<r id='1'>t</r>", {"r": {"_": "t", "id": "1"}}),
        ("<r><a>1</a><a>2</a><a>3</a></r>", {"r": {"a": ["1", "2", "3"]}}),
        ("<r a='0'><a>1</a></r>", {"r": {"a": ["0", "1"]}}),
        ("<r><![CDATA[<x>]]>&amp;</r>", {"r": "<x>&"}),
        ("<n:r xmlns:n='u'><n:a>é</n:a></n:r>", {"n:r": {"xmlns:n": "u", "n:a": "é"}}),
        ("<?xml version='1.0' encoding='Shift_JIS'?><r>日</r>", {"r": "日"}),
    ],
)
def test_xml(text: str, expected: Any) -> None:
    assert parse_xml(text) == expected


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("<r>", "not XML"),
        ("", "not XML"),
        ("<!DOCTYPE r [<!ENTITY a 'aaaa'>]><r>&a;</r>", "document type"),
        ("<!DOCTYPE r SYSTEM 'file:///etc/passwd'><r/>", "document type"),
        ("<a>" * 300 + "</a>" * 300, "nested deeper"),
    ],
)
def test_xml_refused(text: str, finding: str) -> None:
    with pytest.raises(AgentError, match=finding):
        parse_xml(text)
