"""Agents that never return: their slots are free again after their time limit."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from perdure import agent
from perdure.agents.agent import declared
from perdure.errors import RunFailed
from perdure.worker import WorkerOptions, build_worker
from tests.support.durable import embedded

pytestmark = pytest.mark.anyio

SLOTS = 4
LIMIT = 1000
"""Milliseconds."""


async def test_hung_agents_give_their_slots_back(tmp_path: Path) -> None:
    release, hung = threading.Event(), threading.Semaphore(0)
    # With the threads of this pool, those that hang would take all.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(SLOTS - 1))

    @agent("hangAgent")
    def hang() -> None:
        hung.release()
        release.wait(120)

    @agent("workAgent")
    def work() -> str:
        return "done"

    agents = {
        declared_agent.name: declared_agent
        for declared_agent in map(declared, (hang, work))
        if declared_agent is not None
    }
    async with embedded(tmp_path / "home") as client:
        options = WorkerOptions(agents=agents, settings=client.settings, concurrent_agents=SLOTS)
        async with build_worker(client.temporal, "q", options):
            nodes = {f"h{index}": {"agent": "hangAgent", "timeout": LIMIT} for index in range(SLOTS)}
            stuck = await client.start({"version": 0.5, "nodes": nodes}, queue="q")
            async with asyncio.timeout(180):
                for _ in range(SLOTS):
                    while not hung.acquire(blocking=False):
                        await asyncio.sleep(0.01)
            after = {f"w{index}": {"agent": "workAgent", "isResult": True} for index in range(SLOTS * 2)}
            async with asyncio.timeout(LIMIT / 1000 + 5):
                run = await client.start({"version": 0.5, "nodes": after}, queue="q")
                assert (await run.result()).results == dict.fromkeys(after, "done")
            with pytest.raises(RunFailed, match="Timeout"):
                await stuck.result()
    release.set()
