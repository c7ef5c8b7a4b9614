"""Runs survive the death of everything around them: workers, the server, the client."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from perdure import local, server
from perdure.client import GraphClient, connect
from perdure.settings import Settings
from perdure.workflows.activity_options import HEARTBEAT_TIMEOUT
from tests.support import detector
from tests.support.examples import FOLDER, Example
from tests.support.journal import entries
from tests.support.models import fetched, home_with
from tests.support.processes import Crew, kill, kill_server
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

RAG = Example(FOLDER / "rag")

NOTICED = HEARTBEAT_TIMEOUT.total_seconds() + 5
"""Seconds after which a node of a dead worker is at work again."""

NODES: dict[str, list[str]] = {
    "chunks": [],
    "left": ["chunks"],
    "right": ["chunks"],
    "sorted": ["left", "right"],
    "query": ["sorted"],
}
TEXTS = ["chunks", "left", "chunks", "right", "sorted", "query"]


@dataclass
class Journal:
    """What journalAgent wrote down."""

    path: Path

    def calls(self) -> dict[str, int]:
        """How often each node was called."""
        return dict(Counter(entry["path"] for entry in entries(self.path)))

    def last(self, node: str) -> dict[str, Any]:
        return next(entry for entry in reversed(entries(self.path)) if entry["path"] == node)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    crew = Crew(tmp_path / "home")
    yield crew
    crew.kill_all()
    local.stop(Settings(home=crew.home))
    server.stop(Settings(home=crew.home))


def graph(journal: Journal, **queues: str) -> dict[str, Any]:
    """Shaped like retrieval for a prompt: one node, two side by side, two more; a second each."""
    nodes = {
        name: {
            "agent": "journalAgent",
            "params": {"journal": str(journal.path)},
            "inputs": {source: f":{source}" for source in sources},
            **({"queue": queues[name]} if name in queues else {}),
        }
        for name, sources in NODES.items()
    }
    nodes["query"]["isResult"] = True
    return {"version": 0.5, "nodes": nodes}


async def test_a_killed_worker_is_replaced(client: GraphClient, crew: Crew, journal: Journal) -> None:
    first = crew.worker()
    run = await client.start(graph(journal), id="worker")
    await until(lambda: "sorted" in journal.calls(), "the fourth node is at work")
    kill(first)
    killed = time.time()
    second = crew.worker()
    assert (await run.result()).results == {"query": {"texts": TEXTS}}
    assert journal.calls() == {"chunks": 1, "left": 1, "right": 1, "sorted": 2, "query": 1}
    again = journal.last("sorted")
    assert again["pid"] == second.pid
    assert again["time"] - killed < NOTICED
    assert len({entry["key"] for entry in entries(journal.path)}) == len(NODES)


async def test_server_and_worker_die_together(client: GraphClient, crew: Crew, journal: Journal) -> None:
    worker = crew.worker()
    await client.start(graph(journal), id="server")
    await until(lambda: {"left", "right"} <= journal.calls().keys(), "two nodes are at work")
    assert client.embedded is not None
    kill_server(client.embedded.pid)
    kill(worker)
    client.close()
    again = await connect(Settings(home=crew.home))
    crew.worker()
    assert (await again.get("server").result()).results == {"query": {"texts": TEXTS}}
    assert journal.calls() == {"chunks": 1, "left": 2, "right": 2, "sorted": 1, "query": 1}
    again.close()


async def test_another_command_takes_over(crew: Crew, journal: Journal, tmp_path: Path) -> None:
    path = tmp_path / "graph.json"
    path.write_text(json.dumps(graph(journal)))
    worker = crew.worker(PERDURE_FILE_ROOT=str(tmp_path))  # as commands have for graphs of this folder
    await until(lambda: "worker ready" in crew.log.read_text(), "the worker is ready")
    first = crew.run(path, "command")
    await until(lambda: "chunks" in journal.calls(), "the first node is at work")
    kill(first)
    out, _ = await asyncio.to_thread(crew.run(path, "command").communicate)
    assert json.loads(out) == {"query": {"texts": TEXTS}}
    assert journal.calls() == dict.fromkeys(NODES, 1)
    assert {entry["pid"] for entry in entries(journal.path)} == {worker.pid}


async def test_a_command_that_serves_itself_goes_on_with_what_it_left(
    crew: Crew, journal: Journal, tmp_path: Path
) -> None:
    path = tmp_path / "graph.json"
    path.write_text(json.dumps(graph(journal)))
    first = crew.run(path, "alone")
    await until(lambda: "sorted" in journal.calls(), "the fourth node is at work")
    kill(first)
    out, _ = await asyncio.to_thread(crew.run(path, "alone").communicate)
    assert json.loads(out) == {"query": {"texts": TEXTS}}
    assert journal.calls() == {**dict.fromkeys(NODES, 1), "sorted": 2}


async def test_a_node_waits_for_a_worker_of_its_queue(
    client: GraphClient, crew: Crew, journal: Journal
) -> None:
    first = crew.worker()
    run = await client.start(graph(journal, right="b"), id="queue")
    await until(lambda: "left" in journal.calls(), "the other node is at work")
    report = await run.report()
    assert report.unserved == ("b",)
    assert [(call.path, call.agent, call.started) for call in report.pending if call.queue == "b"] == [
        ("right", "journalAgent", False)
    ]
    second = crew.worker("b")
    assert (await run.result()).results == {"query": {"texts": TEXTS}}
    assert journal.last("right")["pid"] == second.pid
    assert {entry["pid"] for entry in entries(journal.path)} == {first.pid, second.pid}
    assert set(journal.calls().values()) == {1}


@pytest.mark.models
async def test_real_retrieval_survives_a_killed_worker(client: GraphClient, crew: Crew) -> None:
    if not local.installed():
        pytest.skip("needs the extra perdure[local]")
    home_with(fetched(), crew.home)
    await local.ensure(client.settings)
    first = crew.worker()
    run = await client.start(RAG.document, id="rag", name="rag")
    async with asyncio.timeout(180):
        while not any(call.path == "answer" and call.started for call in (await run.report()).pending):
            await asyncio.sleep(0.02)
    kill(first)
    crew.worker()
    result = await run.result()
    assert RAG.difference(result.results) == ""
    history = await run.handle.fetch_history()
    attempts = detector.attempts(history)
    assert attempts.pop("answer") == 2
    assert set(attempts.values()) == {1}
