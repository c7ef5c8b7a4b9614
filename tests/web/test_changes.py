"""What people have changed in a run is on its page, and in the API: who, when, why, and the graph of now."""

import asyncio
from typing import Any

import httpx2
import pytest

from perdure.agents.agent import agent
from perdure.agents.catalog import agents_by_name, catalog
from perdure.client import GraphClient
from perdure.engine.steering.request import Steering
from perdure.history.model import NodeModel, Phase, RunModel
from perdure.web import views
from perdure.worker import WorkerOptions, build_worker

pytestmark = pytest.mark.anyio

ASKS = {
    "nodes": {
        "who": {"agent": "textInputAgent", "params": {"message": "Name?"}},
        "hi": {"agent": "copyAgent", "inputs": {"name": ":who.text"}, "isResult": True},
    }
}
LONGER = {"nodes": {**ASKS["nodes"], "more": {"agent": "copyAgent", "inputs": {"hi": ":hi"}}}}


def addresses(answer: httpx2.Response) -> list[str]:
    return [box["address"] for box in answer.json()["picture"]["boxes"]]


async def test_the_graph_and_the_changes_are_those_of_now(
    client: GraphClient, api: httpx2.AsyncClient
) -> None:
    options = WorkerOptions(agents=catalog(), settings=client.settings)
    run = await client.start(ASKS, id="changed-1", queue="web-changes")
    async with build_worker(client.temporal, "web-changes", options):
        await run.steer(Steering(pauses=["hi"]), who="anna", why="look first")
        receipt = await run.patch(LONGER, who="ben", why="one more")
        drawn = await api.get("/runs/changed-1/graph")
        assert drawn.json()["graph"]["nodes"].keys() == LONGER["nodes"].keys()
        assert addresses(drawn) == ["who", "hi", "more"]
        assert addresses(await api.get("/runs/changed-1/graph?started=1")) == ["who", "hi"]
        shown = (await api.get("/runs/changed-1")).json()
        assert shown["paused"] == ["hi"]
        assert [(change["who"], change["why"]) for change in shown["changes"]] == [
            ("anna", "look first"),
            ("ben", "one more"),
        ]
        assert shown["changes"][1]["hash"] == receipt.hash
        assert "pause hi" in shown["changes"][0]["what"]
        await run.terminate()
    assert (await api.get("/runs/changed-1")).json()["paused"] == []
    assert addresses(await api.get("/runs/changed-1/graph")) == ["who", "hi", "more"]


async def test_a_change_over_http_waits_as_long_as_it_says(
    client: GraphClient, api: httpx2.AsyncClient
) -> None:
    begun, released = asyncio.Event(), asyncio.Event()

    @agent("slowAgent")
    async def slow(params: dict[str, Any]) -> Any:
        """Takes as long as it is held."""
        begun.set()
        await released.wait()
        return params["n"]

    def graph(n: int) -> dict[str, Any]:
        return {"nodes": {"slow": {"agent": "slowAgent", "params": {"n": n}}, **ASKS["nodes"]}}

    options = WorkerOptions(agents={**catalog(), **agents_by_name([slow])}, settings=client.settings)
    run = await client.start(graph(1), id="changed-2", queue="web-waits")
    async with build_worker(client.temporal, "web-waits", options):
        await begun.wait()
        path, change = "/runs/changed-2/steer", {"graph": graph(2), "running": "wait", "done": "rerun"}
        shown = (await api.post(path, json={**change, "dryRun": True})).json()
        assert [node["state"] for node in shown["nodes"]] == ["executing"]
        refused = await api.post(path, json={**change, "wait": 0})
        assert (refused.status_code, refused.json()["error"]["hint"]) == (400, shown["nodes"][0]["hint"])
        assert (await api.post(path, json={**change, "wait": 61})).status_code == 400
        waiting = asyncio.create_task(api.post(path, json={**change, "who": "anna"}))
        released.set()
        answer = await waiting
        assert (answer.status_code, [node["place"] for node in answer.json()["nodes"]]) == (200, ["slow"])
        await run.answer("who", "Ada")
        assert (await run.result()).all["slow"] == 2


HELD: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a node": ({"paused": ["a"]}, ["a"]),
    "all": ({"paused": [""]}, ["a", "m.x"]),
    "one row": ({"paused": ["m[1].x"]}, ["m.x"]),
    "a node that has begun": ({"paused": ["b"]}, []),
    "of a run that is over": ({"paused": ["a"], "ended": 1}, []),
}


@pytest.mark.parametrize("name", HELD)
def test_boxes_that_wait_for_a_person_to_resume_them_are_marked(name: str) -> None:
    fields, held = HELD[name]
    nodes = [
        NodeModel(address="a", node="a", agent="x", phase=Phase.QUEUED_HERE),
        NodeModel(address="b", node="b", agent="x", phase=Phase.RUNNING),
        NodeModel(address="m", node="m", agent="mapAgent", phase=Phase.RUNNING),
        NodeModel(address="m[0].x", node="x", parent="m", row=0, agent="x", phase=Phase.COMPLETED),
        NodeModel(address="m[1].x", node="x", parent="m", row=1, agent="x", phase=Phase.WAITING),
    ]
    by_address = {node.address: node for node in nodes}
    model = RunModel(id="r", name="g", state="running", graph={}, nodes=by_address, **fields)
    assert [place for place, box in views.boxes(model).items() if box.get("held")] == held
