"""Events on a real server: early, in batches, repeated, across continue-as-new, and between runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.engine.inbox.events import ExternalEvent
from perdure.engine.messages import RunOptions
from perdure.errors import NotFound, UsageError
from perdure.worker import WorkerOptions, build_worker

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def working(client: GraphClient, queue: str) -> AsyncIterator[None]:
    async with build_worker(
        client.temporal, queue, WorkerOptions(agents=catalog(), settings=client.settings)
    ):
        yield


def event(id: str, body: Any = None, **more: Any) -> ExternalEvent:
    return ExternalEvent(**{"topic": "t", "id": id, "body": body, **more})


def collecting(count: int, passes: int) -> dict[str, Any]:
    """Collects events in several passes; the result has the bodies of all."""
    return {
        "loop": {"count": passes},
        "nodes": {
            "all": {"value": [], "update": ":join.array"},
            "some": {"agent": "eventAgent", "params": {"topic": "t", "count": count}},
            "join": {
                "agent": "arrayFlatAgent",
                "inputs": {"array": [":all", ":some.events"]},
                "isResult": True,
            },
        },
    }


async def test_events_count_once_across_continue_as_new(client: GraphClient) -> None:
    async with working(client, "events"):
        run = await client.start(collecting(5, 8), queue="events", options=RunOptions(events=20))
        for start in range(0, 40, 4):
            batch = [event(str(number), number) for number in range(max(0, start - 2), start + 4)]
            receipt = await run.send(*batch)
            assert (receipt.taken, receipt.already) == (4, len(batch) - 4)
        result = await run.result()
        assert [row["body"] for row in result.results["join"]["array"]] == [*range(40)]
        description = await run.describe()
        assert description.info.first_run_id != description.raw.workflow_execution_info.execution.run_id
        with pytest.raises(UsageError, match="has ended"):
            await run.send(event("more"))


async def test_what_no_node_waits_for_is_refused(client: GraphClient) -> None:
    async with working(client, "refused"):
        run = await client.start(collecting(1, 1), queue="refused")
        with pytest.raises(UsageError, match="no node of the run waits for topic 'u'; topics: t"):
            await run.send(event("a", topic="u"))
        with pytest.raises(UsageError, match="a batch has 1 to 500 events"):
            await run.send()
        await run.send(event("a"))
        await run.result()
        with pytest.raises(NotFound):
            await client.get("no-such-run").send(event("a"))


async def test_a_send_without_a_reply_can_be_cancelled(client: GraphClient) -> None:
    run = await client.start(collecting(count=1, passes=1), queue="events-unserved")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await run.send(event("a"))
    await run.terminate()


async def test_runs_send_to_each_other(client: GraphClient) -> None:
    graph = {
        "nodes": {
            "to": {"value": ""},
            "sent": {
                "agent": "sendAgent",
                "inputs": {"to": ":to", "key": 1, "body": {"from": ":to"}},
                "params": {"topic": "t"},
            },
            "heard": {
                "agent": "eventAgent",
                "inputs": {"from": [":to"], "key": 1, "after": ":sent"},
                "params": {"topic": "t", "count": "all"},
                "isResult": True,
            },
        }
    }
    async with working(client, "pair"):
        runs = [
            await client.start(graph, {"to": to}, id=id, queue="pair")
            for id, to in (("left", "right"), ("right", "left"))
        ]
        for run, other in zip(runs, ("right", "left"), strict=True):
            heard = (await run.result()).results["heard"]
            assert [(row["from"], row["key"], row["body"]) for row in heard["events"]] == [
                (other, "1", {"from": run.id})
            ]


async def test_a_time_is_waited_for_without_a_worker(client: GraphClient) -> None:
    graph = {"nodes": {"wait": {"agent": "waitAgent", "params": {"for": "200ms"}, "isResult": True}}}
    async with working(client, "wait"):
        run = await client.start(graph, queue="wait")
        assert (await run.result()).results["wait"]["at"] > 0
    events = [event.WhichOneof("attributes") async for event in run.handle.fetch_history_events()]
    assert "activity_task_scheduled_event_attributes" not in events
    assert "timer_fired_event_attributes" in events
