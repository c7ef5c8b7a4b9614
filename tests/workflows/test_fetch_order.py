"""A run that asks for values of the store one after the other replays as it ran.

On a replay, the SDK hands over at once the results of local activities that came one by one when the run was
live. What a run does must not depend on that.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from temporalio.worker import Replayer

from perdure.client import GraphClient
from perdure.graph.deferred import Deferred
from perdure.plugin import GraphPlugin
from perdure.storage.claim_check import ClaimCheck
from tests.support.fetching import fetching, rows

pytestmark = pytest.mark.anyio

ROW_COUNT = 60


async def test_it_replays(client: GraphClient, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = ClaimCheck.answer

    async def slowly(self: ClaimCheck, deferred: Deferred, whole: bool) -> Any:
        await asyncio.sleep(sum(map(ord, str(deferred))) % 7 * 0.03)
        return await answer(self, deferred, whole)

    monkeypatch.setattr(ClaimCheck, "answer", slowly)
    async with fetching(client, "fetch-order", ROW_COUNT) as run:
        result = await run.result()
    assert [row["each"]["end"]["text"] for row in result.results["map"]] == [
        row[0] for row in rows(ROW_COUNT)
    ]
    history = await run.handle.fetch_history()
    replayer = Replayer(workflows=[], plugins=[GraphPlugin()], debug_mode=True)
    assert (await replayer.replay_workflow(history)).replay_failure is None
