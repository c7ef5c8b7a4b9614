"""Limits of the command line, of the servers on this machine, and of what they read."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from perdure import server
from perdure.cli.doctor.database import database
from perdure.cli.doctor.framework import State
from perdure.cli.doctor.queues import Needs, needs_of, queues
from perdure.cli.doctor.server import clock
from perdure.cli.inputs.loaders import graphs_of
from perdure.client import GraphClient
from perdure.daemon.process import log_end
from perdure.errors import GraphError
from perdure.garbage import Garbage, remove_garbage
from perdure.graph.text.load import load
from perdure.local import api
from perdure.settings import Settings
from perdure.storage import Store
from perdure.storage.backend import ObjectInfo
from perdure.storage.memory import Memory
from tests.support import ROOT
from tests.support.durable import embedded
from tests.support.waiting import until

pytestmark = pytest.mark.integration


# Graphs of other files


def asking_for(*names: str) -> Any:
    nodes = {
        f"n{index}": {"agent": "nestedAgent", "graphLoader": {"fileName": name}}
        for index, name in enumerate(names)
    }
    return load(json.dumps({"nodes": nodes})).data


def test_graphs_that_are_loaded(tmp_path: Path) -> None:
    for index in range(1_001):
        (tmp_path / f"{index}.json").write_text('{"nodes": {"v": {"value": 1}}}')
    names = [f"{index}.json" for index in range(1_001)]
    assert len(graphs_of(asking_for(*names[:1_000]), str(tmp_path / "g.json"))) == 1_000
    with pytest.raises(GraphError, match="more than 1000 graphs"):
        graphs_of(asking_for(*names), str(tmp_path / "g.json"))


def test_bytes_of_a_graph_that_is_loaded(tmp_path: Path) -> None:
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(1_000_001)
    with pytest.raises(GraphError, match="is larger than 1,000,000 bytes"):
        graphs_of(asking_for("large.json"), str(tmp_path / "g.json"))


# The doctor


def test_seconds_that_a_clock_may_be_off() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for ahead, state in ((1.9, State.OK), (2.1, State.WARNING)):
        assert clock(now + timedelta(seconds=ahead), local=False, now=now).state is state


def test_bytes_of_a_database_that_is_copied(tmp_path: Path) -> None:
    path = tmp_path / f"{server.SERVER_NAME}.db"
    path.write_bytes(b"SQLite format 3\0" + bytes(4_080))
    path.chmod(0o600)
    with path.with_name(path.name + "-wal").open("wb") as log:
        log.truncate(513 << 20)
    assert "not checked" in " ".join(str(finding) for finding in database(Settings(home=tmp_path)))


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory, anyio_backend: str) -> AsyncIterator[GraphClient]:
    del anyio_backend
    async with embedded(tmp_path_factory.mktemp("limits")) as connected:
        for number in range(60):
            await connected.start({"nodes": {"n": {"agent": "copyAgent"}}}, queue="nobody", id=f"r{number}")
        yield connected
        for number in range(60):
            await connected.get(f"r{number}").handle.terminate()


async def listed(client: GraphClient) -> bool:
    return len([run async for run in client.list(limit=100)]) == 60


@pytest.mark.anyio
async def test_runs_that_the_doctor_describes(client: GraphClient, monkeypatch: pytest.MonkeyPatch) -> None:
    service, described = client.temporal.workflow_service, 0
    describe = service.describe_workflow_execution

    async def counted(*args: Any, **options: Any) -> Any:
        nonlocal described
        described += 1
        return await describe(*args, **options)

    monkeypatch.setattr(service, "describe_workflow_execution", counted)
    await until(lambda: listed(client), "all runs are listed")
    needs = await needs_of(client.temporal)
    assert (needs.seen, described) == (60, 50)


@pytest.mark.anyio
async def test_queues_that_the_doctor_looks_at(client: GraphClient) -> None:
    needs = Needs()
    for number in range(60):
        needs.add(f"q{number}", "r")
    *each, rest = await queues(client.temporal, needs, "q0", local=True)
    assert (len(each), "looked at 50 queues" in str(rest)) == (50, True)


# Servers on this machine


def test_lines_of_a_log_that_an_error_quotes(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"{number}\n" for number in range(100)))
    assert log_end(log).splitlines() == [f"  | {number}" for number in range(88, 100)]


@pytest.mark.parametrize(("size", "kept"), [(16 << 20, 16 << 20), ((16 << 20) + 1, 0)])
def test_bytes_of_a_servers_log(tmp_path: Path, size: int, kept: int) -> None:
    log = tmp_path / "log"
    with log.open("wb") as file:
        file.truncate(size)
        code = "from perdure.server.supervisor import cap_log; cap_log()"
        subprocess.run([sys.executable, "-c", code], stdout=file, check=True, cwd=ROOT)
    assert log.stat().st_size == kept


def test_bytes_that_must_be_free(tmp_path: Path) -> None:
    """Some megabytes are enough to start the server, and for a run."""
    server.check_space(tmp_path)
    server.check_space(tmp_path, server.MIN_START_SPACE_BYTES)


def test_texts_of_a_request_to_the_local_models() -> None:
    assert len(api.embedding_request({"input": ["x"] * 2_048}, 384).texts) == 2_048
    with pytest.raises(api.RequestRefused, match="2049 strings"):
        api.embedding_request({"input": ["x"] * 2_049}, 384)


class Slow(Memory):
    """Notes how many objects are removed at the same time."""

    now = most = 0

    async def remove(self, name: str, before: float) -> bool:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        return await super().remove(name, before)


@pytest.mark.anyio
async def test_objects_that_are_removed_at_once() -> None:
    backend = Slow("limits")
    objects = tuple(ObjectInfo(f"{number:064x}", 1, 0.0) for number in range(30))
    garbage = Garbage(objects=objects, count=30, size=30, runs=1)
    await remove_garbage(Store(backend), garbage, 1.0, lambda what, count: None)
    assert backend.most == 8
