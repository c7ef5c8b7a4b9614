"""Starting, finding and stopping one background process. See perdure.daemon for how it holds together."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import cast

from perdure.daemon.locks import LOCK_POLL_INTERVAL_S, acquire, held, locked, make_private, open_lock
from perdure.daemon.ports import free_port, is_free
from perdure.errors import ConnectionFailed

STOPPED = "stopped"
"""The fact that `stop` leaves behind: commands that need the daemon then do not start it again."""

END_LIMIT_S = 30.0
"""How long a new one waits for the last one to end: on a busy machine a server takes seconds for that."""

LOG_TAIL_LINE_COUNT = 12
"""Lines of the log that an error message quotes."""


@dataclass(frozen=True)
class Running:
    """A daemon that is up. `address` is "127.0.0.1:port", `started` seconds since the epoch."""

    pid: int
    address: str
    started: float
    extra: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class _Recipe:
    folder: Path
    name: str
    command: Callable[[int], Sequence[str]]
    ready: Callable[[str], bool]
    env: Mapping[str, str]
    extra: Callable[[], Mapping[str, str]]
    deadline: float

    def file(self, kind: str) -> Path:
        return self.folder / f"{self.name}.{kind}"


def ensure(
    folder: Path,
    name: str,
    command: Callable[[int], Sequence[str]],
    ready: Callable[[str], bool],
    *,
    timeout: float = 30.0,
    env: Mapping[str, str] | None = None,
    extra: Callable[[], Mapping[str, str]] = dict,
) -> Running:
    """The daemon `name` of `folder`, started if it is not up; of racing callers one starts it.

    Hold a `Lease` around this call and the use of what it returns: that keeps the daemon from
    retiring in between.

    Args:
        folder: where the files of the daemon are; made with mode 0700 if missing.
        name: what the files are called.
        command: the command line that serves on the loopback port passed to it. It starts detached, in a
            session of its own, with umask 077, in `folder`, with its output appended to
            ``name.log``. The port is that of the last time if it is free. The command is asked
            again, with another port, if another process took the port meanwhile.
        ready: whether the address serves. Called often: cheap, and false instead of raising.
        timeout: seconds until it must be up.
        env: variables to add to the environment of the daemon.
        extra: facts to keep in ``Running.extra``; asked after `command`.

    Raises:
        ConnectionFailed: it did not come up; the message quotes the end of its log.
    """
    process = running(folder, name)
    if process and _leads(process.pid) and ready(process.address):
        return process
    make_private(folder)
    recipe = _Recipe(folder, name, command, ready, env or {}, extra, time.monotonic() + timeout)
    with locked(recipe.file("lock"), timeout, f"another command is starting or stopping {name}"):
        return _running_or_started(recipe)


def _running_or_started(recipe: _Recipe) -> Running:
    """What `ensure` does while it holds the lock, so that no other command does the same."""
    process = running(recipe.folder, recipe.name)
    if process and _leads(process.pid):
        return _wait(recipe, process)
    if process:  # its leader was killed, and what it left behind would never retire
        _end(recipe.file("alive"), process.pid, grace=5.0)
    return _start(recipe)


def running(folder: Path, name: str) -> Running | None:
    """The daemon that is up, or None. Being up is not yet being ready."""
    return _read(folder / f"{name}.json") if held(folder / f"{name}.alive") else None


def stop(folder: Path, name: str, grace: float = 10.0) -> bool:
    """Stop the daemon: SIGTERM, then SIGKILL after `grace` seconds. False if none was up."""
    if not folder.is_dir():
        return False
    with locked(folder / f"{name}.lock", 60.0, f"another command is starting or stopping {name}"):
        process = running(folder, name)
        if not process:
            return False
        _end(folder / f"{name}.alive", process.pid, grace)
        with suppress(OSError):
            _write(folder / f"{name}.json", replace(process, extra={**process.extra, STOPPED: "yes"}))
        return True


def was_stopped(folder: Path, name: str) -> bool:
    """Whether the last one was ended by `stop`, and did not end by itself."""
    last = _read(folder / f"{name}.json")
    return last is not None and STOPPED in last.extra


def _start(recipe: _Recipe, attempts: int = 3) -> Running:
    port = _last_port(recipe) or free_port()
    while True:
        # Before the new one holds the lock: no reader may take the old pid for that of the new one.
        recipe.file("json").unlink(missing_ok=True)
        leader, process = _spawn(recipe, port)
        try:
            return _wait(recipe, leader, process)
        except ConnectionFailed:
            _end(recipe.file("alive"), leader.pid, grace=1.0)
            attempts -= 1
            if not attempts or "address already in use" not in log_end(recipe.file("log")).lower():
                raise
        port = free_port()


def _last_port(recipe: _Recipe) -> int | None:
    # The clients of one that crashed find the next one at the same place.
    last = _read(recipe.file("json"))
    port = int(last.address.rpartition(":")[2]) if last else 0
    return port if port and is_free("127.0.0.1", port) else None


def _spawn(recipe: _Recipe, port: int) -> tuple[Running, subprocess.Popen[bytes]]:
    command = list(recipe.command(port))
    log = recipe.file("log")
    with suppress(FileNotFoundError):
        log.replace(recipe.file("log.old"))
    alive, output = open_lock(recipe.file("alive")), open_lock(log, os.O_APPEND)
    process = None
    try:
        acquire(alive, fcntl.LOCK_EX, END_LIMIT_S, f"{recipe.name} is still ending")
        process = subprocess.Popen(
            command,
            cwd=recipe.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **recipe.env},  # noqa: TID251 -- handed on whole, not read
            pass_fds=(alive,),
            start_new_session=True,
            umask=0o077,
        )
        leader = Running(process.pid, f"127.0.0.1:{port}", time.time(), dict(recipe.extra()))
        _write(recipe.file("json"), leader)
    except OSError as error:
        if process:  # no process could find it again
            process.kill()
            process.wait()
        raise ConnectionFailed(f"cannot start {recipe.name} ({' '.join(command)}): {error}") from error
    finally:
        os.close(alive)
        os.close(output)
    # Reaps it when it ends, so that a command that lives on leaves no zombie behind.
    threading.Thread(target=process.wait, name=f"reap-{recipe.name}", daemon=True).start()
    return leader, process


def _wait(recipe: _Recipe, leader: Running, process: subprocess.Popen[bytes] | None = None) -> Running:
    alive = recipe.file("alive")
    while not recipe.ready(leader.address):
        ended = not held(alive)
        if ended or time.monotonic() > recipe.deadline:
            what = f"{recipe.name} (pid {leader.pid}) does not answer at {leader.address}"
            if ended:
                code = f" with exit code {process.wait()}" if process else ""
                what = f"{recipe.name} ended while it started{code}"
            log = recipe.file("log")
            raise ConnectionFailed(
                f"{what}; its log ({log}) ends:\n{log_end(log)}", hint="fix that, then try again"
            )
        time.sleep(LOCK_POLL_INTERVAL_S)
    return leader


def log_end(log: Path) -> str:
    """The last lines of a log, as an error message quotes them."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8192))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(
        f"  | {line[:400]}" for line in lines[-LOG_TAIL_LINE_COUNT:] or ["(nothing: is the disk full?)"]
    )


def _end(alive: Path, pid: int, grace: float) -> None:
    """End the group that `pid` leads or led. The leader hears first: it knows how to end the others."""
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
        with suppress(ProcessLookupError):
            if number is signal.SIGTERM and _leads(pid):
                os.kill(pid, number)
            else:
                os.killpg(pid, number)
        deadline = time.monotonic() + seconds
        while held(alive):
            if time.monotonic() > deadline:
                break
            time.sleep(LOCK_POLL_INTERVAL_S)
        else:
            return
    raise ConnectionFailed(f"pid {pid} does not end, not even when killed; it may wait for a broken disk")


def _leads(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _read(path: Path) -> Running | None:
    try:
        record = cast("dict[str, object]", json.loads(path.read_bytes()))
        return Running(**record)  # type: ignore[arg-type] -- written by _write, in one move
    except (OSError, ValueError, TypeError):
        return None


def _write(path: Path, leader: Running) -> None:
    part = path.with_suffix(".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(leader), file)
    part.replace(path)
