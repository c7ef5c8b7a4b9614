"""Values that a run has made itself, on their way to a store that does not take them."""

from dataclasses import replace
from typing import Any

import pytest

from perdure.agents.agent import agent
from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.errors import FinalError, RunFailed
from perdure.storage import open_store
from perdure.storage.claim_check import ClaimCheck
from tests.support.durable import started

pytestmark = pytest.mark.anyio


async def test_a_run_whose_results_cannot_be_kept_ends_typed(
    client: GraphClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    @agent("textAgent")
    async def text() -> str:
        return "x" * 50_000  # below what an agent's worker keeps itself

    async def full(*_: Any) -> None:
        raise FinalError("the store is full")

    monkeypatch.setattr(ClaimCheck, "shrink", full)
    document = {"nodes": {f"n{number}": {"agent": "textAgent"} for number in range(8)}}
    agents = {**catalog(), "textAgent": text.agent}
    async with started(client, "values-full", document, agents, client.settings) as going:
        with pytest.raises(RunFailed, match="the results of all nodes: the store is full"):
            await going.result()


async def test_a_chat_of_100_turns_takes_little_space(client: GraphClient) -> None:
    """Each turn has 2 KB; whole, the lists that grow would take 20 MB."""
    turns = [f"{number} " * 400 for number in range(100)]
    pair = [{"role": "user", "content": ":turn.item"}, {"role": "assistant", "content": "re: ${:turn.item}"}]
    document = {
        "loop": {"while": ":turn.array"},
        "nodes": {
            "turns": {"value": [text[:1_000] for text in turns], "update": ":turn.array"},
            "messages": {"value": [], "update": ":history.array"},
            "turn": {"agent": "shiftAgent", "inputs": {"array": ":turns"}},
            "history": {
                "agent": "pushAgent",
                "inputs": {"array": ":messages", "items": pair},
                "isResult": True,
            },
        },
    }
    store = open_store(client.settings.store_url(embedded=True) or "")
    before = sum([item.size async for item in store.list()])
    settings = replace(client.settings, store=store.place)
    async with started(client, "chat", document, catalog(), settings) as chat:
        result = await chat.result()
    messages = result.results["history"]["array"]
    assert [len(messages), messages[-1]["content"][:11]] == [200, "re: 99 99 9"]
    assert sum([item.size async for item in store.list()]) - before < 1_000_000
