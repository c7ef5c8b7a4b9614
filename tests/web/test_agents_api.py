"""Agents as clients of GraphAI's express middleware call them: the requests are those of httpAgentFilter."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from perdure.agents.agent import AgentContext, agent, declared
from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.web.serving import _names, serving
from perdure.worker import WorkerOptions, build_worker

pytestmark = pytest.mark.anyio


@agent("talkAgent", description="Streams its words.")
async def talk(inputs: dict[str, Any], params: dict[str, Any], context: AgentContext) -> Any:
    """Streams its words, and fails if its params say so."""
    for word in inputs.get("words", []):
        await context.emit(word)
    if params.get("fails"):
        raise ValueError("no more words")
    return {"count": len(inputs.get("words", [])), "echo": inputs.get("echo"), "param": params.get("like")}


OWN = {**catalog(), "talkAgent": declared(talk)}


@pytest.fixture
async def http(client: GraphClient) -> AsyncIterator[httpx2.AsyncClient]:
    options = WorkerOptions(agents=OWN, settings=client.settings)
    async with (
        build_worker(client.temporal, client.settings.queue, options),
        serving(client, agents=OWN) as web,
        httpx2.AsyncClient(
            base_url=web.url, headers={"Authorization": f"Bearer {web.token}"}, timeout=60
        ) as http,
    ):
        yield http


def body(agent: str, inputs: dict[str, Any], **params: Any) -> dict[str, Any]:
    """What httpAgentFilter sends."""
    about = {"nodeId": "step", "agentId": agent, "retry": 0, "verbose": False, "version": 0.5}
    return {
        "params": params,
        "debugInfo": about,
        "filterParams": {"server": {"baseUrl": "http://elsewhere"}},
        "namedInputs": inputs,
        "inputs": inputs,
    }


async def test_agents_are_listed_and_described(http: httpx2.AsyncClient) -> None:
    for path in ("/agents", "/agents/", "/agents/list"):
        agents = {each["agentId"]: each for each in (await http.get(path)).json()["agents"]}
        assert agents.keys() >= {"talkAgent", "stringTemplateAgent"}
    assert agents["talkAgent"] == (await http.get("/agents/talkAgent")).json()
    assert agents["talkAgent"]["url"] == f"{http.base_url}/agents/talkAgent"
    assert (agents["talkAgent"]["stream"], agents["copyAgent"]["stream"]) == (True, False)
    missing = await http.get("/agents/noAgent")
    assert (missing.status_code, missing.text) == (404, "Not found")


async def test_an_agent_is_called_and_values_are_values(http: httpx2.AsyncClient) -> None:
    inputs = {"words": ["a"], "echo": [":step.x", "${:y}", None, {"é": 1.5}], "a.b": 1}
    expected = {"count": 1, "echo": inputs["echo"], "param": ":given"}
    for path in ("/agents/talkAgent", "/agents", "/agents/nonstream/talkAgent"):
        answer = await http.post(path, json=body("talkAgent", inputs, like=":given"))
        assert (answer.status_code, answer.json()) == (200, expected)
    none = await http.post("/agents/talkAgent", json={})
    assert (none.status_code, none.json()) == (200, {"count": 0, "echo": None, "param": None})


async def test_a_stream_ends_with_the_marker_and_the_result(http: httpx2.AsyncClient) -> None:
    sent = json.dumps(body("talkAgent", {"words": ["one ", "twö"]}))
    kind = {"Content-Type": "text/event-stream"}
    for path in ("/agents/talkAgent", "/agents/stream/talkAgent", "/agents/talkAgent/stream"):
        answer = await http.post(path, content=sent, headers=kind)
        assert answer.headers["content-type"].startswith("text/event-stream")
        before, _, after = answer.text.partition("___END___")
        assert (before, json.loads(after)["count"]) == ("one twö", 2)
    answer = await http.post(
        "/agents/copyAgent", content=json.dumps(body("copyAgent", {"a": 1})), headers=kind
    )
    assert answer.text == '___END___{"a":1}'


async def test_failures(http: httpx2.AsyncClient) -> None:
    failed = await http.post("/agents/talkAgent", json=body("talkAgent", {}, fails=True))
    assert failed.status_code == 422
    assert "no more words" in failed.json()["error"]["finding"]
    unknown = await http.post("/agents/noAgent", json=body("noAgent", {}))
    assert (unknown.status_code, unknown.json()["error"]["finding"]) == (404, "there is no agent 'noAgent'")
    kind = {"Content-Type": "text/event-stream"}
    sent = json.dumps(body("talkAgent", {"words": ["one"]}, fails=True))
    broken = await http.post("/agents/talkAgent", content=sent, headers=kind)
    assert "___END___" not in broken.text
    wrong = await http.post("/agents/copyAgent", json={"namedInputs": [1]})
    assert (wrong.status_code, wrong.json()["error"]["finding"]) == (400, "namedInputs is not an object")
    no_agent = await http.post("/agents", json={})
    assert no_agent.status_code == 400


async def test_a_repeated_request_is_one_call(client: GraphClient, http: httpx2.AsyncClient) -> None:
    key = {"Idempotency-Key": "k-1"}
    first = await http.post("/agents/talkAgent", json=body("talkAgent", {"words": ["x"]}), headers=key)
    again = await http.post("/agents/talkAgent", json=body("talkAgent", {"words": ["x"]}), headers=key)
    assert first.json() == again.json()
    other = await http.post("/agents/talkAgent", json=body("talkAgent", {"words": []}), headers=key)
    assert other.status_code == 409
    assert (await client.get("talkAgent-k-1").describe()).closed is not None


async def test_it_is_guarded(http: httpx2.AsyncClient) -> None:
    for headers, status in (
        ({"Authorization": "Bearer x"}, 401),
        ({"Origin": "http://evil.example"}, 403),
        ({"Host": "evil.example"}, 421),
    ):
        for answer in (
            await http.get("/agents", headers=headers),
            await http.post("/agents/copyAgent", json={}, headers=headers),
        ):
            assert answer.status_code == status


HOSTS = [
    ("127.0.0.1", {"127.0.0.1", "localhost", "[::1]"}),
    ("localhost", {"127.0.0.1", "localhost", "[::1]"}),
    ("::1", {"127.0.0.1", "localhost", "[::1]"}),
    ("127.0.0.2", {"127.0.0.2", "127.0.0.1", "localhost", "[::1]"}),
]


@pytest.mark.parametrize(("host", "names"), HOSTS)
def test_the_names_of_a_loopback_server(host: str, names: set[str]) -> None:
    assert _names(host) == names


def test_the_names_of_a_server_on_all_addresses() -> None:
    for host in ("0.0.0.0", "::"):
        assert {"127.0.0.1", "localhost", "[::1]"} < _names(host)
        assert host not in _names(host)
    assert "evil.example" not in _names("0.0.0.0")


async def test_the_page_on_ipv6(client: GraphClient) -> None:
    async with (
        serving(client, host="::1") as web,
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {web.token}"}) as http,
    ):
        assert web.url.startswith("http://[::1]:")
        assert (await http.get(f"{web.url}/agents")).status_code == 200
