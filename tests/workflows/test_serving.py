"""Serving runs in the process that starts them; a wait for a result says what it waits for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perdure import agent, runs, serving
from perdure.client import GraphClient
from tests.support.waiting import until

pytestmark = pytest.mark.anyio


@agent("shout")
def shout(inputs: dict[str, Any]) -> str:
    return str(inputs["text"]).upper()


GRAPH = {"nodes": {"a": {"agent": "shout", "inputs": {"text": "hi"}, "isResult": True}}}


async def test_serving_in_this_process(client: GraphClient) -> None:
    async with serving(client, [shout], queue="in-process"):
        run = await client.start(GRAPH, queue="in-process")
        assert (await run.result()).results == {"a": "HI"}


async def test_a_wait_for_a_result_says_what_it_waits_for(
    client: GraphClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(runs, "WAITING_NOTICE_S", 0.0)
    run = await client.start(GRAPH, queue="unserved")
    waiting = asyncio.ensure_future(run.result())
    await until(lambda: bool(caplog.messages), "the warning is there")
    assert "waits for a worker on queue 'unserved'" in caplog.messages[0]
    async with serving(client, [shout], queue="unserved"):
        assert (await waiting).results == {"a": "HI"}
