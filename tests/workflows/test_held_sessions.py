"""Agents that keep state: one object for each session, the same result wherever and however often it dies."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from perdure.agents.agent import Agent, agent, declared
from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.engine.messages import RunOptions
from perdure.errors import RunFailed, SessionLost
from perdure.graph.values import Value
from perdure.memory.shell import memory_shell
from perdure.worker import WorkerOptions, serve
from tests.support.durable import connected

pytestmark = pytest.mark.anyio

LOG: list[str] = []


@agent("counterAgent")
class Counter:
    """Adds up what its session receives."""

    def __init__(self) -> None:
        self.total = 0
        LOG.append("new")

    async def call(self, inputs: dict[str, Value]) -> Value:
        self.total += inputs["add"]
        LOG.append(f"call {inputs['add']}")
        if inputs.get("lost") == inputs["add"] and LOG.count("lost") < 1:
            LOG.append("lost")
            raise SessionLost("the actor is dead")
        if inputs.get("fails") == inputs["add"]:
            raise ValueError("half way")
        if (reached := REACHED.get(inputs["add"])) is not None:
            reached.set()
        return self.total

    def checkpoint(self) -> Value:
        LOG.append("checkpoint")
        return {"total": self.total}

    def restore(self, checkpoint: dict[str, Value]) -> None:
        LOG.append("restore")
        self.total = checkpoint["total"]

    def close(self) -> None:
        LOG.append("close")


@agent("forgetfulAgent")
class Forgetful:
    """Cannot save what it knows."""

    def call(self) -> Value:
        return "called"


REACHED: dict[int, asyncio.Event] = {}


@pytest.fixture(autouse=True)
def nothing_logged() -> None:
    LOG.clear()
    REACHED.clear()


def agents() -> dict[str, Agent]:
    ours = [declared(Counter), declared(Forgetful)]
    return {**catalog(), **{one.name: one for one in ours if one is not None}}


def counting(count: int, session: Value, **inputs: Value) -> dict[str, Any]:
    """A graph that adds 1, 2, … in passes."""
    node = {"agent": "counterAgent", "inputs": {"add": ":add", **inputs}, "session": session, "heartbeat": 2}
    return {
        "loop": {"count": count},
        "nodes": {
            "add": {"value": 1, "update": ":add.add(1)"},
            "sum": {**node, "fallback": "failed", "isResult": True},
            "sums": {"value": [], "update": ":all.array"},
            "all": {"agent": "pushAgent", "inputs": {"array": ":sums", "item": ":sum"}, "isResult": True},
        },
    }


async def in_memory(graph: Mapping[str, Value]) -> Value:
    return (await memory_shell(graph, [Counter, Forgetful]).run()).results


async def test_a_session_has_one_object_with_a_state_in_memory() -> None:
    result = await in_memory(counting(4, {"id": "a", "checkpoint": 2}))
    assert result["all"] == {"array": [1, 3, 6, 10]}
    called = ["new", "call 1", "call 2", "checkpoint", "call 3", "call 4", "checkpoint", "close"]
    assert called == LOG


async def test_a_lost_state_is_restored_and_the_calls_since_are_repeated_in_memory() -> None:
    result = await in_memory(counting(4, {"id": "a", "checkpoint": 2}, lost=4))
    assert result["all"] == {"array": [1, 3, 6, 10]}
    restored = ["lost", "close", "new", "restore", "call 3", "call 4", "checkpoint", "close"]
    assert LOG[-8:] == restored


async def test_a_call_that_fails_leaves_no_trace() -> None:
    result = await in_memory(counting(4, "a", fails=2))
    assert result["all"] == {"array": [1, "failed", 4, 8]}


async def test_sessions_of_a_map_are_apart_and_calls_of_one_follow_each_other() -> None:
    node = {"agent": "counterAgent", "session": ":row.id", "inputs": {"add": ":row.add"}, "isResult": True}
    rows = [{"id": id, "add": add} for add in (1, 2, 3) for id in ("a", "b")]
    graph = {
        "nodes": {
            "rows": {"value": rows},
            "map": {
                "agent": "mapAgent",
                "inputs": {"rows": ":rows"},
                "params": {"compositeResultKey": "sum"},
                "graph": {"nodes": {"sum": node}},
                "isResult": True,
            },
        }
    }
    assert (await in_memory(graph))["map"] == [1, 1, 3, 3, 6, 6]


@pytest.mark.parametrize(
    ("node", "finding"),
    [
        ({"agent": "counterAgent", "inputs": {"add": 1}}, "keeps state between its calls"),
        ({"agent": "forgetfulAgent", "session": "a"}, "cannot save its state"),
        ({"agent": "copyAgent", "session": "a"}, "cannot save its state"),
    ],
)
async def test_state_that_would_be_lost_unseen_is_refused(node: dict[str, Value], finding: str) -> None:
    with pytest.raises(RunFailed, match=finding):
        await in_memory({"nodes": {"a": {**node, "isResult": True}}})


async def test_a_state_may_be_declared_to_be_lossy() -> None:
    lossy = {"id": "a", "lossy": True}
    assert await in_memory({"nodes": {"a": {"agent": "forgetfulAgent", "session": lossy, "isResult": True}}})


def test_a_class_that_cannot_be_an_agent_is_refused() -> None:
    with pytest.raises(TypeError, match="no method `call`"):
        agent("x")(type("NoCall", (), {}))
    with pytest.raises(TypeError, match="one of `checkpoint` and `restore`"):
        agent("x")(type("Half", (), {"call": lambda self: None, "checkpoint": lambda self: None}))


class Workers:
    """Workers in this process, which end one by one; each with a client, as in a process of its own."""

    def __init__(self, client: GraphClient, queue: str) -> None:
        self._home, self._queue = client.settings.home, queue
        self._stops: list[tuple[asyncio.Event, asyncio.Task[None]]] = []

    async def add(self) -> None:
        stop, ready = asyncio.Event(), asyncio.Event()
        self._stops.append((stop, asyncio.create_task(self._serve(stop, ready))))
        await ready.wait()

    async def _serve(self, stop: asyncio.Event, ready: asyncio.Event) -> None:
        async with connected(self._home, "off") as client:
            options = WorkerOptions(agents=agents(), settings=replace(client.settings, grace=1))
            await serve(client.temporal, [self._queue], options, stop, ready.set)

    async def remove(self) -> None:
        stop, serving = self._stops.pop(0)
        stop.set()
        await serving

    async def end(self) -> None:
        while self._stops:
            await self.remove()


async def test_a_session_stays_with_its_worker_and_moves_when_that_ends(client: GraphClient) -> None:
    REACHED[3] = asyncio.Event()
    workers = Workers(client, "sessions")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(workers.end)
        await workers.add()
        graph = counting(5, {"id": "a", "checkpoint": 2})
        run = await client.start(graph, name="sessions", queue="sessions")
        async with asyncio.timeout(150):
            await REACHED[3].wait()
            await workers.add()
            await workers.remove()
            result = await run.result()
    assert result.results["all"] == {"array": [1, 3, 6, 10, 15]}
    assert "restore" in LOG
    assert LOG[-1] == "close"


async def test_a_run_that_continues_as_new_keeps_its_sessions(client: GraphClient) -> None:
    workers = Workers(client, "continued-sessions")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(workers.end)
        await workers.add()
        graph = counting(12, {"id": "a", "checkpoint": 3}, lost=11)
        run = await client.start(
            graph, name="continued-sessions", queue="continued-sessions", options=RunOptions(events=20)
        )
        async with asyncio.timeout(150):
            result = await run.result()
    assert result.results["sum"] == 78
    assert "restore" in LOG[LOG.index("lost") :]
