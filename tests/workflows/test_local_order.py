"""A run whose local activities end in another order than they began replays as it ran.

On a replay, the SDK hands over the results of local activities in the order in which they began, several at
once. What a run sends must not depend on either.
"""

from __future__ import annotations

import asyncio

import pytest
from temporalio.worker import Replayer

from perdure.client import GraphClient
from perdure.plugin import GraphPlugin
from perdure.workflows.local_order import LocalOrder
from tests.support.uneven import uneven

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("seed", range(3))
async def test_it_replays(client: GraphClient, seed: int) -> None:
    async with uneven(client, f"local-order-{seed}", 45, large_every=15, seed=seed) as run:
        result = await run.result()
    assert len(result.results["map"]) == 45
    history = await run.handle.fetch_history()
    replayer = Replayer(workflows=[], plugins=[GraphPlugin()], debug_mode=True)
    assert (await replayer.replay_workflow(history)).replay_failure is None


async def test_results_are_taken_one_by_one_in_the_order_of_their_beginnings() -> None:
    taken: list[int] = []
    woken: list[bool] = []
    order = LocalOrder(lambda: woken.append(True))
    futures = [asyncio.get_running_loop().create_future() for _ in range(3)]

    async def result(number: int) -> int:
        return await futures[number]

    for number in range(3):
        order.add(asyncio.create_task(result(number)), lambda task: taken.append(task.result()))
    for number in (2, 0):
        futures[number].set_result(number)
    while len(woken) < 2:
        await asyncio.sleep(0)
    assert [order.take(), order.take()] == [True, False]
    assert taken == [0]
    futures[1].set_result(1)
    while len(woken) < 3:
        await asyncio.sleep(0)
    assert [order.take(), order.take(), order.take()] == [True, True, False]
    assert taken == [0, 1, 2]
