"""A run that asks for values of the store one after the other replays as it ran.

On a replay, the SDK hands over at once the results of local activities that came one by one when the run was
live. What a run does must not depend on that.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from temporalio.worker import Replayer

from perdure.agents.agent import agent
from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.graph.deferred import Deferred
from perdure.plugin import GraphPlugin
from perdure.storage.claim_check import ClaimCheck
from tests.support.durable import started

pytestmark = pytest.mark.anyio

ROW_COUNT = 60


@agent("remoteStep")
async def remote_step(inputs: dict[str, Any]) -> str:
    """What it is handed."""
    return inputs["text"]


def document() -> dict[str, Any]:
    """A map over a list in the store: what each row starts with decides something, so the run asks for it."""
    template = {"agent": "stringTemplateAgent", "inputs": {"x": ":text"}, "params": {"template": "${x}"}}
    inner = {
        "nodes": {
            "last": template,
            "end": {"agent": "copyAgent", "inputs": {"text": ":last"}, "isResult": True},
        }
    }
    inputs = {"text": ":row.$0", "after": ":first"}
    row = {
        "first": {"agent": "remoteStep", "inputs": {"text": "x"}},
        "each": {"agent": "nestedAgent", "inputs": inputs, "graph": inner, "isResult": True},
    }
    rows = {"agent": "mapAgent", "inputs": {"rows": ":rows"}, "graph": {"nodes": row}, "isResult": True}
    return {"concurrency": 16, "nodes": {"rows": {}, "map": rows}}


async def test_it_replays(client: GraphClient, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = ClaimCheck.answer

    async def slowly(self: ClaimCheck, distant: Deferred, whole: bool) -> Any:
        await asyncio.sleep(sum(map(ord, str(distant))) % 7 * 0.03)
        return await answer(self, distant, whole)

    monkeypatch.setattr(ClaimCheck, "answer", slowly)
    rows = [[f"{number} " * 100] for number in range(ROW_COUNT)]
    settings = replace(client.settings, store_above=1_000)
    nodes = document()
    nodes["nodes"]["rows"] = {"agent": "rowsAgent"}

    @agent("rowsAgent")
    async def rows_agent() -> Any:
        return rows

    agents = {**catalog(), "remoteStep": remote_step.agent, "rowsAgent": rows_agent.agent}
    async with started(client, "fetch-order", nodes, agents, settings) as run:
        result = await run.result()
    assert [row["each"]["end"]["text"] for row in result.results["map"]] == [row[0] for row in rows]
    history = await run.handle.fetch_history()
    replayer = Replayer(workflows=[], plugins=[GraphPlugin()], debug_mode=True)
    assert (await replayer.replay_workflow(history)).replay_failure is None
