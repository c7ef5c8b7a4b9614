"""A run that has ended the processes of its workers is not given to another one without end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus

from perdure import agent
from perdure.agents.catalog import agents_by_name, catalog
from perdure.client import GraphClient
from perdure.daemon.work_journal import SUSPECTS
from perdure.errors import RunFailed
from perdure.runs import Run
from perdure.worker import WorkerOptions, build_worker
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

DIES = """
import os, sys
from pathlib import Path
from perdure.daemon.work_journal import WorkJournal, head
journal = WorkJournal(Path(sys.argv[1]) / "workers", 3)
context = journal.opened()
context.__enter__()
journal.begin(head(*sys.argv[2:5]), sys.argv[5])
os._exit(1)
"""


def died(client: GraphClient, kind: str, run: str, place: str, times: int = 1) -> None:
    """Processes die with this at work."""
    command = [sys.executable, "-c", DIES, str(client.settings.home), kind, run, "an id", place]
    for _ in range(times):
        subprocess.run(command, check=False)


@agent("remote")
def remote() -> str:
    return "remote"


AGENTS = {**catalog(), **agents_by_name([remote])}
ASKED = {"nodes": {"a": {"agent": "textInputAgent", "params": {"message": "?"}, "isResult": True}}}


FAR = "1000"
"""No run here comes that far, however many workflow tasks a busy machine makes of it."""


def options(client: GraphClient) -> WorkerOptions:
    return WorkerOptions(agents=AGENTS, settings=client.settings, cached_runs=0)


async def run_id(run: Run) -> str:
    return str((await run.handle.describe()).run_id)


@pytest.mark.parametrize("deaths", [3, 7])
async def test_a_run_that_ends_processes_in_its_first_task(client: GraphClient, deaths: int) -> None:
    queue = f"deaths-{deaths}"
    run = await client.start(ASKED, queue=queue)
    died(client, "task", await run_id(run), "0", deaths)
    async with build_worker(client.temporal, queue, options(client)):
        with pytest.raises(RunFailed) as caught:
            await run.result()
    first, hint = str(caught.value).split("\n  hint: ")
    assert first == (
        f"run {run.id} has ended {deaths} worker processes of this host in its workflow task after event 0 "
        "of its history"
    )
    assert hint.endswith("PERDURE_LOST_ATTEMPTS is how many processes may end so")
    assert (await run.handle.describe()).status == WorkflowExecutionStatus.FAILED


async def asked(client: GraphClient, queue: str) -> Run:
    """A run that has come to its question, whose worker is gone."""
    run = await client.start(ASKED, queue=queue)
    async with build_worker(client.temporal, queue, options(client)):
        await until_asked(run)
    return run


async def until_asked(run: Run) -> None:
    async def is_asked() -> bool:
        status = await run.status()
        return status is not None and bool(status.questions)

    await until(is_asked, "the question is there")


async def test_a_run_that_ends_processes_later(client: GraphClient) -> None:
    run = await asked(client, "deaths-later")
    died(client, "task", await run_id(run), FAR, 3)
    await run.handle.signal("anything")
    async with build_worker(client.temporal, "deaths-later", options(client)):
        with pytest.raises(RunFailed, match="has ended 3 worker processes of this host in its workflow task"):
            await run.result()


async def test_a_run_that_ends_processes_in_its_replay(client: GraphClient) -> None:
    run = await asked(client, "deaths-replay")
    died(client, "task", await run_id(run), FAR, 4)
    await run.handle.signal("anything")
    async with build_worker(client.temporal, "deaths-replay", options(client)):
        with pytest.raises(
            RunFailed, match=r"was terminated: run .* has ended 4 worker processes of this host"
        ):
            await run.result()


async def test_a_run_that_has_come_further_is_not_suspected(client: GraphClient) -> None:
    run = await asked(client, "deaths-further")
    died(client, "task", await run_id(run), "0", 3)
    async with build_worker(client.temporal, "deaths-further", options(client)):
        await run.answer("a", "yes")
        assert (await run.result()).results["a"]["text"] == "yes"
    deaths = Path(client.settings.home, "workers", "deaths.json").read_text()
    assert await run_id(run) not in deaths


async def test_a_rerun_reuses_results_after_a_process_has_ended_in_its_segment(client: GraphClient) -> None:
    calls: list[str] = []

    @agent("counted")
    def counted() -> str:
        calls.append("called")
        return "x"

    graph = {"nodes": {"a": {"agent": "counted", "isResult": True}}}
    agents = {**catalog(), **agents_by_name([counted])}
    worker = WorkerOptions(agents=agents, settings=client.settings, cached_runs=0)
    run = await client.start(graph, queue="deaths-rerun")
    async with build_worker(client.temporal, "deaths-rerun", worker):
        await run.result()
    again = await run.rerun()
    died(client, "calls", await run_id(again), "")
    async with build_worker(client.temporal, "deaths-rerun", worker):
        assert (await again.result()).results == {"a": "x"}
    assert calls == ["called"]


async def test_suspects_are_at_work_one_at_a_time(
    client: GraphClient, caplog: pytest.LogCaptureFixture
) -> None:
    run = await client.start(ASKED, queue="deaths-alone")
    died(client, "task", await run_id(run), "0", 2)
    with SUSPECTS:
        async with build_worker(client.temporal, "deaths-alone", options(client)):
            await until(lambda: "this one waits" in caplog.text, "it waits for the other one")
    async with build_worker(client.temporal, "deaths-alone", options(client)):
        await until_asked(run)
        await run.answer("a", "yes")
        assert (await run.result()).results["a"]["text"] == "yes"


GRAPH: dict[str, Any] = {
    "nodes": {
        "first": {"agent": "copyAgent", "inputs": {"x": 1}},
        "second": {"agent": "copyAgent", "inputs": {"x": ":first.x"}, "isResult": True},
        "here": {"agent": "remote", "placement": "local", "isResult": True},
    }
}


@pytest.mark.parametrize(
    ("place", "activities"),
    [
        ("second", ["second"]),  # that call alone gets an activity
        ("", ["first", "second"]),  # no segment at all
        ("here", ["here"]),
    ],
)
async def test_a_call_that_was_at_work_gets_an_activity(
    client: GraphClient, place: str, activities: list[str]
) -> None:
    queue = f"deaths-call-{place}"
    run = await client.start(GRAPH, queue=queue)
    died(client, "calls", await run_id(run), place)
    async with build_worker(client.temporal, queue, options(client)):
        assert (await run.result()).results == {"second": {"x": 1}, "here": "remote"}
    scheduled = [
        event.activity_task_scheduled_event_attributes.activity_id
        async for event in run.handle.fetch_history_events()
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    assert scheduled == activities
