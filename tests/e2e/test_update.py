"""A rolling update that brings a new agent: old and new workers serve one queue, and no run fails."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from perdure import server
from perdure.client import GraphClient
from perdure.errors import GraphError
from perdure.settings import Settings
from tests.support.processes import Crew
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

OLD, NEW = (Path(__file__).with_name(f"{version}_agents.py") for version in ("old", "new"))


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    crew = Crew(tmp_path / "home")
    yield crew
    crew.kill_all()
    server.stop(Settings(home=crew.home))


async def test_runs_with_an_agent_that_only_the_new_worker_has(crew: Crew, client: GraphClient) -> None:
    old = crew.worker("update", agents=OLD)
    await until(lambda: client.workers("update"), seconds=60)
    nodes = {
        "n": {"value": 7},
        "a": {"agent": "newAgent", "inputs": {"n": ":n"}},
        "b": {"agent": "newAgent", "inputs": {"n": ":a.n"}, "isResult": True},
    }
    document = {"version": 0.5, "nodes": nodes}
    crew.worker("update", agents=NEW)
    await until(lambda: _two(client), seconds=60)
    runs = [await client.start(document, queue="update") for _ in range(20)]
    results = await asyncio.wait_for(asyncio.gather(*(run.result() for run in runs)), 180)
    assert [result.results for result in results] == [{"b": {"n": 7}}] * 20
    assert old.poll() is None


async def test_an_agent_that_no_worker_has(crew: Crew, client: GraphClient) -> None:
    crew.worker("update", agents=OLD)
    await until(lambda: client.workers("update"), seconds=60)
    document = {"version": 0.5, "nodes": {"a": {"agent": "newAgent"}}}
    run = await client.start(document, queue="update")
    with pytest.raises(GraphError, match="no agent 'newAgent'"):
        await asyncio.wait_for(run.result(), 180)


async def _two(client: GraphClient) -> bool:
    return len(await client.workers("update")) == 2
