"""A run that waits for its calls before it continues as new sends what waits when they are over."""

from __future__ import annotations

import asyncio

import pytest

from perdure.client import GraphClient
from tests.support.draining import NODES, drained

pytestmark = pytest.mark.anyio


async def test_calls_and_drain_that_end_together(client: GraphClient) -> None:
    run = await asyncio.wait_for(drained(client, "drained"), 150)
    assert (await run.result()).all == {name: {"name": name} for name in NODES}
