"""Commands and workers beside each other: who serves a run, and who takes over."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from perdure import server
from perdure.client import GraphClient
from perdure.settings import Settings
from tests.support.journal import entries
from tests.support.processes import Crew, kill
from tests.support.waiting import until

pytestmark = pytest.mark.anyio


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    crew = Crew(tmp_path / "home", env={"PERDURE_FILE_ROOT": str(tmp_path)})
    yield crew
    crew.kill_all()
    server.stop(Settings(home=crew.home))


def graph(path: Path, journal: Path, calls: int, seconds: float, at_once: int | None = None) -> Path:
    node: dict[str, Any] = {
        "agent": "journalAgent",
        "params": {"journal": str(journal), "seconds": seconds},
        "isResult": True,
    }
    nodes = {f"n{number}": node for number in range(calls)}
    path.write_text(json.dumps({"version": 0.5, "concurrency": at_once or calls, "nodes": nodes}))
    return path


async def ended(process: Any) -> int:
    return await asyncio.to_thread(process.wait, 180)


async def test_two_commands_do_not_take_each_others_calls(crew: Crew, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    long = crew.run(graph(tmp_path / "long.json", journal, 20, 8), "long")
    await until(lambda: journal.exists(), seconds=60)
    short = [
        crew.run(graph(tmp_path / f"short{number}.json", journal, 2, 0.5), f"short{number}")
        for number in range(2)
    ]
    assert [await ended(process) for process in (*short, long)] == [0, 0, 0]
    begun = Counter((entry["path"], entry["key"]) for entry in entries(journal))
    assert len(begun) == 24
    assert set(begun.values()) == {1}


async def test_commands_on_one_queue_finish_what_they_have_taken_of_each_other(
    crew: Crew, tmp_path: Path
) -> None:
    crew.env["PERDURE_GRACE"] = "0.01"
    journal, queue = tmp_path / "journal", ("--queue", "shared")
    long = crew.run(graph(tmp_path / "long.json", journal, 24, 1, at_once=6), "long", *queue)
    await until(lambda: journal.exists(), seconds=60)
    short = crew.run(graph(tmp_path / "short.json", journal, 1, 2.5), "short", *queue)
    assert [await ended(process) for process in (short, long)] == [0, 0]
    begun = Counter((entry["path"], entry["key"]) for entry in entries(journal))
    assert len(begun) == 25
    assert set(begun.values()) == {1}


async def test_a_command_takes_over_from_a_worker_that_has_ended(
    crew: Crew, client: GraphClient, tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    worker = crew.worker()
    await until(lambda: client.workers(client.settings.queue), seconds=60)
    command = crew.run(graph(tmp_path / "graph.json", journal, 1, 3), "taken-over")
    await until(lambda: journal.exists(), seconds=60)
    kill(worker)
    assert await ended(command) == 0
    first, *_, last = entries(journal)
    assert (first["pid"], last["pid"]) == (worker.pid, command.pid)
    assert "this command does" in crew.log.read_text()


async def test_a_worker_serves_what_a_command_has_left_behind(
    crew: Crew, client: GraphClient, tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    command = crew.run(graph(tmp_path / "graph.json", journal, 1, 2), "left")
    await until(lambda: journal.exists(), seconds=60)
    kill(command)
    queue = (await client.get("left").describe()).task_queue
    crew.worker()
    await until(lambda: client.workers(queue), seconds=60)
    assert (await asyncio.wait_for(client.get("left").result(), 60)).results
