"""The HTTP API, as curl uses it: a real server behind it, a real port before it."""

import asyncio
import json
from typing import Any

import httpx2
import jsonschema
import pytest

from perdure.agents.agent import agent, declared
from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.web.serving import WebServer
from perdure.worker import WorkerOptions, build_worker
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

HELLO = {
    "nodes": {
        "name": {"value": "world"},
        "text": {
            "agent": "stringTemplateAgent",
            "inputs": {"name": ":name"},
            "params": {"template": "Hello, ${name}!"},
            "isResult": True,
        },
    }
}
ASKS = {
    "nodes": {
        "who": {"agent": "textInputAgent", "params": {"message": "**Your** name?"}},
        "hi": {"agent": "copyAgent", "inputs": {"name": ":who.text"}, "isResult": True},
    }
}
MAP = {
    "nodes": {
        "list": {"value": [1, 2, "x"]},
        "m": {
            "agent": "mapAgent",
            "inputs": {"rows": ":list"},
            "graph": {"nodes": {"half": {"agent": "half", "inputs": {"n": ":row"}, "isResult": True}}},
            "isResult": True,
        },
    }
}


@agent("half")
def half(inputs: dict[str, Any]) -> float:
    """Half of a number."""
    return inputs["n"] / 2


def _worker(client: GraphClient, queue: str) -> Any:
    agents = {**catalog(), "half": declared(half)}
    return build_worker(client.temporal, queue, WorkerOptions(agents=agents, settings=client.settings))


async def _until(api: httpx2.AsyncClient, path: str, key: str, expected: Any) -> Any:
    """What a path answers once `key` of it is `wanted`."""
    async with asyncio.timeout(180):
        while True:
            answer = (await api.get(path)).json()
            if answer.get(key) == expected:
                return answer
            await asyncio.sleep(0.1)


async def test_a_run_from_its_start_to_its_result(client: GraphClient, api: httpx2.AsyncClient) -> None:
    body = {"graph": HELLO, "inputs": {"name": "Ada"}, "name": "hello", "queue": "web-a"}
    key = {"Idempotency-Key": "hello-1"}
    async with _worker(client, "web-a"):
        started = await api.post("/runs", json=body, headers=key)
        assert (started.status_code, started.json()) == (
            201,
            {"id": "hello-1", "url": "/api/v1/runs/hello-1"},
        )
        ended = await api.get("/runs/hello-1/result?wait=30")
    assert (ended.status_code, ended.json()["state"]) == (200, "completed")
    assert ended.json()["results"] == {"text": "Hello, Ada!"}
    again = await api.post("/runs", json=body, headers=key)
    assert again.status_code == 201
    other = await api.post("/runs", json={**body, "inputs": {"name": "Bo"}}, headers=key)
    assert (other.status_code, other.json()["error"]["type"]) == (409, "RunConflict")
    run = (await api.get("/runs/hello-1")).json()
    assert (run["state"], run["counts"]) == ("completed", {"injected": 1, "completed": 1})
    node = (await api.get("/runs/hello-1/nodes/text")).json()
    assert (json.loads(node["result"]["text"]), node["phase"]) == ("Hello, Ada!", "completed")
    drawn = (await api.get("/runs/hello-1/graph")).json()
    assert [box["address"] for box in drawn["picture"]["boxes"]] == ["name", "text"]
    assert drawn["graph"]["nodes"].keys() == HELLO["nodes"].keys()
    bars = (await api.get("/runs/hello-1/timeline")).json()["bars"]
    assert [(bar["address"], bar["critical"]) for bar in bars] == [("text", True)]
    assert "hello-1" in {
        item["id"] for item in (await api.get("/runs?state=completed&graph=hello")).json()["runs"]
    }
    assert (await api.get("/runs?search=hello-&state=failed")).json() == {"runs": []}


async def test_a_question_is_listed_and_answered(client: GraphClient, api: httpx2.AsyncClient) -> None:
    await api.post("/runs", json={"graph": ASKS, "queue": "web-b", "id": "asks-1"})
    waiting = await api.get("/runs/asks-1/result")
    assert (waiting.status_code, waiting.json()) == (202, {"state": "running"})
    async with _worker(client, "web-b"):
        await _until(api, "/runs/asks-1", "counts", {"asks": 1, "waiting": 1})

        async def listed() -> list[dict[str, Any]]:
            every = (await api.get("/pending")).json()["questions"]
            return [item for item in every if item["run"] == "asks-1"]

        asked = await until(listed, "the question is listed", seconds=60)
        assert asked == await listed()
        assert [(item["path"], item["message"]) for item in asked] == [("who", "**Your** name?")]
        taken = await api.post("/runs/asks-1/answers", json={"path": "who", "value": "Ada", "who": "anna"})
        assert taken.status_code == 200
        ended = (await api.get("/runs/asks-1/result?wait=30")).json()
    assert ended["results"] == {"hi": {"name": "Ada"}}


async def test_a_failed_row_is_in_the_answer(client: GraphClient, api: httpx2.AsyncClient) -> None:
    async with _worker(client, "web-c"):
        await api.post("/runs", json={"graph": MAP, "queue": "web-c", "id": "map-1"})
        ended = (await api.get("/runs/map-1/result?wait=30")).json()
    assert (ended["state"], ended["cause"]["place"]) == ("failed", "m[2].half")
    assert "TypeError" in ended["cause"]["finding"]
    assert (await api.get("/runs/map-1")).json()["cause"] == ended["cause"]
    rows = (await api.get("/runs/map-1/rows/m?phase=failed")).json()["rows"]
    assert [(row["row"], row["phase"]) for row in rows] == [(2, "failed")]
    assert "TypeError" in rows[0]["failure"]
    node = (await api.get(f"/runs/map-1/nodes/{rows[0]['nodes'][0]['address']}")).json()
    assert "TypeError" in node["failure"]


async def test_events_tell_what_changes_and_the_end(client: GraphClient, api: httpx2.AsyncClient) -> None:
    await api.post("/runs", json={"graph": HELLO, "queue": "web-d", "id": "watched"})
    before = (await client.get("watched").describe()).info.history_length
    seen: dict[str, Any] = {}
    names: list[str] = []
    async with api.stream("GET", "/runs/watched/events") as stream:
        lines = stream.aiter_lines()
        await _next_event(lines, seen, names)
        assert seen["run"]["state"] == "running"
        assert (await client.get("watched").describe()).info.history_length == before
        async with _worker(client, "web-d"):
            while names[-1] != "end":
                await _next_event(lines, seen, names)
    assert seen["run"]["state"] == "completed"
    assert seen["boxes"]["text"]["phase"] == "completed"


async def _next_event(lines: Any, seen: dict[str, Any], names: list[str]) -> None:
    async for line in lines:
        if line.startswith("event: "):
            names.append(line.removeprefix("event: "))
        elif line.startswith("data: "):
            for key, value in (json.loads(line.removeprefix("data: ")) or {}).items():
                seen[key] = {**seen.get(key, {}), **value} if key == "boxes" else value
            return


async def test_a_run_is_cancelled(client: GraphClient, api: httpx2.AsyncClient) -> None:
    await api.post("/runs", json={"graph": ASKS, "queue": "web-e", "id": "stopped"})
    assert (await api.post("/runs/stopped/cancel", json={})).status_code == 202
    async with _worker(client, "web-e"):
        ended = (await api.get("/runs/stopped/result?wait=30")).json()
    assert ended["state"] == "canceled"


WRONG = [
    (
        "POST",
        "/runs",
        {"json": {"graph": {"nodes": {"a": {"agent": "copyAgent", "inputs": {"x": ":b"}}}}}},
        422,
    ),
    ("POST", "/runs", {"json": {"graph": 5}}, 400),
    ("POST", "/runs", {"json": {"graph": HELLO, "retry": 1}}, 400),
    ("POST", "/runs", {"json": {"graph": HELLO, "inputs": {"absent": 1}}}, 400),
    ("POST", "/runs", {"content": b"{", "headers": {"Content-Type": "application/json"}}, 400),
    ("POST", "/runs", {"content": b"\xff", "headers": {"Content-Type": "application/json"}}, 400),
    ("POST", "/runs", {"content": b"{}", "headers": {"Content-Type": "text/plain"}}, 400),
    ("POST", "/runs", {"content": b"[" * 100_000, "headers": {"Content-Type": "application/json"}}, 400),
    ("GET", "/runs?limit=many", {}, 400),
    ("GET", "/runs/absent", {}, 404),
    ("GET", "/runs/absent/result", {}, 404),
    ("GET", "/runs/absent/graph", {}, 404),
    ("POST", "/runs/absent/cancel", {"json": {}}, 404),
    ("GET", "/nowhere", {}, 404),
]


@pytest.mark.parametrize(("method", "path", "options", "status"), WRONG)
async def test_what_is_wrong_is_said(
    api: httpx2.AsyncClient, method: str, path: str, options: dict[str, Any], status: int
) -> None:
    answer = await api.request(method, path, **options)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["finding"]
    if status == 422:
        assert answer.json()["error"]["problems"][0]["place"] == "nodes.a.inputs"


async def test_large_bodies_are_refused(api: httpx2.AsyncClient) -> None:
    answer = await api.post("/runs", content=b" " * 20_000_001, headers={"Content-Type": "application/json"})
    assert (answer.status_code, "20,000,000 bytes" in answer.text) == (400, True)


async def test_the_description_is_one_of_every_route(api: httpx2.AsyncClient) -> None:
    described = (await api.get("/openapi.json")).json()
    assert described["openapi"] == "3.1.0"
    paths = described["paths"]
    assert paths["/api/v1/runs"].keys() == {"get", "post"}
    assert "/api/v1/runs/{id}/nodes/{address}" in paths
    assert all(operation["summary"] for path in paths.values() for operation in path.values())
    schema = paths["/api/v1/runs"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    jsonschema.Draft202012Validator(schema).validate({"graph": HELLO, "inputs": {}})


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1"}, 421),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/runs", "/api/v1/openapi.json", "/"])
async def test_the_guard(web: WebServer, headers: dict[str, str], status: int, path: str) -> None:
    async with httpx2.AsyncClient(base_url=web.url) as http:
        answer = await http.get(path, headers=headers)
        expected = 200 if status == 401 and path == "/" else status
        assert answer.status_code == expected
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not {"access-control-allow-origin", "server"} & set(answer.headers)


async def test_the_token_is_its_users_alone(client: GraphClient, web: WebServer) -> None:
    file = client.settings.home / "ui.token"
    assert file.read_text() == web.token
    assert file.stat().st_mode & 0o777 == 0o600
    async with httpx2.AsyncClient(base_url=web.url) as http:
        for path in ("/", "/static/app.js", "/states.css"):
            assert web.token not in (await http.get(path)).text
