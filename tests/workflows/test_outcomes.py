"""An agent's failure means the same in a segment, in an activity, in a batch, and in memory."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perdure.agents.agent import agent
from perdure.agents.catalog import agents_by_name, catalog
from perdure.agents.filters import AgentFilter, FilteredCall, Next
from perdure.client import GraphClient
from perdure.errors import AgentError, FinalError, RunFailed
from perdure.graph.values import Value
from perdure.protocol.payloads import RunResult
from perdure.settings import Settings
from perdure.testing import MemoryEnvironment, memory_shell
from perdure.worker import WorkerOptions, build_worker

pytestmark = pytest.mark.anyio

FAILURES = {
    "error": lambda: AgentError("no"),
    "final": lambda: FinalError("never"),
    "foreign": lambda: KeyError("x"),
    "timeout": lambda: TimeoutError("the crane did not answer"),
    "long": lambda: AgentError("x" * 9_000),
    "half": lambda: AgentError("half a pair: \ud83d"),
}


@agent("pureAgent", pure=True)
def pure(params: dict[str, Any]) -> None:
    """Raises what `params.how` says."""
    if params["how"] in FAILURES:
        raise FAILURES[params["how"]]()


@agent("otherAgent")
async def other(params: dict[str, Any]) -> None:
    """As pureAgent does; `slow` never ends."""
    if params["how"] == "slow":
        await asyncio.sleep(60)
    raise FAILURES[params["how"]]()


async def wait(call: FilteredCall, next: Next) -> Value:
    """Never ends for an agent that is `slow`."""
    if call.params["how"] == "slow":
        await asyncio.sleep(60)
    return await next(call)


HOWS = (*FAILURES, "slow")
FILTER = AgentFilter("wait", wait, nodes=tuple(f"filtered-{how}" for how in HOWS), pure=True)


def nodes() -> dict[str, Any]:
    graph_nodes: dict[str, Any] = {}
    for how in HOWS:
        limit = {"timeout": 50} if how == "slow" else {}
        graph_nodes[f"other-{how}"] = {"agent": "otherAgent", "params": {"how": how}, **limit}
        graph_nodes[f"batched-{how}"] = {"agent": "otherAgent", "params": {"how": how}, "batch": 5, **limit}
        graph_nodes[f"filtered-{how}"] = {"agent": "pureAgent", "params": {"how": how}, **limit}
        if how != "slow":
            graph_nodes[f"pure-{how}"] = {"agent": "pureAgent", "params": {"how": how}}
    return graph_nodes


async def test_the_same_everywhere(client: GraphClient) -> None:
    graph = {"version": 0.5, "concurrency": 50, "nodes": nodes()}
    agents = {**catalog(), **agents_by_name([pure, other])}
    options = WorkerOptions(agents=agents, settings=Settings(), filters=[FILTER])
    async with build_worker(client.temporal, "test-outcomes", options):
        run = await client.start(graph, name="outcomes", queue="test-outcomes")
        with pytest.raises(RunFailed) as durable:
            await run.result()
    with pytest.raises(RunFailed) as memory:
        await memory_shell(graph, agents, environment=MemoryEnvironment(filters=[FILTER])).run()
    results: list[RunResult] = [durable.value.result, memory.value.result]
    assert results[0].errors == results[1].errors
    assert results[0].states == results[1].states
    assert results[0].errors["other-long"] == "x" * 8_000 + " … (1000 characters more)"
    assert results[0].errors["other-half"] == "half a pair: ?"
    assert {name for name, state in results[0].states.items() if state == "timed-out"} == {
        "other-slow",
        "batched-slow",
        "filtered-slow",
    }
    assert results[0].errors["filtered-timeout"] == "TimeoutError: the crane did not answer"
