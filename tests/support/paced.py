"""A rerun that reuses more rows than other runs play before they pause, and calls one agent after them."""

from __future__ import annotations

from typing import Any

from perdure.agents.agent import agent
from perdure.agents.catalog import agents_by_name, catalog
from perdure.client import GraphClient
from perdure.lineage.change import Change
from perdure.runs import Run
from tests.support.durable import started

ROW_COUNT = 1_600
"""Some 48,000 steps: more than those of two events, and fewer than those of three."""

ROW = {"nodes": {"same": {"agent": "copyAgent", "inputs": {"x": ":row"}, "isResult": True}}}
ROWS = {"agent": "mapAgent", "inputs": {"rows": ":all"}, "graph": ROW}
LAST = {"agent": "counted", "inputs": {"rows": ":rows"}, "isResult": True}
GRAPH: dict[str, Any] = {
    "version": 0.5,
    "nodes": {"all": {"value": [*range(ROW_COUNT)]}, "rows": ROWS, "last": LAST},
}


@agent("counted")
async def counted(inputs: dict[str, Any]) -> int:
    """How many rows there are."""
    return len(inputs["rows"])


async def paced(client: GraphClient, name: str) -> Run:
    """The rerun, at its end."""
    agents = {**catalog(), **agents_by_name([counted])}
    async with started(client, name, GRAPH, agents, client.settings) as run:
        await run.result()
        again = await run.rerun(Change(begin_at=["last"]))
        assert (await again.result()).results == {"last": ROW_COUNT}
    return again
