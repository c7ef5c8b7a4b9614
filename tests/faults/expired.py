"""A run whose history is not kept any more: commands say "expired or unknown", and nothing worse."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest

from perdure import server
from perdure.settings import Settings
from tests.faults.ground import Figures, client_of, perdure, write_graph
from tests.support.waiting import wait_until

VERBS = ("status gone", "status gone --json", "result gone", "show gone", "cancel gone", "answer gone a b")


async def show(figures: Figures, folder: Path, *, short: bool) -> None:
    """The server deletes the run, as it does itself when retention has passed; that takes it a minute.

    Where short, the rows vanish from a stopped server's file: then even the list still shows the run.
    """
    home, settings = folder / "home", Settings(home=folder / "home")
    graph = write_graph(folder, {"version": 0.5, "nodes": {"a": {"agent": "copyAgent", "inputs": {"x": 1}}}})
    try:
        done = perdure(home, "run", graph, "--id", "gone")
        figures.must(done.code == 0, str(done))
        if short:
            _take_rows(settings)
        else:
            await _delete(home)
        for verb in VERBS:
            done = perdure(home, *verb.split())
            figures.fact(verb, f"code {done.code}: {done.err.strip()}")
            figures.must(done.code == 2 and not done.out, f"{verb}: {done}")
            figures.must("run 'gone' is expired or unknown" in done.err, f"{verb}: {done.err}")
        listed = perdure(home, "list")
        figures.must(listed.code == 0 and ("gone" in listed.out) == short, str(listed))
    finally:
        server.stop(settings)


def _take_rows(settings: Settings) -> None:
    database = server.ensure(settings).database
    server.stop(settings)
    with closing(sqlite3.connect(database)) as file:
        for table in ("executions", "current_executions"):
            gone = file.execute(f"DELETE FROM {table} WHERE workflow_id = 'gone'").rowcount
            assert gone == 1, table
        file.commit()


async def _delete(home: Path) -> None:
    gone = DeleteWorkflowExecutionRequest(
        namespace="default", workflow_execution=WorkflowExecution(workflow_id="gone")
    )
    async with client_of(home) as client:
        await client.temporal.workflow_service.delete_workflow_execution(gone)
        wait_until(lambda: perdure(home, "status", "gone").code != 0, "the run is deleted", 150)
