"""Workers that are asked to stop: what runs ends in time, or continues elsewhere, and nothing hangs."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from perdure import server
from perdure.client import GraphClient
from perdure.settings import Settings
from tests.e2e.drain import drain
from tests.support.forked import Process
from tests.support.journal import entries
from tests.support.processes import Crew
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

TIMES = 3
"""`python -m tests.e2e.drain --times 20` takes more time."""
STUCK = Path(__file__).with_name("stuck_agents.py")


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    crew = Crew(tmp_path / "home", {"PERDURE_GRACE": "2"})
    yield crew
    crew.kill_all()
    server.stop(Settings(home=crew.home))


async def ended(worker: Process) -> int:
    """The exit code after SIGTERM; agents that take ten minutes hold it no longer than the grace period."""
    worker.send_signal(signal.SIGTERM)
    return await asyncio.to_thread(worker.wait, 180)


def logged(crew: Crew, text: str) -> bool:
    return text in crew.log.read_text()


async def test_workers_that_are_stopped_under_load(tmp_path: Path) -> None:
    report = await drain(tmp_path, TIMES)
    table = report.table()
    assert [each.code for each in report.rounds] == [0] * TIMES, table
    assert any(each.at_work for each in report.rounds), table
    assert (report.wrong, report.repeated) == (0, 0), table


async def test_what_takes_longer_than_the_grace_period_goes_on_elsewhere(
    client: GraphClient, crew: Crew, tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    params = {"journal": str(journal), "seconds": 60, "again": 0.1}
    node = {
        "agent": "journalAgent",
        "params": params,
        "isResult": True,
    }  # without `retry`
    first = crew.worker()
    run = await client.start({"version": 0.5, "nodes": {"long": node}})
    await until(lambda: entries(journal), "the agent is at work")
    crew.worker()
    await until(lambda: crew.log.read_text().count("worker ready") == 2, "the second worker is ready")
    code = await ended(first)
    assert code == 0
    assert (await run.result()).results == {"long": {"texts": ["long"]}}
    one, other = entries(journal)
    assert (one["key"], one["pid"] != other["pid"]) == (other["key"], True)


@pytest.mark.parametrize(
    ("agent", "params"), [("hangAgent", {}), ("stubbornAgent", {}), ("blockAgent", {"seconds": 600})]
)
async def test_no_agent_keeps_a_worker_from_ending(
    client: GraphClient, crew: Crew, agent: str, params: dict[str, Any]
) -> None:
    worker = crew.worker(agents=STUCK)
    run = await client.start({"version": 0.5, "nodes": {"n": {"agent": agent, "params": params}}})
    async with asyncio.timeout(180):
        while not any(call.started for call in (await run.report()).pending):
            await asyncio.sleep(0.05)
    code = await ended(worker)
    if agent == "hangAgent":  # in a thread, which does not count
        assert code == 0
        return
    assert code == 1
    assert logged(crew, f"are executed elsewhere, from the beginning: {agent} (n, for ")


async def test_an_agent_that_blocks_the_event_loop_is_named(client: GraphClient, crew: Crew) -> None:
    crew.worker(agents=STUCK)
    node = {"agent": "blockAgent", "params": {"seconds": 8}, "isResult": True}
    run = await client.start({"version": 0.5, "nodes": {"slow": node}})
    assert (await run.result()).results == {"slow": {"blocked": 8}}
    line = next(line for line in crew.log.read_text().splitlines() if "has not moved for 5 s" in line)
    assert "agent blockAgent (slow, for " in line
    assert "blocks it at stuck_agents.py:" in line
    await until(lambda: logged(crew, "the event loop moves again, after "), "it moves again")
