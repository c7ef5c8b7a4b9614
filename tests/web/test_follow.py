"""A run that is looked at again and again: replayed once, and then carried on by what a worker says."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perdure.agents.agent import agent
from perdure.agents.catalog import agents_by_name, catalog
from perdure.client import GraphClient
from perdure.history.follow import RunFollower
from perdure.history.model import RunModel
from perdure.worker import WorkerOptions, build_worker
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

ROW_COUNT = 40
MAP = {
    "concurrency": 100,
    "nodes": {
        "list": {"value": list(range(ROW_COUNT))},
        "m": {
            "agent": "mapAgent",
            "inputs": {"rows": ":list"},
            "isResult": True,
            "graph": {"nodes": {"x": {"agent": "held", "inputs": {"n": ":row"}, "isResult": True}}},
        },
    },
}

let_through = asyncio.Semaphore(0)


@agent("held")
async def held(inputs: dict[str, Any]) -> Any:
    """Waits until it is let through."""
    await let_through.acquire()
    return inputs["n"]


def states(model: RunModel) -> dict[str, tuple[Any, ...]]:
    nodes = model.nodes.items()
    return {at: (node.state, node.phase, node.started, node.ended, node.rows) for at, node in nodes}


async def test_it_is_carried_on_and_adds_nothing_to_the_history(client: GraphClient) -> None:
    options = WorkerOptions(agents={**catalog(), **agents_by_name([held])}, settings=client.settings)
    async with build_worker(client.temporal, "follow", options):
        run = await client.start(MAP, id="followed", queue="follow")
        follower = run.follow()

        async def is_done(count: int) -> bool:
            rows = (await follower.model()).node("m").rows
            return rows is not None and rows.opened == ROW_COUNT and rows.done == count

        await until(lambda: is_done(0), "all rows are open", seconds=60)
        replays = follower.replay_count
        for done in (5, 20, ROW_COUNT - 1):
            for _ in range(done - (await follower.model()).node("m").rows.done):  # pyright: ignore[reportOptionalMemberAccess] -- it has rows
                let_through.release()
            await until(lambda count=done: is_done(count), f"{done} rows are done", seconds=60)
            length = (await run.describe()).info.history_length
            assert states(await follower.model()) == states(await run.history())
            assert (await run.describe()).info.history_length == length
        assert follower.replay_count == replays
        let_through.release()
        await run.result()
        assert (await follower.model()).state == "completed"
        assert (await follower.model()).results == (await run.history()).results


async def test_without_a_worker_it_is_replayed(client: GraphClient) -> None:
    run = await client.start(MAP, id="unserved", queue="follow-unserved")
    follower = RunFollower(client.temporal, run.id)
    assert (await follower.model()).nodes["m"].state == "waiting"
    await run.cancel()
    assert (await follower.model()).nodes["m"].state == "waiting"
    await run.terminate()
    assert (await follower.model()).state == "terminated"
