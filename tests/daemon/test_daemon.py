"""Background processes: one is started, found, shared, missed, ended; those of others are never touched."""

import errno
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from perdure import daemon
from perdure.daemon.secret_files import secret_in
from perdure.errors import ConnectionFailed

LISTEN = """
import os, signal, socket, sys, time
print("listening", os.environ.get("GREETING"), flush=True)
door = socket.create_server(("127.0.0.1", int(sys.argv[1])))
{extra}
while True:
    door.accept()[0].close()
"""


def listener(extra: str = "") -> Callable[[int], list[str]]:
    return lambda port: [sys.executable, "-I", "-S", "-c", LISTEN.format(extra=extra), str(port)]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "state"
    daemon.stop(tmp_path / "state", "d", grace=0.2)


def ensure(folder: Path, command: Callable[[int], list[str]] | None = None, **options) -> daemon.Running:
    return daemon.ensure(folder, "d", command or listener(), daemon.answers, **{"timeout": 10.0} | options)


def eventually(check: Callable[[], bool], seconds: float = 120.0) -> bool:
    deadline = time.monotonic() + seconds
    while not check() and time.monotonic() < deadline:
        time.sleep(0.02)
    return check()


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_is_started_once_located_again_and_stopped(folder: Path) -> None:
    assert daemon.running(folder, "d") is None
    first = ensure(folder, env={"GREETING": "hello"}, extra=lambda: {"colour": "blue"})
    assert first == ensure(folder) == daemon.running(folder, "d")
    assert first.extra == {"colour": "blue"}
    assert (folder / "d.log").read_text() == "listening hello\n"
    assert daemon.stop(folder, "d") is True
    assert eventually(lambda: is_gone(first.pid)), "a zombie is left"
    assert daemon.running(folder, "d") is None
    assert daemon.stop(folder, "d") is False


def test_files_are_private(folder: Path) -> None:
    folder.mkdir(mode=0o755)
    ensure(folder, listener(extra="open('made', 'w').close()"))
    with daemon.Lease(folder, "d"):
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == dict.fromkeys(modes, 0o600)
    assert {"d.json", "d.log", "d.lease", "made"} <= set(modes)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_of_racing_callers_one_starts_it(folder: Path) -> None:
    starts: list[int] = []

    def command(port: int) -> list[str]:
        starts.append(port)
        return listener()(port)

    with ThreadPoolExecutor(10) as pool:
        processes = list(pool.map(lambda _: ensure(folder, command), range(10)))
    assert len(starts) == 1
    assert len(set(map(repr, processes))) == 1


def test_after_a_crash_the_next_one_has_the_same_address(folder: Path) -> None:
    first = ensure(folder)
    os.kill(first.pid, signal.SIGKILL)
    assert eventually(lambda: daemon.running(folder, "d") is None)
    second = ensure(folder)
    assert second.pid != first.pid
    assert second.address == first.address


def test_a_port_that_is_taken_is_abandoned(folder: Path) -> None:
    first = ensure(folder)
    daemon.stop(folder, "d")
    with socket.create_server(("127.0.0.1", int(first.address.rpartition(":")[2]))):
        assert ensure(folder).address != first.address


def test_a_port_lost_to_another_program_is_replaced(folder: Path) -> None:
    asked: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as other:

        def command(port: int) -> list[str]:
            asked.append(port)
            return listener()(port if len(asked) > 1 else other.getsockname()[1])

        def ready(address: str) -> bool:
            return len(asked) > 1 and daemon.answers(address)

        process = daemon.ensure(folder, "d", command, ready)
    assert len(asked) == 2
    assert process.address == f"127.0.0.1:{asked[1]}"


DEAD_ON_ARRIVAL = (
    (
        [sys.executable, "-c", "import sys; print('no luck today'); sys.exit(7)"],
        ("exit code 7", "no luck today"),
    ),
    (["/nonexistent/program"], ("cannot start d", "/nonexistent/program")),
)


@pytest.mark.parametrize(("command", "words"), DEAD_ON_ARRIVAL)
def test_one_that_does_not_come_up_is_reported_with_its_last_words(
    folder: Path, command: list[str], words: tuple[str, ...]
) -> None:
    with pytest.raises(ConnectionFailed) as caught:
        ensure(folder, lambda _: command)
    assert all(word in str(caught.value) for word in words)
    assert daemon.running(folder, "d") is None


def test_one_that_never_answers_is_ended(folder: Path) -> None:
    silent = [sys.executable, "-I", "-S", "-c", "import time; print('zzz', flush=True); time.sleep(60)"]
    with pytest.raises(ConnectionFailed, match=r"does not answer at 127\.0\.0\.1:\d+(.|\n)*zzz"):
        ensure(folder, lambda _: silent, timeout=0.5)
    assert daemon.running(folder, "d") is None


def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConnectionFailed, match="PERDURE_HOME"):
        ensure(tmp_path / "file" / "state")


def test_the_pid_of_a_stale_record_is_not_stopped(folder: Path) -> None:
    first = ensure(folder)
    os.kill(first.pid, signal.SIGKILL)
    assert eventually(lambda: daemon.running(folder, "d") is None)
    with subprocess.Popen(["sleep", "60"]) as bystander:
        record = folder / "d.json"
        record.write_text(record.read_text().replace(str(first.pid), str(bystander.pid)))
        assert daemon.running(folder, "d") is None
        assert daemon.stop(folder, "d") is False
        assert ensure(folder).pid != bystander.pid
        assert bystander.poll() is None
        bystander.kill()


def test_what_a_killed_leader_leaves_behind_is_ended(folder: Path) -> None:
    def family(port: int) -> list[str]:
        # The shell leads, its child listens.
        return ["/bin/sh", "-c", '"$@" & wait', "sh", *listener()(port)]

    first = ensure(folder, family)
    os.kill(first.pid, signal.SIGKILL)
    assert eventually(lambda: is_gone(first.pid))
    assert daemon.running(folder, "d") == first, "the child holds the lock"
    second = ensure(folder)
    assert second.pid != first.pid
    assert second.address == first.address, "the child gave up its port"


def test_a_deaf_one_is_killed(folder: Path) -> None:
    deaf = ensure(folder, listener(extra="signal.signal(signal.SIGTERM, signal.SIG_IGN)"))
    assert daemon.stop(folder, "d", grace=0.2) is True
    assert eventually(lambda: is_gone(deaf.pid))


def test_leases_are_shared_and_end_with_their_holders(folder: Path) -> None:
    with daemon.Lease(folder, "d"):
        with daemon.Lease(folder, "d"):
            assert not daemon.idle(folder, "d")
        assert not daemon.idle(folder, "d")
        assert daemon.retire(folder, "d") is False
    assert daemon.idle(folder, "d")


def test_a_lease_waits_for_one_that_retires(folder: Path) -> None:
    daemon.make_private(folder)
    script = f"""
import pathlib, sys
from perdure import daemon
from perdure.daemon.secret_files import secret_in
assert daemon.retire(pathlib.Path({str(folder)!r}), "d")
print("retired", flush=True)
sys.stdin.read()
"""
    retiring = [sys.executable, "-c", script]
    root = str(Path(daemon.__file__).parents[2])
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": root}
    with subprocess.Popen(retiring, **pipes) as process:
        assert process.stdout.readline() == "retired\n"
        with pytest.raises(ConnectionFailed, match="d is stopping"), daemon.Lease(folder, "d", timeout=0.1):
            pass
        threading.Timer(0.2, process.stdin.close).start()
        with daemon.Lease(folder, "d", timeout=10):
            assert process.wait(120) == 0


def test_idleness_is_counted_from_the_last_lease_even_a_short_one(folder: Path) -> None:
    watch = daemon.IdleWatch(folder, "d")
    time.sleep(0.2)
    assert watch.seconds() >= 0.2
    with daemon.Lease(folder, "d"):
        pass
    assert watch.seconds() < 0.2
    time.sleep(0.2)
    assert watch.seconds() >= 0.2
    with daemon.Lease(folder, "d"):
        assert watch.seconds() < 0.2


def test_what_was_stopped_is_known_from_what_has_crashed(folder: Path) -> None:
    assert daemon.was_stopped(folder, "d") is False
    first = ensure(folder)
    os.kill(first.pid, signal.SIGKILL)
    assert eventually(lambda: daemon.running(folder, "d") is None)
    assert daemon.was_stopped(folder, "d") is False
    ensure(folder)
    assert daemon.was_stopped(folder, "d") is False
    daemon.stop(folder, "d")
    assert daemon.was_stopped(folder, "d") is True
    again = ensure(folder)
    assert (again.address, daemon.was_stopped(folder, "d")) == (first.address, False)


@pytest.mark.parametrize(
    ("number", "hint"), [(errno.ENOSPC, "free some space"), (errno.EROFS, "set PERDURE_HOME")]
)
def test_the_cure_fits_what_is_wrong_with_the_disk(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: int, hint: str
) -> None:
    folder.mkdir()

    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("perdure.daemon.locks.os.open", fail)
    with (
        pytest.raises(ConnectionFailed, match=rf"d\.lease: {os.strerror(number)}\n  hint: {hint}"),
        daemon.Lease(folder, "d"),
    ):
        pass


def test_a_secret_is_made_once_for_its_user_only(folder: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        secrets = set(pool.map(secret_in, [folder / "api.key"] * 8))
    assert len(secrets) == 1
    assert [file.name for file in folder.iterdir()] == ["api.key"]
    assert stat.S_IMODE((folder / "api.key").stat().st_mode) == 0o600
