"""`explain` in staged situations on a real server: the cause that was staged is the one that is named."""

import asyncio
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import PauseActivityRequest

from perdure.agents.agent import Agent, agent
from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.errors import TransientError
from perdure.runs import Run
from tests.support.durable import started

pytestmark = pytest.mark.anyio

GRAPH: dict[str, Any] = {
    "concurrency": {"global": 20, "labels": {"gpu": 1}},
    "nodes": {
        "no": {"value": False},
        "busy": {"agent": "busyAgent", "label": "gpu"},
        "behind": {"agent": "busyAgent", "label": "gpu"},
        "after": {"agent": "copyAgent", "inputs": {"x": ":busy"}},
        "last": {"agent": "copyAgent", "inputs": {"x": ":after"}},
        "skipped": {"agent": "copyAgent", "inputs": {"x": 1}, "if": ":no"},
        "useless": {"agent": "copyAgent", "inputs": {"x": ":skipped"}},
        "flaky": {"agent": "flakyAgent", "backoff": 500},
        "held": {"agent": "flakyAgent", "backoff": 500},
        "elsewhere": {"agent": "copyAgent", "inputs": {"x": 1}, "queue": "no-one-serves-this"},
        "asked": {"agent": "textInputAgent", "params": {"message": "Name?"}},
        "done": {"agent": "copyAgent", "inputs": {"x": 1}},
    },
}

CODES = {
    "busy": "running",
    "behind": "label",
    "after": "inputs",
    "last": "inputs",
    "skipped": "skipped",
    "useless": "never-ready",
    "flaky": "backoff",
    "held": "paused",
    "elsewhere": "no-queue-worker",
    "asked": "asks",
    "done": "done",
}

PHASES = {
    "busy": "running",
    "behind": "queued here",
    "flaky": "backoff",
    "held": "paused",
    "asked": "asks",
}


def agents(release: asyncio.Event) -> dict[str, Agent]:
    @agent("busyAgent")
    async def busy() -> bool:
        """Works until it may end."""
        return await release.wait()

    @agent("flakyAgent")
    async def flaky() -> None:
        """Fails for now."""
        raise TransientError("429")

    return {**catalog(), "busyAgent": busy.agent, "flakyAgent": flaky.agent}


async def pause(client: GraphClient, run: Run, activity: str) -> None:
    request = PauseActivityRequest(
        namespace=client.temporal.namespace,
        execution=WorkflowExecution(workflow_id=run.id),
        identity="anna",
        reason="on purpose",
        id=activity,
    )
    await client.temporal.workflow_service.pause_activity(request)


async def codes(run: Run) -> dict[str, str]:
    return {name: (await run.explain(name)).cause.code for name in CODES}


async def test_the_staged_cause_is_named(client: GraphClient) -> None:
    release = asyncio.Event()
    async with started(client, "explained", GRAPH, agents(release), client.settings) as run:
        for _ in range(100):
            if {call.path for call in (await run.report()).pending if call.attempt > 1} >= {"flaky", "held"}:
                break
            await asyncio.sleep(0.1)
        await pause(client, run, "held")
        assert await codes(run) == CODES
        last = await run.explain("last")
        assert (last.chain, last.also[-1].code) == (("after", "busy"), "running")
        assert "by anna (on purpose)" in (await run.explain("held")).cause.finding
        assert "429" in (await run.explain("flaky")).cause.finding
        model = await run.history()
        assert {name: str(model.node(name).phase) for name in PHASES} == PHASES
        await run.terminate()
        over = await run.explain("last")
        assert (over.cause.code, over.cause.finding) == (
            "run-over",
            "the run is terminated: terminated by its client",
        )
        release.set()


async def test_slots_that_are_taken(client: GraphClient) -> None:
    release = asyncio.Event()
    nodes = {"first": {"agent": "busyAgent"}, "second": {"agent": "copyAgent", "inputs": {"x": 1}}}
    graph = {"concurrency": 1, "nodes": nodes}
    async with started(client, "slots-taken", graph, agents(release), client.settings) as run:
        for _ in range(100):
            if (await run.explain("second")).cause.code == "slots":
                break
            await asyncio.sleep(0.1)
        finding = (await run.explain("second")).cause.finding
        assert finding == "second waits for a slot of the run; the only slot is taken: first"
        release.set()
        await run.result()


async def test_without_a_worker_of_the_run(client: GraphClient) -> None:
    run = await client.start(GRAPH, name="unserved", queue="served-by-none")
    explanation = await run.explain("busy")
    assert (explanation.state, explanation.cause.code) == ("waiting", "no-worker")
    assert explanation.cause.hint == "perdure worker --queue served-by-none"
    await run.terminate()
