"""Runs that something else than Perdure has started, paused or ended, as the commands see them."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import PauseActivityRequest, PauseWorkflowExecutionRequest

from perdure.agents.catalog import catalog
from perdure.cli.commands.runs.status import lines
from perdure.client import GraphClient
from perdure.errors import RunConflict, RunFailed, UsageError
from perdure.monitoring.report import RunReport
from perdure.runs import Run
from perdure.settings import Settings
from perdure.worker import WorkerOptions, build_worker
from tests.support.dev_server import development_server

pytestmark = pytest.mark.anyio

GRAPH = {"nodes": {"v": {"value": 1}, "a": {"agent": "copyAgent", "inputs": {"v": ":v"}, "isResult": True}}}
ASKING = {"nodes": {"who": {"agent": "textInputAgent"}}}
WAITING = {
    "nodes": {"a": {"agent": "fetchAgent", "inputs": {"url": "http://x.invalid"}, "queue": "elsewhere"}}
}


@pytest.fixture(scope="module")
async def plain(tmp_path_factory: pytest.TempPathFactory, anyio_backend: str) -> AsyncIterator[GraphClient]:
    """A server that knows nothing of Perdure, and lets runs be paused."""
    del anyio_backend
    home = tmp_path_factory.mktemp("plain")
    async with development_server(home) as (temporal, _):
        yield GraphClient(temporal, Settings(home=home))


async def started_plainly(client: GraphClient, id: str, document: Any, **request: Any) -> None:
    """As a schedule, HTTP or another SDK starts a run: without memo and search attributes."""
    argument = {"document": document, "queue": id, **request}
    await client.temporal.start_workflow("Graph", argument, id=id, task_queue=id)


def worker(client: GraphClient, queue: str) -> Any:
    """One for a queue of its own: a task may go to the last poll of a worker that has ended, and is lost."""
    return build_worker(
        client.temporal,
        queue,
        WorkerOptions(agents=catalog(), settings=replace(client.settings, queues=("elsewhere",))),
    )


async def test_a_run_without_a_memo_is_known_by_what_started_it(plain: GraphClient) -> None:
    await started_plainly(plain, "bare", GRAPH, name="nightly")
    async with worker(plain, "bare"):
        run = await plain.start(GRAPH, id="bare", queue="bare")
        assert (await run.result()).results == {"a": {"v": 1}}
        with pytest.raises(RunConflict):
            await plain.start(GRAPH, {"v": 2}, id="bare", queue="bare")
        assert (await run.report()).name == "nightly"
    assert [(each.id, each.name) async for each in plain.list() if each.id == "bare"] == [("bare", "nightly")]


async def test_a_paused_run_is_shown_as_paused(plain: GraphClient) -> None:
    run = await plain.start(ASKING, id="paused", queue="paused")
    async with worker(plain, "paused"):
        await until(run, lambda report: report.status is not None and bool(report.status.questions))
        request = PauseWorkflowExecutionRequest(
            namespace="default", workflow_id="paused", identity="ops", reason="night", request_id="1"
        )
        await plain.temporal.workflow_service.pause_workflow_execution(request)
        report = await until(run, lambda report: report.state == "paused")
        assert [each.state async for each in plain.list() if each.id == "paused"] == ["paused"]
    assert report.closed is None
    assert "  paused at the server by ops (night): temporal workflow unpause -w paused" in report_lines(
        report
    )


async def test_a_paused_call_waits_for_no_worker(plain: GraphClient) -> None:
    run = await plain.start(WAITING, id="call", queue="call")
    async with worker(plain, "call"):
        report = await until(run, lambda report: [call.path for call in report.pending] == ["a"])
        (call,) = report.pending
        request = PauseActivityRequest(
            namespace="default",
            execution=WorkflowExecution(workflow_id="call"),
            id=call.activity_id,
            identity="ops",
            reason="night",
        )
        await plain.temporal.workflow_service.pause_activity(request)
        report = await until(run, lambda report: report.pending[0].paused is not None)
        await run.cancel()
        with pytest.raises(RunFailed):
            await run.result()
    expected = (
        "  call a of fetchAgent is paused at the server by ops (night): "
        "temporal activity unpause -w call --activity-id perdure.agents@elsewhere"
    )
    assert expected in report_lines(report)


async def test_a_run_that_was_asked_to_stop_says_so(plain: GraphClient) -> None:
    run = await plain.start(ASKING, id="stopping", queue="unserved")
    await run.cancel()
    report = await run.report()
    assert "  cancel requested: it stops as soon as a worker hears of it" in report_lines(report)


async def test_the_end_of_a_run_is_shown_in_its_words(plain: GraphClient) -> None:
    run = await plain.start(ASKING, id="gone", queue="unserved")
    await run.handle.terminate(reason="too late")
    with pytest.raises(RunFailed, match=r"^run 'gone' was terminated: too late$"):
        await run.result()
    with pytest.raises(UsageError, match=r"^run 'gone' has ended; "):
        await run.answer("who", "Ada")


def report_lines(report: RunReport) -> list[str]:
    return lines(report, None, [], datetime.now(UTC))


async def until(run: Run, holds: Any) -> RunReport:
    while True:
        report = await run.report()
        if holds(report):
            return report
        await asyncio.sleep(0.05)
