"""Values that a run has made itself, on their way to a store that does not take them."""

from typing import Any

import pytest

from perdure.agents.agent import agent
from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.errors import FinalError, RunFailed
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
