"""A run whose last calls end together with the timer of its drain, while no worker serves it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType

from perdure.agents.agent import agent
from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.engine.messages import RunOptions
from perdure.runs import Run
from perdure.worker import WorkerOptions, build_worker
from perdure.workflows import continuation
from tests.support.waiting import until

NODES = "abcdef"


async def drained(client: GraphClient, queue: str) -> Run:
    """The run, at its end. Of two calls at a time `a` is answered first, `b` and `c` without a worker."""
    gates = {name: asyncio.Event() for name in NODES}

    @agent("heldAgent")
    async def held(inputs: dict[str, Any]) -> dict[str, Any]:
        await gates[inputs["name"]].wait()
        return inputs

    nodes = {
        name: {"agent": "heldAgent", "queue": f"{queue}-held", "inputs": {"name": name}} for name in NODES
    }
    document = {"version": 0.5, "concurrency": 2, "nodes": nodes}
    options = WorkerOptions(agents=catalog(), settings=client.settings)
    holding = WorkerOptions(agents={"heldAgent": held.agent}, settings=client.settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(continuation, "DRAIN_TIMEOUT_S", 0.1)
        async with build_worker(client.temporal, f"{queue}-held", holding):
            async with build_worker(client.temporal, queue, options):
                run = await client.start(document, name=queue, queue=queue, options=RunOptions(events=8))
                await until(lambda: _counted(run, "ACTIVITY_TASK_SCHEDULED", 2), "two calls are sent")
                gates["a"].set()
                await until(lambda: _counted(run, "TIMER_STARTED", 1), "the run waits for its calls")
            for gate in gates.values():
                gate.set()
            await until(lambda: _counted(run, "TIMER_FIRED", 1), "the time for it is over")
            await until(lambda: _counted(run, "ACTIVITY_TASK_COMPLETED", 3), "its calls are over")
            async with build_worker(client.temporal, queue, options):
                await run.result()
    return run


async def _counted(run: Run, kind: str, count: int) -> bool:
    history = await run.handle.fetch_history()
    return [EventType.Name(event.event_type) for event in history.events].count(f"EVENT_TYPE_{kind}") >= count
