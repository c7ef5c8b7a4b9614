"""A run that failed names the innermost node: durable and in memory, also where a segment ends it."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.agents.agent import agent
from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.errors import AgentError, RunFailed
from perdure.settings import Settings
from perdure.testing import memory_shell
from perdure.worker import WorkerOptions, build_worker

pytestmark = pytest.mark.anyio

QUEUE = "test-failure-place"


@agent("pureCheck", pure=True)
def pure_check(inputs: dict[str, Any]) -> int:
    """Refuses the number 3."""
    if inputs["n"] == 3:
        raise AgentError("3 is refused", hint="leave it out")
    return inputs["n"]


@agent("remoteCheck")
async def remote_check(inputs: dict[str, Any]) -> int:
    """As pureCheck does."""
    return pure_check(inputs)


AGENTS = {**catalog(), "pureCheck": pure_check.agent, "remoteCheck": remote_check.agent}


def graph(name: str) -> dict[str, Any]:
    """A map over three rows, each with a graph in a graph, whose node refuses the last row."""
    inner = {"nodes": {"check": {"agent": name, "inputs": {"n": ":n"}, "isResult": True}}}
    row = {"nodes": {"sub": {"agent": "nestedAgent", "inputs": {"n": ":row"}, "graph": inner}}}
    rows = {"agent": "mapAgent", "inputs": {"rows": [1, 2, 3]}, "graph": row, "isResult": True}
    return {"version": 0.5, "nodes": {"rows": rows}}


@pytest.mark.parametrize("name", ["pureCheck", "remoteCheck"])
async def test_the_inner_node_is_named(client: GraphClient, name: str) -> None:
    options = WorkerOptions(agents=AGENTS, settings=Settings())
    async with build_worker(client.temporal, QUEUE, options):
        run = await client.start(graph(name), name="place", queue=QUEUE)
        with pytest.raises(RunFailed) as durable:
            await run.result()
        status = await run.status()
    with pytest.raises(RunFailed) as memory:
        await memory_shell(graph(name), AGENTS).run()
    model = await run.history()
    for failed in (durable.value, memory.value):
        assert (failed.place, failed.finding, failed.hint) == (
            "rows[2].sub.check",
            "3 is refused",
            "leave it out",
        )
        assert failed.result.place == "rows[2].sub.check"
        assert str(failed) == failed.result.failure == "3 is refused\n  hint: leave it out"
    assert status is not None
    assert model.cause == durable.value.result.cause
    assert [failure.place for failure in status.failures] == ["rows[2].sub.check", "rows[2].sub", "rows"]
