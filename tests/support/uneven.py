"""A map whose local calls end in another order than they begin; what they lead to is sent in batches."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from perdure.agents.agent import agent
from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.runs import Run
from tests.support.durable import started

LARGE_CHARS = 300_000
"""Too large for the marker of a local activity, and as an input brought to the store."""

ROW: Any = {
    "nodes": {
        "local": {"agent": "unevenAgent", "placement": "local", "inputs": {"number": ":row"}},
        "batched": {"agent": "lengthAgent", "batch": 4, "inputs": {"number": ":local.number"}},
        "again": {"agent": "unevenAgent", "placement": "local", "inputs": {"number": ":local.number"}},
        "pure": {"agent": "copyAgent", "inputs": {"text": ":again.text", "after": ":batched"}},
        "end": {"agent": "lengthAgent", "inputs": {"text": ":pure.text"}, "isResult": True},
    }
}


@agent("lengthAgent")
async def length(inputs: Any) -> Any:
    """The length of what it is given."""
    return len(str(inputs))


@asynccontextmanager
async def uneven(
    client: GraphClient, name: str, count: int, *, large_every: int, seed: int = 0
) -> AsyncIterator[Run]:
    """The run over so many rows, and a worker for it; one row in `large_every` has large values."""

    @agent("unevenAgent")
    async def uneven_agent(inputs: Any) -> Any:
        number = inputs["number"]
        await asyncio.sleep(number % 7 * 0.03)
        return {
            "text": "x" * (LARGE_CHARS if number % large_every == large_every - 1 else 10),
            "number": number,
        }

    rows = list(range(count))
    random.Random(seed).shuffle(rows)
    document = {
        "nodes": {"map": {"agent": "mapAgent", "inputs": {"rows": rows}, "graph": ROW, "isResult": True}}
    }
    agents = {**catalog(), "unevenAgent": uneven_agent.agent, "lengthAgent": length.agent}
    settings = replace(client.settings, store_above=1_000_000)
    async with started(client, name, document, agents, settings) as run:
        yield run
