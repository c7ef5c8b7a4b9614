"""A run that begins on a worker which lacks an agent of its graph, as during an update."""

from __future__ import annotations

from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.worker import Worker

from perdure.agents.agent import agent
from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.runs import Run
from perdure.worker import WorkerOptions, agent_activities, build_worker
from tests.support.waiting import until


@agent("newAgent")
async def new(inputs: dict[str, Any]) -> dict[str, Any]:
    """Only the worker after the update has it."""
    return inputs


async def lacking(client: GraphClient, queue: str) -> Run:
    """The run, at its end: the worker with the agent comes when the run has asked for one."""
    nodes = {
        "a": {"agent": "newAgent", "inputs": {"n": 7}},
        "b": {"agent": "copyAgent", "inputs": {"n": ":a.n"}, "isResult": True},
    }
    temporal, old = client.temporal, WorkerOptions(agents=catalog(), settings=client.settings)
    updated = WorkerOptions(agents={**catalog(), "newAgent": new.agent}, settings=client.settings)
    activities = agent_activities(temporal, old)
    async with Worker(temporal, task_queue=queue, activities=activities, no_remote_activities=True):
        run = await client.start({"version": 0.5, "nodes": nodes}, name=queue, queue=queue)
        await until(lambda: _has_asked(run), "the run asks for another worker")
    async with build_worker(temporal, queue, updated):
        await run.result()
    return run


async def _has_asked(run: Run) -> bool:
    history = await run.handle.fetch_history()
    kinds = [event.event_type for event in history.events]
    return EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED in kinds
