"""Recorded runs are replayed with a change, and nothing that may have effects is called again."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.agents.agent import agent
from perdure.agents.catalog import agents_by_name, catalog
from perdure.client import GraphClient
from perdure.engine.granting.prices import Prices
from perdure.errors import RunFailed, UsageError
from perdure.graph.fields import MODEL_AGENTS
from perdure.history.rerun import compared_calls
from perdure.lineage.change import Change
from perdure.lineage.compare import call_differences
from perdure.runs import Run
from tests.support.durable import started

pytestmark = pytest.mark.anyio

DOCUMENT = {
    "nodes": {
        "topic": {"value": "sea"},
        "draft": {"agent": "model", "params": {"style": "plain"}, "inputs": {"text": ":topic"}},
        "short": {
            "agent": "stringTemplateAgent",
            "params": {"template": "<${t}>"},
            "inputs": {"t": ":draft"},
        },
        "check": {"agent": "model", "inputs": {"text": ":short"}},
        "mail": {"agent": "mail", "inputs": {"text": ":check"}, "isResult": True},
    }
}


async def kinds(first: Run, second: Run) -> dict[str, str]:
    models = [await run.history() for run in (first, second)]
    return {
        each.position: each.kind
        for each in call_differences(*(compared_calls(model, Prices()) for model in models))
    }


async def test_a_change_is_compared_without_effects(client: GraphClient) -> None:
    called: list[str] = []

    @agent("model")
    async def model(inputs: dict[str, Any], params: dict[str, Any]) -> Any:
        """Stands for a model."""
        called.append("model")
        return f"{params.get('style', 'check')} {inputs['text']}"

    @agent("mail")
    async def mail(inputs: dict[str, Any]) -> Any:
        """Has an effect."""
        called.append("mail")
        return f"sent {inputs['text']}"

    agents = {**catalog(), **agents_by_name([model, mail])}
    async with started(client, "replays", DOCUMENT, agents, client.settings) as run:
        assert (await run.result()).results == {"mail": "sent check <plain sea>"}
        change = Change(params={"draft.style": "bold"})
        with pytest.raises(UsageError, match="draft: model may have effects"):
            await run.replay(change)
        called.clear()
        new = await run.replay(change, calls=["model"])
        assert (await new.result()).results == {"mail": "sent check <plain sea>"}  # as it was recorded
        assert called == ["model", "model"]
        assert await kinds(run, new) == {
            "draft": "inputs",
            "short": "inputs",
            "check": "inputs",
            "mail": "absorbed",
        }
        called.clear()
        alone = await run.replay(change, calls=["model"], keeps_upstream=True)
        await alone.result()
        assert called == ["model"]
        assert await kinds(run, alone) == {
            "draft": "inputs",
            "short": "absorbed",
            "check": "equal",
            "mail": "equal",
        }
        called.clear()
        more = {**DOCUMENT["nodes"], "again": {"agent": "mail", "inputs": {"text": ":topic"}}}
        refused = await run.replay(Change(graph={"nodes": more}))
        with pytest.raises(RunFailed, match="again: mail may have effects, and the record"):
            await refused.result()
        assert called == []


async def test_agents_of_models_may_be_called_again() -> None:
    shipped = catalog().values()
    assert {each.name for each in shipped if {"llm", "embedding"} & {*each.category}} == {*MODEL_AGENTS}
