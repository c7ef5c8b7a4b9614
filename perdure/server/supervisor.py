"""The process between the commands and Temporal: it owns the database and ends the server when idle.

It runs one `temporal server start-dev` and ends with it: a crash is not repaired here, but by the
commands that use the server, or the next one that needs it. If the supervisor itself is killed, the
kernel (Linux) or the next command (elsewhere) ends the server.
"""

from __future__ import annotations

import argparse
import os
import secrets
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from perdure import daemon
from perdure.errors import ConnectionFailed
from perdure.protocol.names import ASKS_ATTRIBUTE, GRAPH_ATTRIBUTE
from perdure.server import SERVER_NAME, database, marker
from perdure.server.probe import serves

SERVER_STOP_TIMEOUT_S = 8.0
"""Seconds that the server has to end by itself."""

MAX_LOG_BYTES = 16 << 20
"""Bytes after which the log starts again: a full disk is not to be filled with complaints about it."""

SUPERVISOR_POLL_INTERVAL_S = 2.0
"""Seconds between two looks at the leases, the log and the file; fewer where `--idle` is short."""

DYNAMIC = (
    # 20 per shard by default, of which there is one: after a burst every dispatch waits 50 ms.
    "history.transferProcessorMaxPollRPS=2000",
    "history.timerProcessorMaxPollRPS=2000",
    # 1 s by default, which every short timer and every retry delay would take at least.
    'history.timerProcessorMaxTimeShift="10ms"',
    # 1 s by default, which continue-as-new would wait for.
    'history.workflowIdReuseMinimalInterval="0s"',
    # 1 by default: a second query to a run that is taking a step would be rejected for a second.
    "history.maxBufferedQueryCount=100",
    # Otherwise a run waits until all calls of the runs before it have begun.
    "matching.enableFairness=true",
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
)

SEARCH_ATTRIBUTES = (GRAPH_ATTRIBUTE,)


@dataclass(frozen=True, kw_only=True)
class ServerArgs:
    """What is to run, as the command line says. `web` is "host:port", or empty for no web pages.

    `retention` is in days, `memory` in MB.
    """

    home: Path
    program: Path
    port: int
    web: str
    idle: float
    synchronous: str
    retention: float
    memory: int

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.home / f"{SERVER_NAME}.db"


def arguments(order: ServerArgs) -> list[str]:
    """The command line of Temporal. The file is named relative to `home`, where it runs.

    That is not only free of characters that mean something to SQLite: the server writes the name
    into the file, and does not find its search attributes when it has changed.
    """
    pragmas = ("journal_mode=WAL", f"synchronous={order.synchronous}", "locking_mode=EXCLUSIVE")
    # Otherwise any web page can start runs through the HTTP port, which cannot be turned off. A name that
    # is known beforehand would be as good as none: who controls the resolver can give it to a page.
    allowed = f'frontend.httpAllowedHosts=["{secrets.token_hex(16)}.invalid"]'
    host, _, port = order.web.rpartition(":")
    web = ["--ui-ip", host, "--ui-port", port] if order.web else ["--headless"]
    return [
        *(str(order.program), "server", "start-dev", "--ip", "127.0.0.1", "--port", str(order.port)),
        *("--db-filename", order.database.name, *web),
        *(word for pragma in pragmas for word in ("--sqlite-pragma", pragma)),
        *(word for value in (*DYNAMIC, allowed) for word in ("--dynamic-config-value", value)),
        *(word for name in SEARCH_ATTRIBUTES for word in ("--search-attribute", f"{name}=Keyword")),
        *("--search-attribute", f"{ASKS_ATTRIBUTE}=KeywordList"),
    ]


class ReadySignal:
    """Wakes the one loop when a signal arrives; `rung` once it asked for the end."""

    def __init__(self) -> None:
        self.rung = False
        self._ear, mouth = os.pipe()
        os.set_blocking(mouth, False)
        os.set_blocking(self._ear, False)
        signal.set_wakeup_fd(mouth, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._ring)

    def wait(self, seconds: float) -> None:
        """Return after that time, or as soon as a signal came."""
        if select.select([self._ear], [], [], seconds)[0]:
            os.read(self._ear, 4096)

    def _ring(self, _number: int, _frame: object) -> None:
        self.rung = True


def main(argv: Sequence[str] | None = None) -> int:
    """Run the server until it is idle, signalled to end, or dead. 0 after an orderly end, else 1."""
    order = _parse(argv)
    os.umask(0o077)
    bell = ReadySignal()
    try:
        daemon.make_private(order.home)
        owned = database.own(order.database)
        database.prepare(order.database, order.program)
        try:
            return _supervise(order, bell)
        finally:
            database.finish(order.database, order.program)
            os.close(owned)
    except (ConnectionFailed, OSError) as error:
        _say(str(error))
        return 1


def _supervise(order: ServerArgs, bell: ReadySignal) -> int:
    server = subprocess.Popen(
        arguments(order),
        cwd=order.home,
        # TEMPORAL_… variables and profiles are for clients; no secret is any business of the server. Go's
        # garbage collector takes the limit as its aim: without one, the server keeps twice what it needs.
        env={"GOMEMLIMIT": f"{order.memory}MiB"},
        stdin=subprocess.DEVNULL,
        close_fds=False,  # it inherits the locks, which then last as long as it does
        preexec_fn=_dies_with_parent(),
    )
    try:
        _await_ready(order, server, bell)
        return _watch(order, server, bell)
    finally:
        _end(server)


def _await_ready(order: ServerArgs, server: subprocess.Popen[bytes], bell: ReadySignal) -> None:
    while server.poll() is None and not bell.rung:
        if serves(f"127.0.0.1:{order.port}"):
            _set_retention(order)
            return marker.write(order.database, "made")
        bell.wait(0.02)


def _set_retention(order: ServerArgs) -> None:
    """Sets how long the namespace keeps ended runs: `start-dev` makes it one day, and has no option.

    It comes before the marker, so that no run of a new server can end before, and get its retention of a day.
    """
    seconds = round(order.retention * 86_400)
    completed = subprocess.run(
        [
            *(str(order.program), "operator", "namespace", "update", "--namespace", "default"),
            *("--retention", f"{seconds}s", "--address", f"127.0.0.1:{order.port}", "--disable-config-file"),
        ],
        env={},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if completed.returncode:
        _say(f"ended runs are kept for a day only: {completed.stderr.strip()}")


def _watch(order: ServerArgs, server: subprocess.Popen[bytes], bell: ReadySignal) -> int:
    leases = daemon.IdleWatch(order.home, SERVER_NAME)
    opened = _identity(order.database)
    while server.poll() is None:
        if bell.rung:
            return 0
        if opened is None or _identity(order.database) != opened:
            _say(f"{order.database} was deleted or replaced while it was open: the server ends")
            server.kill()  # it has nothing left to write to, and would make an empty file in its place
            server.wait()
            database.set_aside_if_empty(order.database)
            return 1
        if leases.seconds() > order.idle and daemon.retire(order.home, SERVER_NAME):
            _say(f"no process used the server for {order.idle:g} s: it ends")
            return 0
        cap_log()
        bell.wait(min(SUPERVISOR_POLL_INTERVAL_S, order.idle / 4))
    _say(f"the server ended with exit code {server.returncode}")
    return 1


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _end(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is None:
        server.terminate()
    try:
        server.wait(SERVER_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _dies_with_parent() -> Callable[[], None] | None:
    """What a child calls before it becomes the server, so that it hears of the supervisor's death."""
    if sys.platform != "linux":
        return None
    import ctypes  # noqa: PLC0415 -- not needed, and the call not there, on other systems

    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent, set_death_signal = os.getpid(), 1

    def before_exec() -> None:
        prctl(set_death_signal, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return before_exec


def cap_log() -> None:
    """Empties the log on standard output once it is too long."""
    try:
        if os.fstat(1).st_size > MAX_LOG_BYTES:
            os.ftruncate(1, 0)
    except OSError:  # a terminal or a pipe: by hand, nothing to cap
        return


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 -- its log


def _parse(argv: Sequence[str] | None) -> ServerArgs:
    parser = argparse.ArgumentParser(prog="python -m perdure.server", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--web", default="")
    parser.add_argument("--idle", type=float, default=600.0)
    parser.add_argument("--synchronous", choices=("FULL", "NORMAL"), default="FULL")
    parser.add_argument("--retention", type=float, default=90.0)
    parser.add_argument("--memory", type=int, default=200)
    return ServerArgs(**vars(parser.parse_args(argv)))
