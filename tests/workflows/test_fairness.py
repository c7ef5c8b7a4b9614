"""Runs next to each other in one worker: none waits until another one is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from perdure import agent
from perdure.activities import resting, slot_shares
from perdure.agents.agent import declared
from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.errors import RunCancelled
from perdure.runs import Run
from perdure.worker import WorkerOptions, build_worker
from tests.support.waiting import until

pytestmark = pytest.mark.anyio


@dataclass
class Calls:
    """Who has begun, in this order; a call ends when its run may."""

    begun: list[str] = field(default_factory=list[str])
    gates: dict[str, asyncio.Event] = field(default_factory=dict[str, asyncio.Event])

    def gate(self, run: str) -> asyncio.Event:
        return self.gates.setdefault(run, asyncio.Event())


@asynccontextmanager
async def served(client: GraphClient, queue: str, slots: int) -> AsyncGenerator[Calls]:
    calls = Calls()

    @agent("gatedAgent")
    async def gated(params: dict[str, Any]) -> None:
        calls.begun.append(params["run"])
        await calls.gate(params["run"]).wait()

    known = declared(gated)
    assert known is not None
    agents = {known.name: known, "sleeperAgent": catalog()["sleeperAgent"]}
    options = WorkerOptions(agents=agents, settings=client.settings, concurrent_agents=slots)
    async with build_worker(client.temporal, queue, options):
        yield calls


def document(run: str, count: int) -> dict[str, Any]:
    node = {"agent": "gatedAgent", "params": {"run": run}}
    return {"version": 0.5, "concurrency": count, "nodes": {f"n{i}": node for i in range(count)}}


async def started(client: GraphClient, queue: str, run: str, count: int) -> Run:
    """A run whose calls are all waiting at the server, or further."""
    begun = await client.start(document(run, count), queue=queue)
    await until(lambda: _pending(begun, count), f"{count} calls are pending")
    return begun


async def test_calls_that_only_wait_leave_their_slots(
    client: GraphClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resting, "MIN_REST_S", 0.2)
    node = {"agent": "sleeperAgent", "params": {"duration": 2000}, "inputs": {"x": 1}, "isResult": True}
    async with served(client, "resting", 4) as calls:
        sleepers = [await client.start({"nodes": {"s": node}}, queue="resting") for _ in range(6)]
        calls.gate("few").set()
        few = await client.start(document("few", 1), queue="resting")
        assert len([await run.result() for run in (*sleepers, few)]) == 7
    attempts = [await _attempts(run) for run in sleepers]
    assert sum(attempts) > len(sleepers), "slots were needed"


async def _attempts(run: Run) -> int:
    started = [
        event.activity_task_started_event_attributes.attempt
        for event in (await run.handle.fetch_history()).events
        if event.HasField("activity_task_started_event_attributes")
    ]
    return sum(started)


async def _pending(run: Run, count: int) -> bool:
    return len((await run.report()).pending) == count


async def test_the_server_hands_out_the_calls_of_runs_in_turn(client: GraphClient) -> None:
    async with served(client, "in-turn", 2) as calls:
        many = await started(client, "in-turn", "many", 60)
        await until(lambda: len(calls.begun) == 2, "all slots are taken")
        few = await started(client, "in-turn", "few", 3)
        calls.gate("many").set()
        calls.gate("few").set()
        await asyncio.gather(many.result(), few.result())
    last = max(place for place, run in enumerate(calls.begun) if run == "few")
    assert last < 30  # the last three of 63, if those that came first were first


async def test_calls_that_never_end_leave_slots_to_others(
    client: GraphClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slot_shares, "MAX_LOOK_INTERVAL_S", 0.2)
    async with served(client, "endless", 4) as calls:
        endless = await started(client, "endless", "endless", 30)
        await until(lambda: len(calls.begun) == 3, "its share is taken")
        calls.gate("others").set()
        for _ in range(2):
            await (await client.start(document("others", 3), queue="endless")).result()
        assert calls.begun == ["endless"] * 3 + ["others"] * 6
        pending = (await endless.report()).pending
        accounts = [call.account for call in pending if call.attempt > 1]
        assert accounts
        assert all(account.endswith("returned by the worker") for account in accounts)
        await endless.cancel()
        with pytest.raises(RunCancelled):
            await endless.result()
