"""What durable runs may do: decided by the run from its history, and by the worker from its own file."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import WorkflowFailureError
from temporalio.common import RawValue, RetryPolicy
from temporalio.worker import Worker

from perdure.agents.agent import AgentContext, agent
from perdure.agents.catalog import agents_by_name, catalog
from perdure.client import GraphClient
from perdure.engine.messages import RunOptions
from perdure.errors import RunFailed
from perdure.protocol.payloads import AgentCall
from perdure.protocol.records import to_lean
from perdure.protocol.wire import pack
from perdure.worker import WorkerOptions, build_worker
from tests.support.attacks import GRAPHS, agents, policy_file

pytestmark = pytest.mark.anyio

QUEUE = "policy"


@workflow.defn(sandboxed=False)
class Stranger:
    """A workflow that is none of Perdure's, and calls an agent."""

    @workflow.run
    async def run(self, name: str, call: RawValue) -> None:
        await workflow.execute_activity(
            name,
            call,
            task_queue=QUEUE,
            start_to_close_timeout=timedelta(seconds=60),
            retry_policy=RetryPolicy(maximum_attempts=1),
        )


@asynccontextmanager
async def serving(client: GraphClient, file: Path | None, *own: Any) -> AsyncGenerator[list[str]]:
    """A worker with the policy in `file`, None for no policy, and the effects of its agents."""
    effects: list[str] = []
    known = {**catalog(), **agents_by_name(agents(effects)), **agents_by_name(own)}
    settings = replace(client.settings, policy=file, queue=QUEUE, queues=())
    async with build_worker(client.temporal, QUEUE, WorkerOptions(agents=known, settings=settings)):
        yield effects


async def ending(client: GraphClient, id: str, graph: Any, **options: Any) -> str:
    """The message that ends a run of the graph, "" where it has its result."""
    run = await client.start(graph, id=id, queue=QUEUE, options=RunOptions(**options))
    try:
        await run.result()
    except RunFailed as error:
        return str(error)
    return ""


async def test_attacks_have_no_effect(client: GraphClient, tmp_path: Path) -> None:
    async with serving(client, policy_file(tmp_path)) as effects:
        for name, graph in GRAPHS.items():
            assert "not granted: " in await ending(client, f"attack-{name}", graph)
    assert effects == []


async def test_attacks_have_no_effect_without_a_policy(client: GraphClient) -> None:
    """What is read is not sent, and a tool that was offered is called."""
    async with serving(client, None) as effects:
        endings = {name: await ending(client, f"free-{name}", graph) for name, graph in GRAPHS.items()}
    assert sorted(effects) == ["fileReadAgent", "lamp"]
    assert endings.pop("a tool that was not offered") == ""
    assert "graphs may not use the task queue 'payments'" in endings.pop("another application")
    assert all("not granted: " in text for text in endings.values())


async def test_the_worker_refuses_a_call_that_no_run_has_made(client: GraphClient, tmp_path: Path) -> None:
    """Anyone who reaches the task queue: the call says nothing, or grants itself anything."""
    forged = Worker(client.temporal, task_queue="strangers", workflows=[Stranger])
    async with serving(client, policy_file(tmp_path)) as effects, forged:
        for number, grant in enumerate((None, {}, {"agents": [["*"]]})):
            call = AgentCall(agent="lamp", inputs={"file": ".env"}, grant=grant)
            args = ["fileReadAgent", RawValue(pack(to_lean(call)).payload)]
            with pytest.raises(WorkflowFailureError) as raised:
                await client.temporal.execute_workflow(
                    Stranger.run, args=args, id=f"stranger-{number}", task_queue="strangers"
                )
            cause: Any = raised.value.cause
            assert (cause.cause.type, cause.cause.non_retryable) == ("NotGranted", True)
            assert "not granted: the agent 'fileReadAgent'" in cause.cause.message
    assert effects == []


OPEN = {"agents": ["*"], "queues": ["*"], "dynamic": ["*"]}
CHAIN = {"change": {"agent": "change"}, "a": {"agent": "copyAgent", "inputs": {"x": ":change"}}}
CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "narrower": (
        {"profile": "open"},
        {"lamp": {"agent": "lamp", "inputs": {"x": ":a"}, "fallback": "dark"}},
        "lamp: not granted: the agent 'lamp' (allowed: @pure, change)\n"
        "  hint: where that is meant, add it to profiles.strict.agents in the policy of the worker",
    ),
    "wider": (
        {},
        {"read": {"agent": "fileReadAgent", "inputs": {"file": ":a"}}},
        "read: not granted: the agent 'fileReadAgent' (allowed: @pure, change)",
    ),
}  # fmt: skip
STRICT = {"agents": ["@pure", "change"]}


@pytest.mark.parametrize("name", CHANGES)
async def test_a_change_of_the_file_narrows_open_runs_and_never_widens_one(
    client: GraphClient, tmp_path: Path, name: str
) -> None:
    before, more, message = CHANGES[name]
    profiles = {"strict": STRICT, "open": OPEN}
    after = "strict" if before else "open"

    @agent("change")
    def change() -> Any:
        policy_file(tmp_path, profiles=profiles, profile=after)
        return 1

    async with serving(client, policy_file(tmp_path, profiles=profiles, **before), change) as effects:
        ending_text = await ending(client, f"change-{name}", {"nodes": {**CHAIN, **more}})
    assert effects == []
    assert ending_text.startswith(message)


async def test_a_run_that_continues_as_new_keeps_what_it_was_granted(
    client: GraphClient, tmp_path: Path
) -> None:
    profiles = {"strict": STRICT, "open": OPEN}

    @agent("change")
    def change() -> Any:
        policy_file(tmp_path, profiles=profiles, profile="open")
        return 1

    chain: dict[str, Any] = {"c0": {"agent": "change"}}
    for number in range(1, 8):
        chain[f"c{number}"] = {"agent": "change", "inputs": {"x": f":c{number - 1}"}}
    chain["read"] = {"agent": "fileReadAgent", "inputs": {"file": ":c7"}}
    async with serving(client, policy_file(tmp_path, profiles=profiles), change) as effects:
        ending_text = await ending(client, "continues", {"nodes": chain}, events=20)
        last = await client.temporal.get_workflow_handle("continues").describe()
    assert effects == []
    assert ending_text.startswith("read: not granted: the agent 'fileReadAgent' (allowed: @pure, change)")
    assert last.raw_description.workflow_execution_info.first_run_id != last.run_id


async def test_an_agent_sees_what_the_file_and_the_graph_allow(client: GraphClient, tmp_path: Path) -> None:
    """In an activity of its own, in a batch, and where it is pure, in a segment."""
    seen: list[Any] = []

    def noting(name: str, *, pure: bool) -> Any:
        @agent(name, pure=pure)
        def note(context: AgentContext) -> Any:
            seen.append(context.grant.written()["hosts"])
            return 1

        return note

    own = [noting("acts", pure=False), noting("computes", pure=True)]
    profiles = {"strict": {"agents": ["*"], "hosts": ["a.org", "b.org"]}}
    allow = {"agents": ["*"], "hosts": ["a.org"]}
    graph = {
        "nodes": {
            "a": {"agent": "acts", "allow": allow},
            "b": {"agent": "computes", "allow": allow},
            "rows": {"value": [1, 2]},
            "c": {
                "agent": "mapAgent",
                "inputs": {"rows": ":rows"},
                "graph": {"nodes": {"a": {"agent": "acts", "isResult": True}}},
                "batch": 2,
                "allow": allow,
            },
        }
    }
    async with serving(client, policy_file(tmp_path, profiles=profiles), *own):
        assert await ending(client, "sees", graph) == ""
    assert seen == [[["a.org"]]] * 4
