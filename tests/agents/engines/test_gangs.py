"""Gangs of processes: they begin together, end together, and begin again together."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from perdure import daemon
from perdure.agents.engines import gang
from perdure.agents.engines.gang_files import GangFiles
from perdure.agents.engines.meeting import Meeting
from perdure.errors import RunFailed, TransientError
from perdure.memory.environment import MemoryEnvironment
from perdure.memory.shell import memory_shell
from perdure.settings import Settings
from tests.agents.engines import ranks
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

assert ranks  # what it declares is there


async def run(home: Path, inputs: Any, **params: Any) -> Any:
    """The result of a node that is a gang."""
    environment = MemoryEnvironment(settings=Settings(home=home), console=lambda line: None)
    node = {"agent": "gangAgent", "inputs": inputs, "params": params, "isResult": True}
    return (await memory_shell({"nodes": {"g": node}}, [gang], environment=environment).run()).results["g"]


@pytest.mark.parametrize("size", [1, 3])
async def test_a_ring_sends_the_fewest_bytes(tmp_path: Path, size: int) -> None:
    result = await run(tmp_path, {"length": 12}, function="ringTest", size=size)
    assert result["sum"].tolist() == [size * (size + 1) / 2] * 12
    assert result["bytes"] == 2 * (size - 1) * 12 * 8 // size
    assert result["environment"] == [True] * 4


async def test_a_rank_that_dies_takes_all_back_to_the_last_checkpoint(tmp_path: Path) -> None:
    params = {"function": "trainTest", "size": 2, "steps": 9, "checkpointEvery": 4}
    died = {"steps": str(tmp_path / "steps"), "dies": 1, "at": 7, "died": str(tmp_path / "died")}
    result = await run(tmp_path, died, **params)
    assert (tmp_path / "died").exists()
    assert result["curve"] == descent(9)
    taken = (tmp_path / "steps").read_text().splitlines()
    of_rank_0 = [int(line.split()[1]) for line in taken if line[0] == "0"]
    assert sorted({*of_rank_0}) == [*range(1, 10)]
    assert 5 in of_rank_0[-5:]
    assert len(of_rank_0) <= 9 + 4
    left = [path.name for path in (tmp_path / "gangs").glob("*/*")]
    assert {*left} == {"rank-0.log", "rank-1.log"}


async def test_a_gang_that_fails_again_and_again_says_what_its_rank_said(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="rank 1 of 2 ended with exit code 1") as caught:
        await run(tmp_path, {"chars": 3}, function="failTest", restarts=0)
    assert "ValueError: there is no data" in str(caught.value)


async def on_hosts(home: Path, inputs: Any, **params: Any) -> Any:
    """The results of two calls that are a gang together, each with a rank."""
    meet = f"127.0.0.1:{daemon.free_port('127.0.0.1')}"
    environment = MemoryEnvironment(settings=Settings(home=home), console=lambda line: None)
    part = {
        "agent": "gangAgent",
        "inputs": {**inputs, "rank": ":row"},
        "params": {"size": 2, "rendezvous": meet, **params},
        "isResult": True,
    }
    node = {
        "agent": "mapAgent",
        "inputs": {"rows": [0, 1]},
        "params": {"compositeResultKey": "part"},
        "isResult": True,
        "graph": {"nodes": {"part": part}},
    }
    return (await memory_shell({"nodes": {"g": node}}, [gang], environment=environment).run()).results["g"]


async def test_parts_on_several_hosts_begin_again_together(tmp_path: Path) -> None:
    died = {"steps": str(tmp_path / "steps"), "dies": 1, "at": 7, "died": str(tmp_path / "died")}
    first, second = await on_hosts(tmp_path, died, function="trainTest", steps=9, checkpointEvery=4)
    assert (tmp_path / "died").exists()
    assert (first["curve"], second) == (descent(9), None)
    for rank in "01":
        taken = [line.split()[1] for line in (tmp_path / "steps").read_text().splitlines() if line[0] == rank]
        assert sorted({*map(int, taken)}) == [*range(1, 10)]
        assert len(taken) <= 9 + 4
    left = sorted(path.name for path in (tmp_path / "gangs").glob("*/*"))
    assert left == ["finished", "finished", "rank-0.log", "rank-1.log", "result"]


async def test_a_part_whose_others_do_not_come_waits_for_another_time(tmp_path: Path) -> None:
    files = GangFiles(tmp_path)
    files.write_address(0, "127.0.0.1", 1)
    files.write_address(1, "127.0.0.1", 1)
    meeting = Meeting(files, "g", 0, 2, "127.0.0.1", daemon.free_port("127.0.0.1"), 0.05)
    with pytest.raises(TransientError, match="1 of 2 parts of the gang have met"):
        async with meeting.met():
            pass
    with pytest.raises(TransientError, match="1 of 2 parts of the gang have met"):
        async with replace(meeting, rank=1, files=files).met():
            pass


async def test_a_part_that_comes_again_ends_what_has_begun(tmp_path: Path) -> None:
    files, port = GangFiles(tmp_path), daemon.free_port("127.0.0.1")
    files.write_address(0, "127.0.0.1", 1)
    meeting = Meeting(files, "g", 0, 2, "127.0.0.1", port, 120)

    async def came() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while True:
            with suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(json.dumps({"gang": "g", "rank": 1, "port": 7}).encode() + b"\n")
                return reader, writer
            await asyncio.sleep(0.01)

    first = asyncio.create_task(came())
    async with meeting.met():
        reader, writer = await first
        head = json.loads(await reader.readline())
        assert head == {"addresses": [[1, "127.0.0.1", 7], [0, "127.0.0.1", 1]], "step": 0, "bytes": 0}
        assert files.address(1) == ("127.0.0.1", 7)
        again, its_writer = await came()
        with pytest.raises(ConnectionError, match="on another host has ended"):
            await asyncio.wait_for(meeting.lost(), 120)
        assert await asyncio.wait_for(again.read(), 120) == b""  # it is to come when all begin again
    for one in (writer, its_writer):
        one.close()


def descent(steps: int) -> list[float]:
    """The curve of trainTest in two ranks."""
    weights = [0.0]
    for _ in range(steps):
        weights.append(weights[-1] - 0.5 * ((weights[-1] + (weights[-1] - 1.0)) / 2))
    return weights[1:]


def test_a_long_log_is_cut(tmp_path: Path) -> None:
    files = GangFiles(tmp_path)
    files.log(0).write_text("x" * 3_000 + "end")
    assert files.log_tail(0) == "x" * 1_997 + "end"


@pytest.mark.parametrize(
    ("params", "finding"),
    [
        ({"function": "unknown"}, "no gang function 'unknown'"),
        ({"function": "ringTest", "size": 65}, "params.size: expected a whole number from 1 to 64"),
        ({"function": "ringTest", "size": 0.5}, "params.size"),
        ({"function": "ringTest", "checkpointEvery": 0}, "params.checkpointEvery"),
        ({"function": "ringTest", "rendezvous": "gpu-1"}, "params.rendezvous: expected HOST:PORT"),
        (
            {"function": "ringTest", "rendezvous": "gpu-1:29400"},
            "inputs.rank: expected a whole number",
        ),
    ],
)
async def test_what_no_gang_can_be(tmp_path: Path, params: dict[str, Any], finding: str) -> None:
    with pytest.raises(RunFailed, match=finding):
        await run(tmp_path, {"length": 1}, **params)


async def test_processes_end_with_a_call_that_is_cancelled(tmp_path: Path) -> None:
    task = asyncio.create_task(run(tmp_path, {"folder": str(tmp_path)}, function="waitTest", size=2))
    try:
        await until(lambda: len([*tmp_path.glob("pid-*")]) == 2)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    for path in tmp_path.glob("pid-*"):
        pid = int(path.read_text())
        await until(lambda pid=pid: not Path(f"/proc/{pid}").exists())
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
