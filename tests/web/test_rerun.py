"""Reruns over HTTP: the plan, the new run, and the answers of people."""

from typing import Any

import httpx2
import pytest

from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.lineage.compare import DIFFERENCE_TEXTS
from perdure.worker import WorkerOptions, build_worker

pytestmark = pytest.mark.anyio

ASKS: dict[str, Any] = {
    "nodes": {
        "greeting": {"value": "Hello"},
        "who": {"agent": "textInputAgent", "params": {"message": "Your name?"}},
        "hi": {
            "agent": "stringTemplateAgent",
            "inputs": {"name": ":who.text", "greeting": ":greeting"},
            "params": {"template": "${greeting}, ${name}"},
            "isResult": True,
        },
    }
}


async def test_an_answer_is_reused_until_it_is_asked_for_again(
    client: GraphClient, api: httpx2.AsyncClient
) -> None:
    options = WorkerOptions(agents=catalog(), settings=client.settings)
    async with build_worker(client.temporal, "test-rerun-api", options):
        run = await client.start(ASKS, id="asked", queue="test-rerun-api")
        await run.answer("who", "Anna", id="1")
        assert (await run.result()).results == {"hi": "Hello, Anna"}
        path = "/runs/asked/rerun"
        change = {"set": {"greeting": "Good morning"}}
        plan = (await api.post(path, json={**change, "dryRun": True})).json()
        assert (plan["reused"], plan["runs"], plan["is_complete"]) == (1, 1, False)
        assert [row["why"] for row in plan["rows"]] == ["", "input greeting differs"]
        answer = await api.post(path, json=change)
        assert (answer.status_code, answer.json()["id"]) == (201, "asked~2")
        assert (await client.get("asked~2").result()).results == {"hi": "Good morning, Anna"}
        compared = (await api.get("/runs/asked/diff/asked~2")).json()
        assert (compared["counts"], compared["reused"]) == ({"equal": 1, "inputs": 1}, 1)
        (call,) = compared["calls"]
        assert (call["position"], call["text"], call["at"]) == ("hi", DIFFERENCE_TEXTS["inputs"], ".")
        assert (await api.get("/runs/asked/diff/nosuch")).status_code == 404
        again = (await api.post("/runs/asked~2/rerun", json={"askAgain": ["*"], "id": "new"})).json()
        assert again == {"id": "new", "url": "/api/v1/runs/new"}
        await client.get("new").answer("who", "Ben", id="2")
        assert (await client.get("new").result()).results == {"hi": "Good morning, Ben"}


@pytest.mark.parametrize(
    ("body", "finding"),
    [
        ({"from": "who"}, "from is not a list of strings"),
        ({"set": []}, "set is not an object"),
        ({"node": 1}, "unknown member 'node'"),
    ],
)
async def test_what_is_no_change_is_refused(api: httpx2.AsyncClient, body: Any, finding: str) -> None:
    answer = await api.post("/runs/r/rerun", json=body)
    assert (answer.status_code, answer.json()["error"]["finding"]) == (400, finding)
