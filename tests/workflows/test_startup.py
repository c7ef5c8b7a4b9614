"""How a run opens: with the answers of the pure agents at its beginning, or without them."""

import asyncio
import time
from typing import Any

import pytest
from temporalio import workflow
from temporalio.api.enums.v1 import EventType

from perdure.activities import activity
from perdure.agents.agent import agent
from perdure.agents.catalog import agents_by_name, catalog
from perdure.client import GraphClient
from perdure.engine.scheduler import Scheduler
from perdure.errors import RunCancelled, RunFailed
from perdure.runs import Run
from perdure.settings import Settings
from tests.support.durable import started

pytestmark = pytest.mark.anyio

PURE: dict[str, Any] = {
    "nodes": {
        "a": {"value": {"n": 1}},
        "b": {"agent": "copyAgent", "inputs": {"n": ":a.n"}, "console": {"before": "b begins"}},
        "c": {"agent": "copyAgent", "inputs": {"n": ":b.n", "now": "@now"}, "isResult": True},
    }
}


async def markers(run: Run) -> int:
    history = await run.handle.fetch_history()
    kinds = [event.event_type for event in history.events]
    assert EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED not in kinds
    return kinds.count(EventType.EVENT_TYPE_MARKER_RECORDED)


async def test_what_is_pure_takes_one_marker(client: GraphClient) -> None:
    async with started(client, "opening", PURE, catalog(), client.settings) as going:
        result = await going.result()
        status = await going.status()
        assert result.results["c"]["n"] == 1
        assert abs(result.results["c"]["now"] - time.time() * 1000) < 60_000
        assert status is not None
        assert [line for line in status.console if line] == ["b begins"]
        assert await markers(going) == 1


async def test_the_end_is_taken_over_and_played_when_asked_for(
    client: GraphClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = list[Any]()
    handle = Scheduler.handle

    def watched(self: Scheduler, event: Any, now_ms: int) -> Any:
        if workflow.in_workflow():
            played.append(event)
        return handle(self, event, now_ms)

    monkeypatch.setattr(Scheduler, "handle", watched)
    slow = {"agent": "sleeperAgent", "params": {"duration": 1}, "inputs": {"n": 1}, "isResult": True}
    later = {"nodes": {**PURE["nodes"], "a": slow}}
    for id, document, before in (("ends", PURE, 0), ("ends-later", later, 1)):
        played.clear()
        async with started(client, id, document, catalog(), client.settings) as going:
            result = await going.result()
            assert len(played) == before
            status = await going.status()
            assert len(played) >= before + 2
            assert status is not None
            assert [node.state for node in status.nodes] == list(result.states.values())
            assert [line for line in status.console if line] == ["b begins"]


async def test_a_run_fails_as_it_opens(client: GraphClient) -> None:
    nodes = {**PURE["nodes"], "d": {"agent": "copyAgent", "inputs": {"x": ":text.jsonParse()"}}}
    document = {"nodes": {"text": {"value": "{"}, **nodes}}
    async with started(client, "opening-fails", document, catalog(), client.settings) as going:
        with pytest.raises(RunFailed, match="jsonParse") as failed:
            await going.result()
        assert failed.value.result is not None
        assert failed.value.result.states["d"] == "failed"
        assert failed.value.result.results["c"]["n"] == 1


async def test_an_end_that_is_too_large_with_the_answers_is_played(client: GraphClient) -> None:
    text = "x" * 1_000_000
    document = {"nodes": {"text": {"value": text}, **PURE["nodes"]}}
    without = Settings(home=client.settings.home)
    async with started(client, "opening-large", document, catalog(), without) as going:
        assert (await going.result()).all["text"] == text
        assert await markers(going) == 1


async def test_it_opens_without_what_fails_there(
    client: GraphClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("not today")

    monkeypatch.setattr(activity, "begun", broken)
    async with started(client, "opening-broken", PURE, catalog(), client.settings) as going:
        assert (await going.result()).results["c"]["n"] == 1
        assert await markers(going) == 3  # what failed, the agents, and a segment


async def test_a_call_that_needs_an_activity_gets_it_at_once(client: GraphClient) -> None:
    @agent("largeAgent", pure=True)
    def large(params: dict[str, Any]) -> str:
        return "x" * params["size"]

    nodes = {"a": {"agent": "largeAgent", "params": {"size": 100_000}, "isResult": True}}
    agents = {**catalog(), **agents_by_name([large])}
    without = Settings(home=client.settings.home)
    assert without.store is None
    async with started(client, "opening-alone", {"nodes": nodes}, agents, without) as going:
        assert len((await going.result()).results["a"]) == 100_000
        assert await markers(going) == 1


async def test_a_run_is_cancelled_while_it_opens(client: GraphClient) -> None:
    @agent("slowAgent", pure=True)
    def slow() -> int:
        time.sleep(3)
        return 1

    document = {"nodes": {"a": {"agent": "slowAgent"}, "b": {"agent": "copyAgent", "inputs": {"x": ":a"}}}}
    agents = {**catalog(), **agents_by_name([slow])}
    async with started(client, "opening-cancelled", document, agents, client.settings) as going:
        await asyncio.sleep(1)
        await going.cancel()
        with pytest.raises(RunCancelled):
            await going.result()
