"""The read model of runs on a real server: over continue-as-new."""

from typing import Any

import pytest

from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.engine.messages import RunOptions
from perdure.worker import WorkerOptions, build_worker

pytestmark = pytest.mark.anyio

LOOP: dict[str, Any] = {
    "loop": {"count": 8},
    "nodes": {
        "total": {"value": 0, "update": ":sum.x"},
        "slept": {"agent": "sleeperAgent", "params": {"duration": 1}, "inputs": {"x": ":total"}},
        "sum": {"agent": "copyAgent", "inputs": {"x": ":slept.x"}, "isResult": True},
    },
}


async def test_the_whole_chain_is_one_run(client: GraphClient) -> None:
    options = WorkerOptions(agents=catalog(), settings=client.settings)
    async with build_worker(client.temporal, "test-chain", options):
        run = await client.start(LOOP, name="chain", queue="test-chain", options=RunOptions(events=20))
        result = await run.result()
    model = await run.history()
    assert len(model.chain) > 1
    assert model.is_whole
    assert (model.state, model.results) == ("completed", result.results)
    slept = [node for node in model.nodes.values() if node.node == "slept"]
    assert [node.address for node in slept] == ["slept", *(f"slept@{number}" for number in range(1, 8))]
    assert {(node.state, len(node.attempts)) for node in slept} == {("completed", 1)}
    last = {node.node: node.state for node in model.inside(None) if node.iteration == 7}
    assert last == result.states
    times = [transition.time for transition in model.transitions]
    assert times == sorted(times)
