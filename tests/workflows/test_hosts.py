"""Hosts by name: who is there, and calls that go to each of them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from perdure.agents.agent import Agent, AgentContext, agent
from perdure.agents.catalog import catalog, load_agents
from perdure.client import GraphClient
from perdure.worker import WorkerOptions, build_worker, serve
from tests.support.durable import connected

pytestmark = pytest.mark.anyio


@agent("hostAgent")
async def host(context: AgentContext) -> str:
    return context.settings.host


@agent("lengthAgent")
async def length(context: AgentContext) -> int:
    return len(context.data("plans").read())


AGENTS: dict[str, Agent] = {
    **catalog(),
    **load_agents("perdure.agents.distributed.agents"),
    "hostAgent": host.agent,  # type: ignore[attr-defined] -- functions carry attributes
    "lengthAgent": length.agent,  # type: ignore[attr-defined] -- functions carry attributes
}

GRAPH: dict[str, Any] = {
    "nodes": {
        "members": {
            "agent": "membersAgent",
            "params": {"label": "site", "atLeast": 2},
            "backoff": 0.1,
            "isResult": True,
        },
        "where": {
            "agent": "mapAgent",
            "inputs": {"rows": ":members.rows"},
            "params": {"compositeResultKey": "at"},
            "isResult": True,
            "graph": {"nodes": {"at": {"agent": "hostAgent", "queue": ":row.queue", "isResult": True}}},
        },
        "lengths": {
            "agent": "mapAgent",
            "inputs": {"rows": ":members.rows"},
            "params": {"compositeResultKey": "at", "quorum": 1},
            "isResult": True,
            "graph": {"nodes": {"at": {"agent": "lengthAgent", "queue": ":row.queue", "isResult": True}}},
        },
    }
}


@asynccontextmanager
async def worker(client: GraphClient, name: str, *labels: str, **data: Path) -> AsyncGenerator[None]:
    stop = asyncio.Event()
    settings = replace(client.settings, host=name, labels=labels, data=data)
    options = WorkerOptions(agents=AGENTS, settings=settings)
    async with connected(client.settings.home, "off") as own:  # as every process has its own
        serving = asyncio.create_task(serve(own.temporal, [f"@{name}"], options, stop))
        try:
            yield
        finally:
            stop.set()
            await serving


async def test_calls_go_to_the_hosts_that_are_there(client: GraphClient, tmp_path: Path) -> None:
    plans = tmp_path / "plans"
    plans.write_text("plans")
    options = WorkerOptions(agents=AGENTS, settings=replace(client.settings, queues=("@*",)))
    async with (
        build_worker(client.temporal, "hosts", options),
        worker(client, "north", "site", "gpu"),
        worker(client, "south", "site", plans=plans),
        worker(client, "office"),
    ):
        result = (await (await client.start(GRAPH, queue="hosts")).result()).results
    assert result["where"] == ["north", "south"]
    assert result["members"]["rows"] == [
        {"id": "north", "queue": "@north", "labels": ["gpu", "site"]},
        {"id": "south", "queue": "@south", "labels": ["data.plans", "site"]},
    ]
    assert result["lengths"]["rows"] == [5]
    assert result["lengths"]["missing"] == [
        {
            "index": 0,
            "id": "north",
            "why": "failed",
            "message": "this worker has no data 'plans'; hosts that have it: south\n"
            "  hint: give the node `queue: '@south'`, or start this worker with --data plans=PATH",
        }
    ]
