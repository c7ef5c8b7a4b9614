"""The SQLite file of the embedded server, looked at without touching it.

While a server has it open no other process can read it, so only its head and its mode are checked. A
database that no server has open is read as an immutable file, which needs no lock and leaves no other file
behind. A write-ahead log, which a killed server leaves, belongs to it: then a copy of both is read, because
reading in place would apply the log.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import stat
import tempfile
import time
from contextlib import closing
from pathlib import Path

from perdure import server
from perdure.cli.doctor.framework import Finding, failed, fine, warning
from perdure.errors import ConnectionFailed
from perdure.server import marker
from perdure.server.database import FINDINGS, RESTORE_HINT, check_content
from perdure.settings import Settings

DATABASE_CHECK = "database"
DATABASE_CHECK_TIMEOUT_S = 8.0
"""Seconds for SQLite's own check of the file."""

MAX_DATABASE_COPY_BYTES = 512 << 20
"""Bytes: a database with a log is copied up to this size, so that both are read together."""

SQLITE_HEADER = b"SQLite format 3\0"
SQLITE_LOCK_RANGE = (0x4000_0002, 510)
"""Where SQLite locks a file that is read: first byte, number of bytes."""


def database(settings: Settings) -> list[Finding]:
    """The file's presence, mode, head and content."""
    path = settings.home.absolute() / f"{server.SERVER_NAME}.db"
    state = marker.read(path)
    if not path.exists():
        if state == "made":
            hint = f"put it back from a backup, or delete {marker.path(path)} to begin with an empty one"
            return [failed(DATABASE_CHECK, f"{path} is gone, and with it the runs that it held", hint)]
        return [fine(DATABASE_CHECK, f"{path}: none yet; the embedded server makes it when it first starts")]
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o600 != 0o600 or not os.access(path, os.R_OK | os.W_OK):
        finding, _ = FINDINGS["SQLITE_READONLY"]
        return [failed(DATABASE_CHECK, f"{path} {finding} (mode {mode:04o})", f"chmod u+rw {path}")]
    if state != "made" and not path.stat().st_size:
        return [
            fine(
                DATABASE_CHECK, f"{path}: a first start that was cut short; the next one starts from scratch"
            )
        ]
    return [_content(path, mode, settings), *_private(path, mode)]


def _private(path: Path, mode: int) -> list[Finding]:
    if not mode & 0o077:
        return []
    return [warning(DATABASE_CHECK, f"{path}: others may read it (mode {mode:04o})", f"chmod 600 {path}")]


def _content(path: Path, mode: int, settings: Settings) -> Finding:
    head, size = _head(path), path.stat().st_size
    up = server.status(settings) is not None
    if not head.startswith(SQLITE_HEADER) and not (up and not size):
        return failed(DATABASE_CHECK, f"{path} {FINDINGS['SQLITE_NOTADB'][0]}", RESTORE_HINT)
    journal = "WAL" if head[18:19] == b"\x02" else "no WAL"
    what = f"{path}, {size / (1 << 20):.1f} MiB, {journal}, mode {mode:04o}"
    if up:
        return fine(DATABASE_CHECK, f"{what}; the server has it open, and looked at it when it started")
    if _in_use(path):
        return warning(DATABASE_CHECK, f"{what}; it {FINDINGS['SQLITE_BUSY'][0]}", FINDINGS["SQLITE_BUSY"][1])
    log = path.with_name(path.name + "-wal")
    if not log.exists() or not log.stat().st_size:
        return _verdict(path, path, what)
    if size + log.stat().st_size > min(
        MAX_DATABASE_COPY_BYTES, shutil.disk_usage(tempfile.gettempdir()).free // 2
    ):
        hint = "start the server, which works the log off (perdure dev), stop it, and look again"
        return warning(
            DATABASE_CHECK, f"{what}; not checked: a server was killed, and its log is still to do", hint
        )
    with tempfile.TemporaryDirectory(prefix="perdure-doctor-") as folder:
        for file in (path, log):
            shutil.copyfile(file, Path(folder, file.name))
        return _verdict(Path(folder, path.name), path, f"{what}, with the log of a server that was killed")


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(100)


def _in_use(path: Path) -> bool:
    """Whether a program has it open, which SQLite shows by locks on some bytes."""
    start, length = SQLITE_LOCK_RANGE
    with path.open("rb") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB, length, start)
        except OSError:
            return True
    return False


def _verdict(readable: Path, path: Path, what: str) -> Finding:
    how = "mode=ro&immutable=1" if readable == path else "mode=rw"
    deadline = time.monotonic() + DATABASE_CHECK_TIMEOUT_S
    try:
        with closing(sqlite3.connect(f"{readable.as_uri()}?{how}", uri=True)) as file:
            check_content(readable, file)
            file.set_progress_handler(lambda: time.monotonic() > deadline, 1000)
            said = file.execute("PRAGMA integrity_check(3)").fetchall()
    except ConnectionFailed as error:
        return failed(DATABASE_CHECK, error.finding.replace(str(readable), str(path)), error.hint)
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorname", "") == "SQLITE_INTERRUPT":
            hint = f"stop all servers, then: sqlite3 {path} 'PRAGMA integrity_check'"
            return warning(
                DATABASE_CHECK, f"{what}; its check did not end within {DATABASE_CHECK_TIMEOUT_S:g} s", hint
            )
        return _broken(path, error)
    if said != [("ok",)]:
        damage = "; ".join(str(row[0]).replace("\n", " ") for row in said)
        return failed(DATABASE_CHECK, f"{path} is damaged: {damage[:300]}", RESTORE_HINT)
    return fine(DATABASE_CHECK, f"{what}, integrity ok")


def _broken(path: Path, error: sqlite3.Error) -> Finding:
    code = getattr(error, "sqlite_errorname", "")
    for name, (finding, hint) in FINDINGS.items():
        if code.startswith(name):
            return failed(DATABASE_CHECK, f"{path} {finding}", hint)
    return failed(DATABASE_CHECK, f"{path}: {error} ({code})", "look that up among SQLite's result codes")
