"""Signed and encrypted payloads on a server: strangers change nothing, and good runs end well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.common import RawValue

from perdure.agents.agent import agent
from perdure.agents.catalog import agents_by_name, catalog
from perdure.client import GraphClient, reach
from perdure.errors import RunFailed
from perdure.protocol.payload_codec import KeyedCodec
from perdure.protocol.payloads import RunRequest
from perdure.settings.key_ring import KeyRing
from perdure.worker import WorkerOptions, build_worker
from perdure.workflows.calls import ForgedAnswers
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

RING = KeyRing.new(datetime(2020, 1, 1, tzinfo=UTC))
WHO = {"agent": "textInputAgent", "params": {"message": "Who?"}}
HI = {"agent": "stringTemplateAgent", "inputs": {"n": ":who.text"}, "params": {"template": "Hi ${n}"}}
ASKING = {"nodes": {"who": WHO, "hi": {**HI, "isResult": True}}}
ACTING = {"nodes": {"a": {"agent": "act", "isResult": True}}}


@asynccontextmanager
async def serving(
    client: GraphClient, queue: str, ring: KeyRing = RING, mode: Literal["mac", "aead"] = "mac"
) -> AsyncGenerator[tuple[GraphClient, list[str], asyncio.Event]]:
    """A client with keys, a worker with the same ones, what its agent did, and what lets it end."""
    effects: list[str] = []
    may_end = asyncio.Event()

    @agent("act")
    async def act() -> Any:
        effects.append("act")
        await may_end.wait()
        return "done by us"

    address = client.temporal.service_client.config.target_host
    settings = replace(client.settings, queue=queue)
    keyed = GraphClient(await reach({"target_host": address}, codec=KeyedCodec(ring, mode)), settings)
    agents = {**catalog(), **agents_by_name([act])}
    async with build_worker(keyed.temporal, queue, WorkerOptions(agents=agents, settings=settings)):
        yield keyed, effects, may_end


async def stranger_of(client: GraphClient) -> Client:
    return await Client.connect(client.temporal.service_client.config.target_host)


async def ending(start: Callable[[], Any]) -> str:
    """The type and the message of the failure that ends what is started."""
    with pytest.raises(WorkflowFailureError) as caught:
        await start()
    cause: Any = caught.value.cause
    return f"{cause.type}: {cause.message}"


async def test_a_stranger_starts_nothing(client: GraphClient) -> None:
    stranger = await stranger_of(client)
    async with serving(client, "keys-start") as (keyed, effects, may_end):
        may_end.set()
        good = await keyed.start(ACTING, id="keys-good")
        assert (await good.result()).results == {"a": "done by us"}
        history = await good.handle.fetch_history()
        (signed,) = history.events[0].workflow_execution_started_event_attributes.input.payloads
        starts = {
            "keys-plain": {"document": ACTING, "queue": "keys-start"},
            "keys-replayed": RawValue(signed),
        }
        for id, argument in starts.items():
            failure = await ending(
                lambda id=id, argument=argument: stranger.execute_workflow(
                    "Graph", argument, id=id, task_queue="keys-start"
                )
            )
            assert failure.startswith("UsageError: the argument of the run: it"), failure
        assert effects == ["act"]
        assert (await good.history()).state == "completed"


async def test_a_stranger_answers_nothing_and_a_good_run_goes_on(client: GraphClient) -> None:
    stranger = await stranger_of(client)
    async with serving(client, "keys-answer") as (keyed, _, _):
        run = await keyed.start(ASKING, id="keys-asking")
        handle = stranger.get_workflow_handle("keys-asking")
        await until(run.questions)
        answer = {"path": "who", "value": "Mallory"}
        with pytest.raises(WorkflowUpdateFailedError):
            await handle.execute_update("answer", answer)
        await handle.signal("perdure.answer", answer)
        await handle.signal("anything", "else")
        assert len(await run.questions()) == 1
        await run.answer("who", "Anna")
        assert (await run.result()).results == {"hi": "Hi Anna"}


async def test_a_forged_result_is_not_taken_and_the_call_is_repeated(client: GraphClient) -> None:
    stranger = await stranger_of(client)
    async with serving(client, "keys-result") as (keyed, effects, may_end):
        run = await keyed.start(ACTING, id="keys-forged")
        await until(lambda: len(effects) == 1)
        call = stranger.get_async_activity_handle(workflow_id="keys-forged", run_id=None, activity_id="a")
        await call.complete("done by Mallory")
        await until(lambda: len(effects) == 2)
        may_end.set()
        assert (await run.result()).results == {"a": "done by us"}


async def test_a_call_is_repeated_twice() -> None:
    forged = ForgedAnswers()
    assert [forged.is_repeated(call) for call in (1, 1, 2, 1)] == [True, True, True, False]


async def test_runs_older_than_the_keys_go_on(client: GraphClient) -> None:
    later = KeyRing(keys=RING.keys, since=int(datetime(2100, 1, 1, tzinfo=UTC).timestamp() * 1000))
    async with serving(client, "keys-old", later) as (keyed, _, _):
        run = await client.start(ASKING, id="keys-older", queue="keys-old")
        await until(run.questions)
        await run.answer("who", "Anna")  # without a signature, as all of the run
        assert (await keyed.get("keys-older").result()).results == {"hi": "Hi Anna"}
        assert (await keyed.get("keys-older").history()).state == "completed"


@pytest.mark.parametrize("has_keys", [True, False])
async def test_a_worker_without_the_key_fails_no_run(client: GraphClient, has_keys: bool) -> None:
    both = RING.with_new_key(datetime(2021, 1, 1, tzinfo=UTC))
    new = both.writing_with(tuple(both.keys)[1])
    address = client.temporal.service_client.config.target_host
    ahead = await reach({"target_host": address}, codec=KeyedCodec(new))
    id = f"keys-turned-{has_keys}"
    request = RunRequest(document=ACTING, queue=id)
    plain = WorkerOptions(agents=catalog(), settings=client.settings)
    async with serving(client, id) if has_keys else build_worker(client.temporal, id, plain):
        handle = await ahead.start_workflow("Graph", request, id=id, task_queue=id)

        async def has_tried() -> bool:
            return (await handle.describe()).raw_description.pending_workflow_task.attempt > 1

        await until(has_tried)
    async with serving(client, id, new) as (keyed, _, may_end):
        may_end.set()
        assert (await keyed.get(id).result()).results == {"a": "done by us"}


SECRET = "canary-of-the-payloads"


async def test_encrypted_runs_show_nothing(client: GraphClient) -> None:
    async with serving(client, "keys-aead", mode="aead") as (keyed, _, _):
        nodes = {
            **ASKING["nodes"],
            "bad": {"agent": "jsonParserAgent", "inputs": {"text": ":who.text"}, "if": ":who.text"},
        }
        run = await keyed.start({"nodes": {**nodes, "s": {"value": SECRET}}}, id="keys-hidden", name="plain")
        await until(run.questions)
        await run.answer("who", SECRET, who="Anna")
        with pytest.raises(RunFailed) as caught:
            await run.result()
        assert SECRET in str(caught.value)
        history = await run.handle.fetch_history()
        events = [event.SerializeToString() for event in history.events]
        assert [number for number, event in enumerate(events) if SECRET.encode() in event] == []
        model = await run.history()
        assert (model.state, model.problem) == ("failed", None)
        assert SECRET in repr(await keyed.get("keys-hidden").request())
