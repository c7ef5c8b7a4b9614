"""Nodes whose agent is an activity of a worker that is not Perdure's: no heartbeats, no typed errors."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.errors import RunFailed
from perdure.graph.values import Value
from perdure.protocol.payloads import RunResult
from perdure.worker import WorkerOptions, build_worker

pytestmark = pytest.mark.anyio

SILENT_S = 11
"""Longer than an agent of Perdure may be without a heartbeat."""


@dataclass
class Foreign:
    """Activities of others, and how often each was called."""

    calls: list[str] = field(default_factory=list[str])

    def all(self) -> list[Callable[..., Any]]:
        return [self.double, self.silent, self.broken, self.refusing, self.nothing]

    @activity.defn
    async def double(self, call: dict[str, Any]) -> dict[str, Any]:
        """The only argument is the call."""
        return {"doubled": call["inputs"]["n"] * 2, "path": call["path"]}

    @activity.defn
    async def nothing(self, call: dict[str, Any]) -> None:
        """No result, which is a payload without data."""

    @activity.defn
    async def silent(self, call: dict[str, Any]) -> str:
        """Takes long and says nothing meanwhile."""
        self.calls.append("silent")
        await asyncio.sleep(SILENT_S)
        return "done"

    @activity.defn
    async def broken(self, call: dict[str, Any]) -> None:
        """An error without a type that Perdure knows."""
        self.calls.append("broken")
        raise ValueError("no luck")

    @activity.defn
    async def refusing(self, call: dict[str, Any]) -> None:
        """An error that its author wants final."""
        self.calls.append("refusing")
        raise ApplicationError("never", type="Refused", non_retryable=True)


@asynccontextmanager
async def serving(client: GraphClient, queue: str, foreign: Foreign) -> AsyncGenerator[None]:
    """A worker for graphs on `queue`, and one of others on `queue`-ts."""
    address = client.temporal.service_client.config.target_host
    temporal = await Client.connect(address)
    settings = replace(client.settings, queues=("*",))
    options = WorkerOptions(agents=catalog(), settings=settings)
    async with (
        build_worker(client.temporal, queue, options),
        Worker(temporal, task_queue=f"{queue}-ts", activities=foreign.all()),
    ):
        yield


async def ran(client: GraphClient, queue: str, foreign: Foreign, nodes: Mapping[str, Any]) -> RunResult:
    async with serving(client, queue, foreign):
        run = await client.start({"nodes": nodes}, name=queue, queue=queue)
        return await run.result()


async def test_it_receives_the_call_and_its_result_is_that_of_the_node(client: GraphClient) -> None:
    node = {"agent": "double", "queue": "foreign-plain-ts", "inputs": {"n": 4}, "isResult": True, "batch": 3}
    empty = {"agent": "nothing", "queue": "foreign-plain-ts", "inputs": {"n": 4}, "isResult": True}
    result = await ran(client, "foreign-plain", Foreign(), {"a": node, "b": empty})
    assert result.results == {"a": {"doubled": 8, "path": "a"}, "b": None}


async def test_one_that_sends_no_heartbeats_is_called_once(client: GraphClient) -> None:
    foreign = Foreign()
    node = {"agent": "silent", "queue": "foreign-silent-ts", "isResult": True}
    result = await ran(client, "foreign-silent", foreign, {"a": node})
    assert (result.results, foreign.calls) == ({"a": "done"}, ["silent"])


@pytest.mark.parametrize(
    ("name", "more", "calls", "state", "message"),
    [
        ("broken", {"retry": 2}, 3, "failed", "ValueError: no luck"),
        ("refusing", {"retry": 2}, 1, "failed", "Refused: never"),
        ("silent", {"timeout": 300}, 1, "timed-out", "timeout: silent did not answer in time"),
        (
            "missing",
            {},
            0,
            "failed",
            "the worker of queue 'foreign-missing-ts' has no activity 'missing'\n"
            "  hint: register it there, or correct `agent` or `queue` of the node",
        ),
    ],
)
async def test_its_failures_count_against_retry(
    client: GraphClient, name: str, more: Mapping[str, Value], calls: int, state: str, message: str
) -> None:
    foreign, queue = Foreign(), f"foreign-{name}"
    node = {"agent": name, "queue": f"{queue}-ts", **more}
    async with serving(client, queue, foreign):
        run = await client.start({"nodes": {"a": node}}, name=queue, queue=queue)
        with pytest.raises(RunFailed) as caught:
            await run.result()
    assert foreign.calls == [name] * calls
    result = caught.value.result
    assert result is not None
    assert (result.errors, result.states) == ({"a": message}, {"a": state})
