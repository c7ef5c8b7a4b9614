"""Runs that agree by messages: the graph of docs/events.md, in memory and on a server."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from perdure.agents.catalog import catalog, load_agents
from perdure.client import GraphClient
from perdure.graph.text.load import load
from perdure.memory.environment import MemoryEnvironment
from perdure.memory.post import MemoryPost
from perdure.worker import WorkerOptions, build_worker
from tests.support import ROOT

pytestmark = pytest.mark.anyio

RING = {"a": (9, ["b", "d"]), "b": (1, ["a", "c"]), "c": (5, ["b", "d"]), "d": (1, ["c", "a"])}


def document(steps: int) -> Any:
    (text,) = re.findall(
        r"^```yaml consensus\n(.*?)^```$", (ROOT / "docs" / "events.md").read_text(), re.M | re.S
    )
    graph: Any = load(text.encode()).data
    return {**graph, "loop": {"count": steps}}


def agents() -> Any:
    return {**catalog(), **load_agents("perdure.agents.distributed.agents")}


def stepped(steps: int) -> dict[str, float]:
    """The same by a loop that sees everything."""
    values = {name: float(x) for name, (x, _) in RING.items()}
    for _ in range(steps):
        values = {
            name: x + sum((values[other] - x) / 3 for other in RING[name][1]) for name, x in values.items()
        }
    return values


async def test_in_memory_all_come_to_the_mean() -> None:
    post = MemoryPost(MemoryEnvironment(console=lambda line: None))
    runs = {
        name: post.start(document(25), agents(), {"me": {"id": name, "x": x, "near": near}}, id=name)
        for name, (x, near) in RING.items()
    }
    for run in runs.values():
        assert (await run.result()).results["me"]["x"] == pytest.approx(4, abs=1e-9)


async def test_on_a_server_no_run_hears_of_others_than_its_neighbours(client: GraphClient) -> None:
    options = WorkerOptions(agents=agents(), settings=client.settings)
    async with build_worker(client.temporal, "agreement", options):
        runs = {
            name: await client.start(
                document(3),
                {"me": {"id": f"node-{name}", "x": x, "near": [f"node-{other}" for other in near]}},
                id=f"node-{name}",
                queue="agreement",
            )
            for name, (x, near) in RING.items()
        }
        expected = stepped(3)
        for name, run in runs.items():
            result = (await run.result()).results["me"]
            assert result["x"] == pytest.approx(expected[name])
            history = json.dumps((await run.handle.fetch_history()).to_json_dict())
            assert "workflowExecutionUpdateAcceptedEventAttributes" in history
            model = await run.history()
            heard = [node for node in model.nodes.values() if node.node == "heard"]
            senders = {event["from"] for node in heard for event in node.result["events"]}
            assert senders == {f"node-{other}" for other in RING[name][1]}
