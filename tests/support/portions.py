"""A map that holds much when its run continues as new: more than one activation should write."""

from __future__ import annotations

from typing import Any

from temporalio.client import WorkflowHistory

from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.engine.messages import RunOptions
from perdure.worker import WorkerOptions, build_worker

ROW_COUNT = 3_500


def document() -> dict[str, Any]:
    """Rows that are long in memory and short in a history."""
    step = {"agent": "copyAgent", "inputs": {"x": ":row", "e": [[]] * 8}, "isResult": True}
    rows = {"agent": "mapAgent", "inputs": {"rows": ":n.list"}, "graph": {"nodes": {"step": step}}}
    count = {"agent": "countingAgent", "params": {"count": ROW_COUNT}}
    last = {
        "agent": "copyAgent",
        "inputs": {"count": ":rows.length()", "last": ":rows.$3499"},
        "isResult": True,
    }
    return {"version": 0.5, "nodes": {"n": count, "rows": rows, "last": last}}


async def continued(client: GraphClient, queue: str) -> WorkflowHistory:
    """The history of its first execution, which continued as new within the map."""
    options = WorkerOptions(agents=catalog(), settings=client.settings)
    async with build_worker(client.temporal, queue, options):
        run = await client.start(document(), name=queue, queue=queue, options=RunOptions(events=5))
        result = await run.result()
    last = {"x": ROW_COUNT - 1, "e": [[]] * 8}
    assert result.results == {"last": {"count": ROW_COUNT, "last": {"step": last}}}
    events = (await run.handle.fetch_history()).events
    first = events[0].workflow_execution_started_event_attributes.first_execution_run_id
    return await client.temporal.get_workflow_handle(run.id, run_id=first).fetch_history()
