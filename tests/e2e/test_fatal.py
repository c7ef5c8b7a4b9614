"""An agent that kills or blocks its worker is called a few times, and not by one worker after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from temporalio.client import WorkflowFailureError

from perdure.errors import RunFailed
from perdure.runs import Run
from tests.support.durable import embedded
from tests.support.processes import Crew
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

AGENTS = Path(__file__).with_name("fatal_agents.py")
RUNS = Path(__file__).with_name("fatal_runs.py")


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


async def test_a_pure_agent_that_ends_its_worker(crew: Crew) -> None:
    async with embedded(crew.home) as client:
        nodes = {"p": {"agent": "fatal"}, "f": {"agent": "copyAgent", "inputs": {"x": 1}, "isResult": True}}
        run = await client.start({"version": 0.5, "nodes": nodes}, queue="pure")
        codes = await served_until_it_ends(crew, run, "pure", PERDURE_LOST_ATTEMPTS="1")
        with pytest.raises(RunFailed) as caught:
            await run.result()
        assert list(caught.value.errors) == ["p"]
        assert caught.value.errors["p"].startswith("fatal has lost its worker once: ")
        assert codes == [7, 7, None]  # in a segment, in an activity of its own
        assert "was at work in the call p\n" in crew.log.read_text()


async def test_a_run_that_ends_its_worker(crew: Crew) -> None:
    async with embedded(crew.home) as client:
        nodes = {"f": {"agent": "copyAgent", "inputs": {"x": 1}, "isResult": True}}
        run = await client.start({"version": 0.5, "nodes": nodes}, queue="runs")
        codes = await served_until_it_ends(crew, run, "runs", agents=RUNS, PERDURE_LOST_ATTEMPTS="2")
        with pytest.raises(RunFailed, match="has ended 2 worker processes of this host in its workflow task"):
            await run.result()
        assert codes == [7, 7, None]
        assert f"run {run.id} has ended 2 worker processes" in crew.log.read_text()


async def served_until_it_ends(
    crew: Crew, run: Run, queue: str, agents: Path = AGENTS, **env: str
) -> list[int | None]:
    """The exit codes of the workers, each of which comes when the one before it has died."""
    ending = asyncio.ensure_future(run.handle.result())
    workers = [crew.worker(queue, agents=agents, **env)]
    while not ending.done():
        await until(lambda: ending.done() or workers[-1].poll() is not None, "it ends", seconds=120)
        if not ending.done():
            workers.append(crew.worker(queue, agents=agents, **env))
    with suppress(WorkflowFailureError):
        await ending
    return [worker.poll() for worker in workers]
