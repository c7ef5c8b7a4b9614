"""Starts that principals have signed: who may do what by the policy, and what their keys cannot do."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import WorkflowFailureError
from temporalio.common import RawValue, RetryPolicy
from temporalio.worker import Worker

from perdure.agents.agent import agent
from perdure.agents.catalog import agents_by_name, catalog
from perdure.client import GraphClient
from perdure.engine.human_tasks import Answer
from perdure.engine.steering.request import Steering
from perdure.errors import RunFailed, UsageError
from perdure.history.audit import audit_of
from perdure.lineage.change import Change
from perdure.protocol.names import ANSWER_SIGNAL, WORKFLOW
from perdure.protocol.payload_codec import KeyedCodec
from perdure.protocol.payloads import AgentCall, RunRequest
from perdure.protocol.wire import to_payload
from perdure.settings.key_ring import KeyRing
from perdure.transport import reach
from perdure.worker import WorkerOptions, build_worker
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

NOW = datetime(2020, 1, 1, tzinfo=UTC)
RING = KeyRing.new(NOW).with_start_key("alice", NOW).with_start_key("team-b", NOW).with_start_key("eve", NOW)
POLICY = """\
policy: 1
principals: {alice: trusted, "team-*": guests}
profiles:
  trusted: {agents: ["@pure", act, textInputAgent]}
  guests: {agents: ["@pure"]}
"""
ACTING = {"nodes": {"a": {"agent": "act", "isResult": True}}}
ASKING = {"nodes": {"who": {"agent": "textInputAgent"}, "b": {"agent": "act", "inputs": {"w": ":who"}}}}


@asynccontextmanager
async def served(
    client: GraphClient, queue: str, policy: Path
) -> AsyncGenerator[tuple[dict[str, GraphClient], list[str]]]:
    """Clients of each principal, and of the operator as "", of a worker with all keys; and what it did."""
    effects: list[str] = []

    @agent("act")
    def act() -> Any:
        effects.append("act")
        return "done"

    address = client.temporal.service_client.config.target_host
    settings = replace(client.settings, queue=queue, policy=policy)
    rings = {"": RING, **{name: RING.of_principal(name) for name in ("alice", "team-b", "eve")}}
    clients = {
        name: GraphClient(await reach({"target_host": address}, codec=KeyedCodec(ring)), settings)
        for name, ring in rings.items()
    }
    agents = {**catalog(), **agents_by_name([act])}
    async with build_worker(clients[""].temporal, queue, WorkerOptions(agents=agents, settings=settings)):
        yield clients, effects


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return path


async def test_the_profile_follows_from_who_has_started_the_run(client: GraphClient, policy: Path) -> None:
    async with served(client, "principals", policy) as (clients, effects):
        run = await clients["alice"].start(ACTING, id="principal-alice")
        assert (await run.result()).results == {"a": "done"}
        for name in ("team-b", "eve", ""):
            refused = await clients[name].start(ACTING, id=f"principal-{name or 'none'}")
            with pytest.raises(RunFailed, match="not granted: the agent 'act'"):
                await refused.result()
        assert effects == ["act"]
        starts = [
            await start_of(clients[""], f"principal-{name}") for name in ("alice", "team-b", "eve", "none")
        ]
        assert starts == [("alice", "trusted"), ("team-b", "guests"), ("eve", ""), ("", "")]


async def start_of(client: GraphClient, id: str) -> tuple[str, str]:
    """Who has started a run by its audit, and the profile that it got."""
    start = audit_of(await client.get(id).history())[0]
    return start["principal"], start["policy"]["profile"]


async def test_a_principal_answers_and_a_policy_without_it_reaches_its_open_run(
    client: GraphClient, policy: Path
) -> None:
    async with served(client, "principals-open", policy) as (clients, effects):
        alice = clients["alice"]
        run = await alice.start(ASKING, id="principal-open")
        await until(run.questions)
        policy.write_text(POLICY.replace("alice", "bob"))
        await alice.get("principal-open").answer("who", "Anna")
        with pytest.raises(RunFailed, match="not granted"):
            await run.result()
        assert effects == []


async def test_a_principal_answers_and_changes_its_own_runs_only(client: GraphClient, policy: Path) -> None:
    async with served(client, "principals-others", policy) as (clients, effects):
        run = await clients["alice"].start(ASKING, id="principal-others")
        await until(run.questions)
        other = clients["team-b"].get("principal-others")
        with pytest.raises(UsageError, match="this run was not started by 'team-b'"):
            await other.answer("who", "Bob")
        with pytest.raises(UsageError, match="this run was not started by 'team-b'"):
            await other.steer(Steering(pauses=("",)))
        signalled = clients["team-b"].temporal.get_workflow_handle("principal-others")
        await signalled.signal(ANSWER_SIGNAL, RawValue(to_payload(Answer(path="who", value="Bob"))))
        assert len(await run.questions()) == 1
        await clients[""].get("principal-others").answer("who", "Anna")
        await run.result()
        assert effects == ["act"]


async def test_a_principal_sends_no_record_of_answers(client: GraphClient, policy: Path) -> None:
    """Neither an answer that no call has given, nor a rerun of its own run."""
    async with served(client, "principals-reuse", policy) as (clients, effects):
        run = await clients["alice"].start(ACTING, id="principal-reuse")
        await run.result()
        alice = clients["alice"]
        with pytest.raises(UsageError, match="cannot say what the calls of a run have answered"):
            await alice.get("principal-reuse").rerun(Change())
        reuse = {"run": "principal-reuse", "record": [[], []], "handles": []}
        forged = RunRequest(document=ACTING, queue="principals-reuse", reuse=reuse)
        handle = await alice.temporal.start_workflow(
            WORKFLOW, RawValue(to_payload(forged)), id="principal-reused", task_queue="principals-reuse"
        )
        with pytest.raises(UsageError, match="'alice', who has started the run, may not say"):
            await alice.get(handle.id).result()
        assert effects == ["act"]


ASKED = """\
policy: 1
profile: all
principals: {alice: guests}
approvers: {who: [alice], expires: 1h}
profiles:
  all: {agents: ["*"]}
  guests: {agents: ["@pure"], violation: ask}
"""


async def test_a_principal_approves_none_of_its_own_calls(client: GraphClient, policy: Path) -> None:
    policy.write_text(ASKED)
    async with served(client, "principals-asked", policy) as (clients, effects):
        run = await clients["alice"].start(ACTING, id="principal-asked")
        (question,) = await until(run.questions)
        with pytest.raises(UsageError, match="a principal approves no calls"):
            await run.answer(question.path, {"decision": "approve"}, who="alice")
        raw = clients["alice"].temporal.get_workflow_handle("principal-asked")
        answer = Answer(path=question.path, value={"decision": "approve"}, who="alice")
        await raw.signal(ANSWER_SIGNAL, RawValue(to_payload(answer)))
        assert (len(await run.questions()), effects) == (1, [])
        await clients[""].get("principal-asked").answer(question.path, {"decision": "approve"}, who="alice")
        await run.result()
        assert effects == ["act"]


async def test_a_cron_of_a_principal_continues_no_run(client: GraphClient, policy: Path) -> None:
    async with served(client, "principals-cron", policy) as (clients, effects):
        temporal = clients["team-b"].temporal
        forged = RawValue(to_payload(RunRequest(document=ACTING, queue="principals-cron", principal="alice")))
        handle = await temporal.start_workflow(
            WORKFLOW, forged, id="principal-cron", task_queue="principals-cron", cron_schedule="@every 1s"
        )

        async def has_run_again() -> bool:
            ended = [one async for one in temporal.list_workflows("WorkflowId = 'principal-cron'")]
            return sum(one.close_time is not None for one in ended) >= 2

        await until(has_run_again)
        await handle.terminate()
        assert effects == []
        assert await start_of(clients[""], "principal-cron") == ("team-b", "guests")


@workflow.defn(sandboxed=False)
class Caller:
    """A workflow of a principal's own, which calls an agent of the workers of runs."""

    @workflow.run
    async def run(self) -> None:
        call = RawValue(to_payload(AgentCall(agent="act", inputs={})))
        await workflow.execute_activity(
            "act",
            call,
            task_queue="principals-forged",
            start_to_close_timeout=timedelta(seconds=120),
            retry_policy=RetryPolicy(maximum_attempts=1),
        )


async def test_a_start_key_makes_no_calls_and_no_results(client: GraphClient, policy: Path) -> None:
    async with served(client, "principals-forged", policy) as (clients, effects):
        alice = clients["alice"].temporal
        async with Worker(alice, task_queue="principals-own", workflows=[Caller]):
            with pytest.raises(WorkflowFailureError) as caught:
                await alice.execute_workflow(Caller.run, id="caller", task_queue="principals-own")
            assert "it was sent by 'alice', whose key starts and answers runs" in str(
                caught.value.cause.__cause__
            )
        with pytest.raises(UsageError, match="start runs only"):
            build_worker(alice, "q", WorkerOptions(agents=catalog(), settings=client.settings))
        assert effects == []
