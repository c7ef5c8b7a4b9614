"""What a run has learned of distant values goes along, into segments and along a chain of runs."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio import activity

from perdure.agents.agent import agent
from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.engine.messages import RunOptions
from perdure.protocol.payloads import RunResult
from perdure.worker import WorkerOptions, build_worker

pytestmark = pytest.mark.anyio
LARGE = "x" * 200_000


async def played(
    client: GraphClient, name: str, document: dict[str, Any], events: int
) -> tuple[RunResult, set[str]]:
    """The result, and the runs of the chain that have called `step`."""
    runs: set[str] = set()

    @agent("step")
    async def step(inputs: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
        runs.add(activity.info().workflow_run_id or "")
        return {**inputs, **params, "rows": inputs.get("rows", [])[1:]}

    agents = {**catalog(), "step": step.agent}
    options = WorkerOptions(agents=agents, settings=client.settings)
    async with build_worker(client.temporal, f"test-{name}", options):
        going = await client.start(
            document, name=name, queue=f"test-{name}", options=RunOptions(events=events)
        )
        return await going.result(), runs


async def test_a_segment_knows_what_the_run_knows(client: GraphClient) -> None:
    """A copy that did not would give its calls other numbers."""
    copy = {"agent": "copyAgent", "inputs": {"n": ":next.n"}}
    document = {
        "loop": {"count": 5},
        "nodes": {
            "large": {"value": {"text": LARGE, "flag": "yes"}},
            "sum": {"value": 0, "update": ":next.n"},
            "next": {"agent": "copyAgent", "inputs": {"n": ":sum.add(1)"}},
            "decided": {**copy, "if": ":large.flag", "deadline": 60_000, "isResult": True},
            "beside": {**copy, "isResult": True},
        },
    }
    result, _ = await played(client, "known-segment", document, 4_000)
    assert result.results == {"decided": {"n": 5}, "beside": {"n": 5}}


async def test_decisions_over_several_values_in_a_chain_of_short_runs(client: GraphClient) -> None:
    document = {
        "loop": {"while": ":left.rows"},
        "nodes": {
            "large": {"value": {"text": LARGE, "yes": 1, "no": 0, "name": "step", "params": {"p": 7}}},
            "left": {"value": {"text": LARGE, "rows": [1, 2, 3, 4, 5, 6]}, "update": ":rest"},
            "decided": {
                "if": ":large.yes",
                "unless": ":large.no",
                "agent": ":large.name",
                "inputs": {"params": ":large.params", "n": ":left.rows.length()"},
                "isResult": True,
            },
            "rest": {
                "agent": "step",
                "inputs": {"text": ":left.text", "rows": ":left.rows", "after": ":decided"},
            },
        },
    }
    result, runs = await played(client, "known-chain", document, 12)
    assert result.results == {"decided": {"params": {"p": 7}, "n": 1, "p": 7, "rows": []}}
    assert len(runs) > 1
