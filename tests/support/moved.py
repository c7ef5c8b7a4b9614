"""A map whose open rows take over, in the middle, where a node of theirs is executed."""

from __future__ import annotations

import asyncio
from typing import Any

from perdure.agents.agent import agent
from perdure.agents.catalog import agents_by_name, catalog
from perdure.client import GraphClient
from perdure.runs import Run
from tests.support.durable import started

ROW_COUNT = 3


def graph_of(**options: Any) -> dict[str, Any]:
    """The graph, with options of the last node of each row."""
    last = {"agent": "echo", "inputs": {"n": ":row", "after": ":held"}, "isResult": True, **options}
    row = {"nodes": {"held": {"agent": "held", "inputs": {"n": ":row"}}, "last": last}}
    rows = {"agent": "mapAgent", "inputs": {"rows": [*range(ROW_COUNT)]}, "graph": row, "isResult": True}
    return {"version": 0.5, "nodes": {"rows": rows}}


@agent("echo")
async def echo(inputs: dict[str, Any]) -> Any:
    """What it receives."""
    return inputs["n"]


async def moved(client: GraphClient, name: str) -> Run:
    """The run, at its end. In a run without `moves_rows`, the last nodes are not local."""
    begun, released = asyncio.Event(), asyncio.Event()

    @agent("held")
    async def held(inputs: dict[str, Any]) -> Any:
        """Waits until the graph is another."""
        begun.set()
        await released.wait()
        return inputs["n"]

    agents = {**catalog(), **agents_by_name([echo, held])}
    async with started(client, name, graph_of(), agents, client.settings) as run:
        await begun.wait()
        await run.patch(graph_of(placement="local"), who="anna")
        released.set()
        assert (await run.result()).results == {"rows": [{"last": row} for row in range(ROW_COUNT)]}
    return run
