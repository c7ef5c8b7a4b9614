"""Two builds of a deployment side by side: a run stays with its build, or moves when it continues as new."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.workflowservice.v1 import SetWorkerDeploymentCurrentVersionRequest
from temporalio.service import RPCError

from perdure import agent
from perdure.agents.agent import declared
from perdure.cli.doctor.framework import State
from perdure.cli.doctor.queues import needs_of, queues
from perdure.client import GraphClient
from perdure.engine.messages import RunOptions
from perdure.runs import Run
from perdure.worker import WorkerOptions, build_worker
from tests.support.durable import embedded

pytestmark = pytest.mark.anyio

DEPLOYMENT = "graphs"
QUEUE = "versioned"


def options(client: GraphClient, build: str = "") -> WorkerOptions:
    """A worker whose agent returns which build it is of; without a build it is of none."""

    @agent("buildAgent")
    async def tell(inputs: dict[str, Any], params: dict[str, Any]) -> list[str]:
        await asyncio.sleep(params.get("seconds", 0))
        return [*(inputs.get("before") or []), build or "none"]

    declared_agent = declared(tell)
    assert declared_agent is not None
    settings = replace(client.settings, deployment=DEPLOYMENT if build else "", build_id=build)
    return WorkerOptions(agents={declared_agent.name: declared_agent}, settings=settings)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[GraphClient]:
    async with embedded(tmp_path / "home") as client:
        yield client


async def make_current(client: GraphClient, build: str) -> None:
    """As ``temporal worker deployment set-current-version``; the server learns of a build by its polls."""
    request = SetWorkerDeploymentCurrentVersionRequest(
        namespace=client.temporal.namespace, deployment_name=DEPLOYMENT, build_id=build
    )
    async with asyncio.timeout(180):
        while True:
            try:
                await client.temporal.workflow_service.set_worker_deployment_current_version(request)
                return
            except RPCError:
                await asyncio.sleep(0.2)


def graph(*seconds: float) -> dict[str, Any]:
    """One node after the other, each on the build that the run is on then."""
    nodes: dict[str, Any] = {}
    for index, each in enumerate(seconds):
        inputs = {"before": f":n{index - 1}"} if index else {}
        nodes[f"n{index}"] = {"agent": "buildAgent", "params": {"seconds": each}, "inputs": inputs}
    nodes[f"n{len(seconds) - 1}"]["isResult"] = True
    return {"version": 0.5, "nodes": nodes}


async def builds(run: Run) -> list[str]:
    """The builds that the nodes of the run were called on."""
    async with asyncio.timeout(180):
        (result,) = (await run.result()).results.values()
    return result


async def at_work(run: Run, node: str) -> None:
    async with asyncio.timeout(180):
        while not any(call.path == node and call.started for call in (await run.report()).pending):
            await asyncio.sleep(0.05)


async def test_a_run_stays_with_its_build(client: GraphClient) -> None:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(build_worker(client.temporal, QUEUE, options(client, "v1")))
        await make_current(client, "v1")
        old = await client.start(graph(2, 0, 0, 0), queue=QUEUE)
        await at_work(old, "n0")
        await stack.enter_async_context(build_worker(client.temporal, QUEUE, options(client, "v2")))
        await make_current(client, "v2")
        new = await client.start(graph(0, 0), queue=QUEUE)
        assert await builds(new) == ["v2", "v2"]
        assert await builds(old) == ["v1"] * 4


async def test_a_run_moves_when_it_continues_as_new(client: GraphClient) -> None:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(build_worker(client.temporal, QUEUE, options(client, "v1")))
        await make_current(client, "v1")
        # 60 events are reached in the middle
        run = await client.start(graph(*[0.2] * 30), queue=QUEUE, options=RunOptions(events=60))
        await at_work(run, "n0")
        await stack.enter_async_context(build_worker(client.temporal, QUEUE, options(client, "v2")))
        await make_current(client, "v2")
        got = await builds(run)
        assert (got[0], got[-1]) == ("v1", "v2")
        assert got == sorted(got)


async def test_without_builds_all_is_as_it_was(client: GraphClient) -> None:
    async with build_worker(client.temporal, QUEUE, options(client)):
        run = await client.start(graph(*[0] * 30), queue=QUEUE, options=RunOptions(events=60))
        assert await builds(run) == ["none"] * 30


async def test_the_doctor_reports_builds_that_are_not_current(client: GraphClient) -> None:
    async with build_worker(client.temporal, QUEUE, options(client, "v1")):
        run = await client.start(graph(0), queue=QUEUE)
        async with asyncio.timeout(180):
            while True:
                needs = await needs_of(client.temporal)
                (got,) = [
                    each
                    for each in await queues(client.temporal, needs, "perdure", local=True)
                    if each.finding.startswith(f"{QUEUE}: 1 worker ")
                ] or [None]
                if got is not None and got.state is State.WARNING:
                    break
                await asyncio.sleep(0.2)
        assert "--deployment-name graphs --build-id v1" in got.hint
        await make_current(client, "v1")
        assert await builds(run) == ["v1"]
