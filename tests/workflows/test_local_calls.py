"""Calls with `placement: local`: executed in the worker of the run, each once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perdure.agents.agent import agent
from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.protocol.names import SEGMENT
from tests.support import durable

pytestmark = pytest.mark.anyio

CALLS: list[str] = []


@agent("writeAgent")
async def write(inputs: Any) -> Any:
    """Has an effect, and takes its time."""
    CALLS.append(inputs["text"])
    await asyncio.sleep(0.3)
    return inputs


async def test_a_local_call_is_made_once_where_pure_ones_wait_behind_it(client: GraphClient) -> None:
    document = {
        "nodes": {
            "text": {"value": "data"},
            "remote": {"agent": "writeAgent", "inputs": {"text": "${:text} 1"}},
            "local": {"agent": "writeAgent", "placement": "local", "inputs": {"text": "${:remote.text} 2"}},
            "pure": {"agent": "copyAgent", "inputs": {"text": ":remote.text"}, "isResult": True},
            "end": {"agent": "copyAgent", "inputs": {"text": ":local.text"}, "isResult": True},
        }
    }
    agents = {**catalog(), "writeAgent": write.agent}
    CALLS.clear()
    async with durable.started(client, "local-calls", document, agents, client.settings) as run:
        result = await run.result()
        history = await run.handle.fetch_history()
    assert result.results == {"pure": {"text": "data 1"}, "end": {"text": "data 1 2"}}
    assert CALLS == ["data 1", "data 1 2"]
    segments = [event for event in history.events if SEGMENT in str(event.marker_recorded_event_attributes)]
    assert 1 <= len(segments) <= 2
