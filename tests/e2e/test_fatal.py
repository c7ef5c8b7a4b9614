"""An agent that kills or blocks its worker is called a few times, and not by one worker after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from perdure.errors import RunFailed
from tests.support.durable import embedded
from tests.support.processes import Crew
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

AGENTS = Path(__file__).with_name("fatal_agents.py")


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    crew = Crew(tmp_path / "home")
    yield crew
    crew.kill_all()


async def test_an_agent_that_kills_its_worker(crew: Crew) -> None:
    async with embedded(crew.home) as client:
        nodes = {"p": {"agent": "poison", "retry": 2}, "f": {"agent": "fine", "isResult": True}}
        run = await client.start({"version": 0.5, "nodes": nodes}, queue="fatal")
        ending = asyncio.ensure_future(run.result())
        workers = [crew.worker("fatal", agents=AGENTS, PERDURE_LOST_ATTEMPTS="2")]
        while not ending.done():
            await until(lambda: ending.done() or workers[-1].poll() is not None, seconds=60)
            if not ending.done():
                workers.append(crew.worker("fatal", agents=AGENTS, PERDURE_LOST_ATTEMPTS="2"))
        with pytest.raises(RunFailed) as caught:
            await ending
        (message,) = caught.value.errors.values()
        assert message.partition("\n")[0] == (
            "poison has lost its worker twice: it ended, or gave no sign of life"
        )
        assert list(caught.value.errors) == ["p"]
        assert [worker.poll() for worker in workers] == [-9, -9, None]
        text = "agent poison in node p of run "
        assert text in crew.log.read_text()


async def test_an_agent_that_blocks_its_worker(crew: Crew) -> None:
    async with embedded(crew.home) as client:
        document = {"version": 0.5, "nodes": {"b": {"agent": "blocking", "retry": 2, "isResult": True}}}
        run = await client.start(document, queue="blocked")
        worker = crew.worker("blocked", agents=AGENTS, PERDURE_BLOCKED_ATTEMPTS="1")
        with pytest.raises(RunFailed) as caught:
            await asyncio.wait_for(run.result(), 180)
        (message,) = caught.value.errors.values()
        assert message.partition(", at ")[0] == "blocking has blocked the event loop of its worker once"
        assert "fatal_agents.py" in message
        assert worker.poll() is None
