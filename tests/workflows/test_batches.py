"""Calls that share an activity: each has its own inputs, answer, failure and limit."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType

from perdure.agents.agent import AgentContext, agent
from perdure.agents.catalog import agents_by_name, catalog
from perdure.client import GraphClient
from perdure.errors import AgentError, RunCancelled, TransientError
from perdure.runs import Run
from tests.support.durable import started

pytestmark = pytest.mark.anyio

tried = list[str]()


@agent("kindAgent")
async def kind(params: dict[str, Any]) -> str:
    """Of what type `params.given` is."""
    return type(params["given"]).__name__


@agent("moodyAgent")
async def moody(inputs: Any, context: AgentContext) -> Any:
    """As `how` says: fails, fails for now or hangs, the first time only, or is slow; returns its path."""
    tried.append(context.path)
    match inputs["how"]:
        case "fails" if not context.retry:
            raise AgentError("no")
        case "moody" if tried.count(context.path) == 1:
            raise TransientError("not yet")
        case "hangs" if not context.retry:
            await asyncio.sleep(60)
        case "slow":
            await asyncio.sleep(1)
        case _:
            pass
    return context.path


AGENTS = {**catalog(), **agents_by_name([kind, moody])}


def map_of(node: dict[str, Any], rows: list[Any]) -> dict[str, Any]:
    graph = {"nodes": {"work": {**node, "batch": 10, "isResult": True}}}
    params = {"compositeResult": True}
    mapper = {"agent": "mapAgent", "inputs": {"rows": rows}, "params": params, "graph": graph}
    return {"nodes": {"map": {**mapper, "isResult": True}}}


async def activities(run: Run) -> int:
    history = await run.handle.fetch_history()
    kinds = [event.event_type for event in history.events]
    return kinds.count(EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED)


async def test_what_is_merely_equal_is_not_shared(client: GraphClient) -> None:
    rows = [{"given": value} for value in (1, True, 1, "1", None)]
    document = map_of({"agent": "kindAgent", "inputs": {"params": ":row"}}, rows)
    async with started(client, "batch-equal", document, AGENTS, client.settings) as going:
        result = await going.result()
        assert result.results["map"] == {"work": ["int", "bool", "int", "str", "NoneType"]}
        assert await activities(going) == 1


MOODY: dict[str, Any] = {"agent": "moodyAgent", "inputs": {"how": ":row.how"}, "backoff": 0.01, "retry": 1}


async def test_calls_fail_apart_from_each_other(client: GraphClient) -> None:
    tried.clear()
    document = map_of(MOODY, [{"how": how} for how in ("well", "fails", "moody", "well")])
    async with started(client, "batch-apart", document, AGENTS, client.settings) as going:
        result = await going.result()
        paths = ["map[0].work", "map[1].work#1", "map[2].work", "map[3].work"]
        assert result.results["map"] == {"work": paths}
        assert sorted(tried) == sorted([*paths, "map[1].work", "map[2].work"])
        assert await activities(going) == 3


async def test_a_call_that_hangs_ends_at_the_limit_of_the_worker(client: GraphClient) -> None:
    document = map_of(MOODY, [{"how": how} for how in ("well", "hangs", "well")])
    settings = replace(client.settings, call_limit=0.5)
    async with started(client, "batch-late", document, AGENTS, settings) as going:
        result = await going.result()
        assert result.results["map"] == {"work": ["map[0].work", "map[1].work#1", "map[2].work"]}
        assert await activities(going) == 2


async def test_a_timeout_of_the_node_holds_in_place_of_that_limit(client: GraphClient) -> None:
    document = map_of({**MOODY, "timeout": 60_000}, [{"how": how} for how in ("well", "slow")])
    settings = replace(client.settings, call_limit=0.2)
    async with started(client, "batch-timeout", document, AGENTS, settings) as going:
        result = await going.result()
        assert result.results["map"] == {"work": ["map[0].work", "map[1].work"]}
        assert await activities(going) == 1


async def test_the_calls_of_a_batch_are_cancelled(client: GraphClient) -> None:
    tried.clear()
    document = map_of(MOODY, [{"how": "hangs"}, {"how": "hangs"}])
    async with started(client, "batch-cancelled", document, AGENTS, client.settings) as going:
        while len(tried) < 2:
            await asyncio.sleep(0.05)
        await going.cancel()
        with pytest.raises(RunCancelled):
            await going.result()
