"""A long stretch of work pauses by timers, ends with its quota, and leaves the worker to other runs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType

from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.engine.messages import Quotas, RunOptions
from perdure.errors import RunFailed
from perdure.worker import WorkerOptions, build_worker
from tests.support.paced import paced

pytestmark = pytest.mark.anyio
SKIPPED = {"agent": "copyAgent", "if": ":no", "defaultValue": {"d": 1}, "inputs": {"x": 1}, "isResult": True}
NODES = {"t": {"value": True, "update": ":t"}, "no": {"value": False}, "c": SKIPPED}
IDLE: dict[str, Any] = {"version": 0.5, "loop": {"while": ":t"}, "nodes": NODES}
HELLO = {"nodes": {"a": {"agent": "copyAgent", "inputs": {"x": 1}, "isResult": True}}}
OPTIONS = RunOptions(quotas=Quotas(steps=320_000))


async def test_endless_work_ends_typed_and_leaves_the_worker_to_others(client: GraphClient) -> None:
    options = WorkerOptions(agents=catalog(), settings=client.settings)
    async with build_worker(client.temporal, "pauses", options):
        endless = await client.start(IDLE, queue="pauses", options=OPTIONS)
        neighbour = await client.start(HELLO, queue="pauses")
        async with asyncio.timeout(180):
            assert (await neighbour.result()).results == {"a": {"x": 1}}
            with pytest.raises(RunFailed, match="quota of 320,000 steps"):
                await endless.result()
    history = await endless.handle.fetch_history()
    kinds = [event.event_type for event in history.events]
    assert kinds.count(EventType.EVENT_TYPE_TIMER_FIRED) >= 5
    assert EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED not in kinds
    assert EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT not in kinds


async def test_a_rerun_pauses_after_the_steps_of_three_events(client: GraphClient) -> None:
    rerun = await paced(client, "paced")
    kinds = [event.event_type for event in (await rerun.handle.fetch_history()).events]
    assert EventType.EVENT_TYPE_TIMER_FIRED not in kinds
