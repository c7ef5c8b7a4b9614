"""How often a call is repeated, in both shells: the bounds, the last cause, the idempotency keys."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from perdure import AgentContext, agent
from perdure.agents.agent import declared
from perdure.client import GraphClient
from perdure.errors import RunFailed, TransientError
from perdure.memory.shell import MemoryEnvironment, memory_shell
from perdure.protocol.payloads import RunResult
from perdure.settings import Settings
from perdure.worker import WorkerOptions, build_worker
from tests.support.durable import started
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

numbers = count()


async def result_of(
    shell: str, client: GraphClient, nodes: dict[str, Any], *functions: Any, settings: Settings
) -> RunResult:
    document = {"version": 0.5, "nodes": nodes}
    if shell == "memory":
        environment = MemoryEnvironment(settings=settings)
        return await memory_shell(document, functions, environment=environment).run()
    agents = {each.name: each for each in map(declared, functions) if each is not None}
    async with started(client, f"attempts-{next(numbers)}", document, agents, settings) as run:
        return await run.result()


@pytest.mark.parametrize("shell", ["memory", "temporal"])
async def test_transient_failures_are_bounded(client: GraphClient, shell: str) -> None:
    attempts: list[int] = []

    @agent("down")
    async def down(context: AgentContext) -> None:
        attempts.append(context.attempt)
        raise TransientError("the service is down")

    settings = replace(client.settings, transient_attempts=3)
    nodes = {"a": {"agent": "down", "backoff": 0.01, "retry": 2}}
    with pytest.raises(RunFailed) as caught:
        await result_of(shell, client, nodes, down, settings=settings)
    assert caught.value.errors == {
        "a": "the service is down (it has failed so 3 times)\n"
        "  hint: PERDURE_TRANSIENT_ATTEMPTS is how often it may"
    }
    assert attempts == [1, 2, 3]


@pytest.mark.parametrize("shell", ["memory", "temporal"])
@pytest.mark.parametrize("ends", ["in a pause", "in an attempt"])
async def test_a_deadline_keeps_the_last_cause(client: GraphClient, shell: str, ends: str) -> None:
    @agent("down")
    async def down(context: AgentContext) -> None:
        if context.attempt > 1:
            await asyncio.sleep(60)
        raise TransientError("the service is down")

    backoff = 30 if ends == "in a pause" else 0.01
    nodes = {"a": {"agent": "down", "backoff": backoff, "deadline": 2_000, "retry": 2}}
    with pytest.raises(RunFailed) as caught:
        await result_of(shell, client, nodes, down, settings=client.settings)
    assert caught.value.errors == {
        "a": "Timeout: the deadline of 2000 ms has passed; the last failure: the service is down"
    }
    assert caught.value.result.states == {"a": "timed-out"}


@pytest.mark.parametrize("shell", ["memory", "temporal"])
async def test_a_key_stands_for_the_work(client: GraphClient, shell: str) -> None:
    seen: list[tuple[Any, int, str]] = []

    @agent("paying")
    async def paying(inputs: Any, context: AgentContext) -> None:
        seen.append((inputs["n"], context.retry, context.idempotency_key))
        if context.attempt == 1:
            raise TransientError("busy", retry_after=0.01)
        if context.retry < 1:
            raise ValueError("no")

    nodes = {name: {"agent": "paying", "inputs": {"n": name}, "retry": 1} for name in "ab"}
    await result_of(shell, client, nodes, paying, settings=client.settings)
    keys = {work[:2]: {key for *other, key in seen if tuple(other) == work[:2]} for work in seen}
    assert sorted(keys) == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    assert [len(each) for each in keys.values()] == [1, 1, 1, 1]  # the same for each delivery ...
    assert len(set().union(*keys.values())) == 4  # ... and for nothing else


async def test_an_attempt_that_a_shutdown_ends_is_not_lost(client: GraphClient) -> None:
    began: list[int] = []

    @agent("slow")
    async def slow(context: AgentContext) -> str:
        began.append(context.attempt)
        await asyncio.sleep(0 if context.attempt > 2 else 60)
        return "done"

    known = declared(slow)
    assert known is not None
    settings = replace(client.settings, lost_attempts=1, grace=0.1)
    options = WorkerOptions(agents={"slow": known}, settings=settings)
    run = await client.start({"nodes": {"a": {"agent": "slow", "isResult": True}}}, queue="test-stopped")
    for number in (1, 2):
        async with build_worker(client.temporal, "test-stopped", options):
            await until(lambda number=number: number in began)
    async with build_worker(client.temporal, "test-stopped", options):
        assert (await run.result()).results == {"a": "done"}
