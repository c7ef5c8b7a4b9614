"""What the runs of a list cost: by the prices of the user, and only where a look does not take long."""

from dataclasses import replace
from typing import Any

import pytest

from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.engine.granting.prices import Prices, Spent
from perdure.history.costs import RunCosts
from perdure.worker import WorkerOptions, build_worker

pytestmark = pytest.mark.anyio

ANSWER = {"model": "m", "usage": {"prompt_tokens": 1_000, "completion_tokens": 500}}
GRAPH: dict[str, Any] = {
    "nodes": {
        "said": {"value": ANSWER},
        "copied": {"agent": "copyAgent", "inputs": {"of": ":said"}, "params": {"namedKey": "of"}},
    }
}


async def test_a_run_costs_what_its_calls_used(client: GraphClient) -> None:
    options = WorkerOptions(agents=catalog(), settings=client.settings)
    async with build_worker(client.temporal, "web-costs", options):
        await (await client.start(GRAPH, id="costs-1", queue="web-costs")).result()
    (run,) = [run async for run in client.list(500) if run.id == "costs-1"]
    assert run.event_count > 0
    prices = Prices.read({"m": {"input": 2.0, "output": 4.0}}, "prices")
    costs = RunCosts(client.temporal, prices)
    assert await costs.of(run) == Spent(1_500, 0.004)
    assert await costs.of(replace(run, event_count=5_000)) == Spent(1_500, 0.004)
    assert await costs.of(replace(run, event_count=5_001)) is None
    assert await costs.of(replace(run, id="costs-none")) is None
    assert await RunCosts(client.temporal, Prices()).of(run) is None
