"""What guards the database of the embedded server: one owner, and no silent loss.

`temporal.db.lock` is held by the process that runs a server on the SQLite file, and holds its pid; the
marker (perdure.server.marker) says whether the file may be missing or unfinished; and the file's own
`user_version` names the newest server that used it.
"""

from __future__ import annotations

import fcntl
import os
import re
import sqlite3
import subprocess
from contextlib import closing, suppress
from pathlib import Path

from perdure.daemon.locks import open_lock
from perdure.errors import ConnectionFailed
from perdure.server import marker
from perdure.version import installation

RESTORE_HINT = "put it back from a backup, or move it and temporal.made away to begin with an empty one"

FINDINGS = {
    "SQLITE_READONLY": ("cannot be written", "make the file and its folder writable (chmod u+w)"),
    "SQLITE_BUSY": ("is open in another program", "close that program; a second server is never started"),
    "SQLITE_FULL": ("cannot grow: the disk is full", "free some space; nothing is lost"),
    "SQLITE_NOTADB": ("is not a database", RESTORE_HINT),
    "SQLITE_CORRUPT": ("is damaged", RESTORE_HINT),
    "SQLITE_CANTOPEN": ("cannot be opened", "make the file and its folder readable and writable"),
    "SQLITE_IOERR": (
        "cannot be read or written",
        "repair the disk; restore the file from a backup if necessary",
    ),
}


def own(database: Path) -> int:
    """Become the one server of the file; it stays so until the descriptor, which children inherit, is closed.

    Raises:
        ConnectionFailed: another server has it; the message names its pid.
    """
    lock = open_lock(database.with_name(database.name + ".lock"))
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.read(lock, 20).decode(errors="replace").strip()
        os.close(lock)
        raise ConnectionFailed(
            f"{database}: a server (pid {pid}) has this database open, and two would destroy it",
            hint=f"use that server, or stop it (kill {pid})",
        ) from None
    os.ftruncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    os.set_inheritable(lock, True)
    return lock


def prepare(database: Path, program: Path) -> None:
    """Make sure that a server may start on the file, or on none yet.

    Raises:
        ConnectionFailed: it is gone, cut off, damaged, not writable, or of a newer server.
    """
    state = marker.read(database)
    if database.exists() and state != "made" and (state == "new" or not database.stat().st_size):
        _set_aside(database)
    if database.exists():
        _check(database, program)
    elif state == "made":
        raise ConnectionFailed(
            f"{database} is gone, and with it the runs that it held",
            hint=f"put it back from a backup, or delete {marker.path(database)} to begin with an empty one",
        )
    else:
        marker.write(database, "new")


def finish(database: Path, program: Path) -> None:
    """After the server ended: move what is still in the write-ahead log into the file itself."""
    with suppress(ConnectionFailed):
        _check(database, program)


def set_aside_if_empty(database: Path) -> None:
    """After a server lost its file: move away the one without content that it may have made instead."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True)) as file:
        if not file.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            _set_aside(database)


def _set_aside(database: Path) -> None:
    # A first start that was cut short leaves a file that no server can use, and nothing in it.
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            path = database.with_name(database.name + suffix)
            path.replace(path.with_name(f"{path.name}.unfinished"))


def _check(database: Path, program: Path) -> None:
    if not os.access(database, os.R_OK | os.W_OK):  # SQLite itself reports it in several ways
        raise _refusal(database, "SQLITE_READONLY")
    try:
        file = sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True, timeout=1.0, isolation_level=None)
        with closing(file):
            file.execute("PRAGMA locking_mode=EXCLUSIVE")
            file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            check_content(database, file)
            _check_version(database, file, _version(program))
    except sqlite3.Error as error:
        raise _refusal(database, getattr(error, "sqlite_errorname", ""), str(error)) from error


def _refusal(database: Path, code: str, text: str = "") -> ConnectionFailed:
    for name, (finding, hint) in FINDINGS.items():
        if code.startswith(name):
            return ConnectionFailed(f"{database} {finding}", hint=hint)
    return ConnectionFailed(f"{database}: {text} ({code})", hint="look that up among SQLite's result codes")


def check_content(database: Path, file: sqlite3.Connection) -> None:
    """Raises ConnectionFailed, or sqlite3.Error, where `file`, which is `database`, is not a whole one."""
    pages, size = (file.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    tables = {row[0] for row in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if database.stat().st_size < pages * size or not {"namespaces", "executions"} <= tables:
        raise ConnectionFailed(f"{database} is cut off or not a database of Temporal", hint=RESTORE_HINT)


def _check_version(database: Path, file: sqlite3.Connection, version: int) -> None:
    recorded = file.execute("PRAGMA user_version").fetchone()[0]
    if version and recorded // 1000 > version // 1000:
        raise ConnectionFailed(
            f"{database} was used by Temporal Server {_dotted(recorded)}; this one is {_dotted(version)}",
            hint=f"use the newer `temporal` program ({installation('server')}, with -U; PATH comes first)",
        )
    file.execute(f"PRAGMA user_version = {max(version, recorded)}")  # fails where nothing can be written


def _version(program: Path) -> int:
    """Temporal Server's version as one number, 1.32.0 as 1032000; 0 if the program does not report it."""
    said = subprocess.run([program, "--version"], env={}, capture_output=True, text=True, check=False)
    match = re.search(r"Server (\d+)\.(\d+)\.(\d+)", said.stdout)
    if not match:
        return 0
    major, minor, patch = map(int, match.groups())
    return (major * 1000 + minor) * 1000 + patch


def _dotted(version: int) -> str:
    return f"{version // 1_000_000}.{version // 1000 % 1000}.{version % 1000}"
