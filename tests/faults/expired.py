"""A run whose history is not kept any more: commands say "expired or unknown", and nothing worse."""

from __future__ import annotations

from pathlib import Path

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest

from perdure import server
from perdure.settings import Settings
from tests.faults.ground import Figures, client_of, perdure, wait_for, write_graph

VERBS = ("status gone", "status gone --json", "result gone", "show gone", "cancel gone", "answer gone a b")


async def show(figures: Figures, folder: Path, *, short: bool) -> None:
    """The server is told to delete the run, which is what it does itself when retention has passed."""
    home, settings = folder / "home", Settings(home=folder / "home")
    graph = write_graph(folder, {"version": 0.5, "nodes": {"a": {"agent": "copyAgent", "inputs": {"x": 1}}}})
    try:
        async with client_of(home) as client:
            done = perdure(home, "run", graph, "--id", "gone")
            figures.must(done.code == 0, str(done))
            gone = DeleteWorkflowExecutionRequest(
                namespace="default", workflow_execution=WorkflowExecution(workflow_id="gone")
            )
            await client.temporal.workflow_service.delete_workflow_execution(gone)
            wait_for(lambda: perdure(home, "status", "gone").code != 0, "the run is deleted")
            for verb in VERBS[:3] if short else VERBS:
                done = perdure(home, *verb.split())
                figures.fact(verb, f"code {done.code}: {done.err.strip()}")
                figures.must(done.code == 2 and not done.out, f"{verb}: {done}")
                figures.must("run 'gone' is expired or unknown" in done.err, f"{verb}: {done.err}")
            listed = perdure(home, "list")
            figures.must(listed.code == 0, str(listed))
    finally:
        server.stop(settings)
