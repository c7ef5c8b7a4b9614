"""Refused calls that people approve, on a server: the question outlives workers, and no other call passes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from perdure.agents.catalog import agents_by_name, catalog
from perdure.client import GraphClient, reach
from perdure.engine.messages import RunOptions
from perdure.errors import RunFailed, UsageError
from perdure.history.audit import audit_of
from perdure.protocol.payload_codec import KeyedCodec
from perdure.runs import Run
from perdure.settings.key_ring import KeyRing
from perdure.worker import WorkerOptions, build_worker
from tests.support.attacks import agents, policy_file
from tests.support.detector import replay_failures
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

RING = KeyRing.new(datetime(2020, 1, 1, tzinfo=UTC))
ASKING: dict[str, Any] = {"agents": ["@pure", "sleepAndMergeAgent"], "hosts": ["*"], "violation": "ask"}
CHAIN = {f"c{n}": {"agent": "sleepAndMergeAgent", "inputs": {"x": [f":c{n - 1}"]}} for n in range(1, 6)}
PAY = {"agent": "transfer", "inputs": {"to": ":c5"}, "isResult": True}
NODES = {"c0": {"agent": "copyAgent", "inputs": {"x": 1}}, **CHAIN, "pay": PAY}


@asynccontextmanager
async def serving(
    client: GraphClient, queue: str, file: Path, *, signs: bool = True
) -> AsyncGenerator[tuple[GraphClient, list[str]]]:
    """A client and a worker, with or without keys, that has the policy in `file`; and the effects."""
    effects: list[str] = []
    address = client.temporal.service_client.config.target_host
    settings = replace(client.settings, queue=queue, policy=file)
    codec = KeyedCodec(RING) if signs else None
    own = GraphClient(await reach({"target_host": address}, codec=codec), settings)
    known = {**catalog(), **agents_by_name(agents(effects))}
    async with build_worker(own.temporal, queue, WorkerOptions(agents=known, settings=settings)):
        yield own, effects


def policy(folder: Path, **more: Any) -> Path:
    return policy_file(folder, profiles={"asking": ASKING}, profile="asking", **more)


async def asked(run: Run) -> str:
    """The path of the open question."""
    prompts = await until(run.questions, "a question is open")
    return prompts[0].path


async def test_an_approved_call_is_made_once_wherever_the_run_continues(
    client: GraphClient, tmp_path: Path
) -> None:
    file = policy(tmp_path, approvers={"who": ["ada"]})
    graph = {"nodes": NODES}
    async with serving(client, "approvals", file) as (own, _):
        run = await own.start(graph, id="approved", queue="approvals", options=RunOptions(events=20))
        path = await asked(run)
    async with serving(client, "approvals", file) as (own, effects):
        run = own.get("approved")
        for wrong, who in (("pay", "ada"), (path, "eve")):
            with pytest.raises(UsageError):
                await run.answer(wrong, "approve", who=who)
        assert effects == []
        await run.answer(path, "approve", who="ada")
        await run.result()
        assert effects == ["transfer"]
        model = await run.history()
        kinds = {entry["kind"]: entry for entry in audit_of(model)}
        last = await run.handle.fetch_history()
    approval, call = kinds["approval"], kinds["call"]
    assert (approval["by"], approval["answer"], approval["node"]) == ("ada", "approve", path)
    assert (call["node"], call["by"], path) == ("pay", ["ada"], f"pay~{call['approved'][:16]}")
    assert await replay_failures([last]) == []


async def test_a_budget_counts_the_same_in_segments_and_after_the_run_continues(
    client: GraphClient, tmp_path: Path
) -> None:
    """Pure calls are counted where a segment answers them; reserves of models are in its snapshot."""
    pure = {"agent": "copyAgent", "inputs": {"x": ":row"}}
    ask = {"agent": "openAIAgent", "inputs": {"prompt": "?" * 400, "x": ":a"}, "params": {"max_tokens": 10}}
    end = {"agent": "copyAgent", "inputs": {"x": ":ask"}, "isResult": True}
    rows = {"agent": "mapAgent", "inputs": {"rows": [*range(30)]}, "isResult": True}
    graph = {
        "nodes": {"all": {**rows, "graph": {"nodes": {"a": pure, "ask": ask, "end": end}}, "isResult": True}}
    }
    profile = {"agents": ["@pure", "openAIAgent"], "budget": {"calls": 45, "tokens": 1_500}}
    file = policy_file(tmp_path, profiles={"thrifty": profile}, profile="thrifty")
    async with serving(client, "budgets", file) as (own, _):
        run = await own.start(graph, id="budgets", queue="budgets", options=RunOptions(events=20))
        with pytest.raises(
            RunFailed, match=r"more than the budget of the run: (45 of 45 calls|.* tokens are used)"
        ):
            await run.result()
        histories = [await run.handle.fetch_history()]
    assert await replay_failures(histories) == []


async def test_a_refusal_is_typed_and_nothing_is_called(client: GraphClient, tmp_path: Path) -> None:
    rows = {
        "agent": "mapAgent",
        "inputs": {"rows": [1, 2]},
        "graph": {"nodes": {"pay": {**PAY, "inputs": {}}}},
    }
    async with serving(client, "refusals", policy(tmp_path)) as (own, effects):
        run = await own.start({"nodes": {"all": rows}}, id="refused", queue="refusals")
        assert (await asked(run)).startswith("all[0].pay~")
        await run.answer(await asked(run), "refuse", who="bob")
        with pytest.raises(RunFailed, match=r"not granted: the agent 'transfer' .*; bob refused it"):
            await run.result()
        refusals = [entry for entry in audit_of(await run.history()) if entry["kind"] == "refusal"]
    assert effects == []
    assert any("bob refused it" in entry["why"] for entry in refusals)


async def test_without_keys_no_agent_is_approved_that_the_profile_lacks(
    client: GraphClient, tmp_path: Path
) -> None:
    """Anybody could say that it was approved. Where data may go is the run's own decision, and is asked."""
    file = policy(tmp_path)
    send = {
        "agent": "fetchAgent",
        "inputs": {"url": "http://198.51.100.7/", "body": ":read"},
        "isResult": True,
    }
    graph = {"nodes": {"read": {"agent": "fileReadAgent", "inputs": {"file": "x"}}, "send": send}}
    async with serving(client, "plain", file, signs=False) as (own, effects):
        run = await own.start({"nodes": {"pay": {**PAY, "inputs": {}}}}, id="plain-agent", queue="plain")
        with pytest.raises(
            RunFailed, match=r"not granted: the agent 'transfer' \(allowed: @pure, sleepAndMergeAgent\)\n"
        ):
            await run.result()
        file = policy_file(
            tmp_path,
            profiles={"asking": {**ASKING, "agents": ["@pure", "fetchAgent", "fileReadAgent"]}},
            profile="asking",
        )
        run = await own.start(graph, id="plain-data", queue="plain")
        await run.answer(await asked(run), "approve", who="ada")
        await run.result()
    assert effects == ["fileReadAgent", "fetchAgent"]
