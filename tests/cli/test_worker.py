"""`perdure worker` and `perdure dev`: they serve, report their health, and end when asked to."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from typing import IO

import pytest

from perdure import server
from perdure.settings import Settings
from tests.support.cli import HELLO, SLOW, Cli
from tests.support.forked import Process


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(port: int, request: str) -> tuple[int, str]:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(f"{request} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head, _, body = connection.makefile().read().partition("\n\n")
    return int(head.split()[1]), body.strip()


@pytest.fixture
def started() -> Iterator[list[Process]]:
    """Processes that end with the test."""
    processes: list[Process] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def until(stream: "IO[str] | None", text: str) -> str:
    line = ""
    assert stream is not None
    while text not in line:
        line = stream.readline()
        assert line, f"{text!r} never came"
    return line


def test_a_worker_serves_tells_its_health_and_drains(perdure: Cli, started: list[Process]) -> None:
    port = free_port()
    worker = perdure.start("worker", "--queue", "q1", "--queue", "q2", PERDURE_HEALTH_PORT=str(port))
    started.append(worker)
    ready = until(worker.stderr, "worker ready")
    assert ", namespace default, queues q1, q2, " in ready
    assert get(port, "GET /healthz") == (200, "alive")
    assert get(port, "GET /readyz") == (200, "ready")
    assert get(port, "GET /other")[0] == 404
    assert get(port, "POST /healthz")[0] == 405
    graph = perdure.write("slow.yaml", SLOW.replace("1500", "3000"))
    run = perdure.start("run", graph, "--queue", "q2", "--id", "drained")
    started.append(run)
    until(run.stderr, "rest executing")
    worker.terminate()
    until(worker.stderr, "stopping")
    assert get(port, "GET /readyz") == (503, "not ready")
    assert worker.wait(120) == 0
    assert worker.stdout is not None
    assert worker.stdout.read() == ""
    result = perdure("result", "drained", "--json")  # serves the run itself: no worker is left
    assert (result.code, json.loads(result.out)["results"]) == (0, {"rest": {"x": 1}})
    run.wait(120)


def test_a_worker_brings_a_crashed_server_back_and_ends_with_one_that_is_stopped(
    alone: Cli, started: list[Process]
) -> None:
    settings = Settings(home=alone.folder / "own-home")
    worker = alone.start("worker", "--queue", "q1")
    started.append(worker)
    until(worker.stderr, "worker ready")
    graph = alone.write("slow.yaml", SLOW)
    assert alone("run", graph, "--queue", "q1", "--id", "through", "--detach").code == 0
    embedded = server.status(settings)
    assert embedded is not None
    os.killpg(embedded.pid, signal.SIGKILL)
    until(worker.stderr, "is up again")
    done = alone("result", "through")
    assert (done.code, json.loads(done.out)) == (0, {"rest": {"x": 1}})
    assert server.stop(settings)
    until(worker.stderr, "the embedded server was stopped")
    assert worker.wait(120) == 3


CROWD = """
import asyncio
from perdure import agent

running = 0

@agent("crowded")
async def crowded() -> int:
    global running
    running += 1
    await asyncio.sleep(0.05)
    count, running = running, running - 1
    return count
"""


def test_a_worker_makes_as_many_calls_at_a_time_as_its_concurrency(
    perdure: Cli, started: list[Process]
) -> None:
    module = perdure.write("crowd.py", CROWD)
    worker = perdure.start("worker", "--queue", "q4", "--agents", module, "--concurrency", "1")
    started.append(worker)
    until(worker.stderr, "worker ready")
    nodes = "".join(f"  n{number}: {{agent: crowded, queue: q4, isResult: true}}\n" for number in range(4))
    done = perdure("run", perdure.write("crowd.yaml", f"version: 0.5\nnodes:\n{nodes}"), "--agents", module)
    assert json.loads(done.out) == {f"n{number}": 1 for number in range(4)}
    refused = perdure("worker", "--concurrency", "0")
    assert (refused.code, "--concurrency: '0' is not a number of calls from 1 up" in refused.err) == (2, True)


def test_a_second_signal_ends_at_once(perdure: Cli, started: list[Process]) -> None:
    worker = perdure.start("worker", "--queue", "q3")
    started.append(worker)
    until(worker.stderr, "worker ready")
    run = perdure.start("run", perdure.write("g.yaml", SLOW.replace("1500", "20000")), "--queue", "q3")
    started.append(run)
    until(run.stderr, "rest executing")
    worker.send_signal(signal.SIGINT)
    until(worker.stderr, "stopping")
    worker.send_signal(signal.SIGINT)
    assert worker.wait(120) == 130


def test_a_health_port_that_is_taken(perdure: Cli):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = perdure("worker", PERDURE_HEALTH_PORT=str(port))
    assert (done.code, done.out) == (2, "")
    assert f"PERDURE_HEALTH_PORT: cannot listen on 127.0.0.1:{port}: " in done.err
    assert perdure("worker", PERDURE_HEALTH_PORT="http").code == 2


def test_dev_brings_a_server_and_takes_it_away(alone: Cli, started: list[Process]) -> None:
    settings = Settings(home=alone.folder / "own-home")
    dev = alone.start("dev")
    started.append(dev)
    page = until(dev.stdout, "page").split()[1]
    until(dev.stdout, "Ctrl-C stops")
    assert alone("open", "r 1", "--print").out == f"{page}/run/r%201\n"
    done = alone("run", alone.write("hello.yaml", HELLO))
    assert (done.code, json.loads(done.out)) == (0, {"greeting": "Hello, world!"})
    shown = json.loads(alone("server", "status", "--json").out)
    embedded = server.status(settings)
    assert embedded is not None
    assert (shown["running"], shown["address"], shown["ui"]) == (True, embedded.address, embedded.ui_url)
    dev.send_signal(signal.SIGINT)
    _, err = dev.communicate(timeout=180)
    assert (dev.returncode, err.splitlines()[-1]) == (0, "the server has stopped; runs stay as they are")
    assert server.status(settings) is None
    assert alone("server", "stop").err == "no server was running\n"
    assert alone("server", "status").out.startswith("not running; its data is in ")


def test_data_that_is_not_there_is_noticed_at_the_start(perdure: Cli) -> None:
    done = perdure("worker", "--data", "plans=/nowhere/plans")
    assert done.code == 2
    assert "--data plans: there is no file or folder /nowhere/plans" in done.err
    assert "--data: 'plans' is not NAME=PATH" in perdure("worker", "--data", "plans").err
