"""A database that is read-only, deleted, cut off, none at all, too new or open elsewhere is refused."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perdure import daemon, server
from perdure.settings import Settings
from tests.faults.disk import integrity
from tests.faults.ground import Figures, chain, perdure, write_graph
from tests.support.cli import environment
from tests.support.forked import started
from tests.support.processes import AGENTS
from tests.support.waiting import wait_until

SOON = 60.0
"""Seconds within which a command must have refused."""

AT_ONCE = 2.0
"""Seconds within which a second server must have refused, besides the start of Python."""


@dataclass(frozen=True)
class Spoiled:
    """What is done to the file of a stopped server, and the words of the refusal."""

    spoil: Callable[[Path], object]
    words: str
    hint: str
    preexec: Any = None


def _newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA user_version = 999000000")


def _without_root_powers() -> None:
    # Root may write what is read-only, unless it lacks CAP_DAC_OVERRIDE (1).
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(24, 1)


CASES = {
    "read-only": Spoiled(
        lambda path: path.chmod(0o400), "cannot be written", "chmod u+w", _without_root_powers
    ),
    "deleted": Spoiled(Path.unlink, "is gone", "from a backup"),
    "cut off": Spoiled(lambda path: os.truncate(path, 100_000), "is cut off|is damaged", "from a backup"),
    "emptied": Spoiled(lambda path: os.truncate(path, 0), "is cut off|is damaged", "from a backup"),
    "no database": Spoiled(
        lambda path: path.write_text("a shopping list\n" * 999), "is not a database", "backup"
    ),
    "newer": Spoiled(_newer, "was used by Temporal Server 999.0.0", "use the newer"),
}


async def show(figures: Figures, folder: Path, *, short: bool) -> None:
    """Each of them against `perdure run`; then two servers on one file, in four ways."""
    home = folder / "home"
    graph = write_graph(folder, chain(folder / "journal", 1, 0.1))
    first = perdure(home, "run", graph, "--agents", str(AGENTS), "--id", "first")
    figures.must(first.code == 0, f"a first run: {first}")
    server.stop(Settings(home=home))
    for name, case in CASES.items():
        if not short or name in ("read-only", "no database", "newer"):
            _refused(figures, folder, home, graph, name, case)
    _deleted_while_open(figures, folder, home, graph)
    _two_servers(figures, folder, home, graph)


def _refused(figures: Figures, folder: Path, good: Path, graph: str, name: str, case: Spoiled) -> None:
    home = folder / name
    _copy(good, home)
    database = home / "temporal.db"
    case.spoil(database)
    before = database.read_bytes() if database.exists() else None
    done = perdure(home, "run", graph, "--agents", str(AGENTS), preexec=case.preexec)
    figures.fact(f"{name}: seconds to the refusal", done.seconds)
    figures.must(done.code == 3, f"{name}: {done}")
    figures.must(
        re.search(case.words, done.err) is not None and "hint: " in done.err and case.hint in done.err,
        f"{name}: {done.err}",
    )
    figures.must(done.seconds <= SOON, f"{name}: refused after {done.seconds:.1f} s")
    figures.must((database.read_bytes() if database.exists() else None) == before, f"{name}: left alone")


def _deleted_while_open(figures: Figures, folder: Path, good: Path, graph: str) -> None:
    home = folder / "lost"
    _copy(good, home)
    settings = Settings(home=home)
    with server.lease(settings):
        server.ensure(settings)
        (home / "temporal.db").unlink()
        at_once = perdure(home, "run", graph, "--agents", str(AGENTS))
        wait_until(lambda: server.status(settings) is None, "the server has ended")
        later = perdure(home, "run", graph, "--agents", str(AGENTS))
    for name, done in (("at once", at_once), ("later", later)):
        figures.fact(f"deleted under it, {name}: seconds to the refusal", done.seconds)
        figures.must(
            done.code == 3 and "hint: " in done.err and "backup" in done.err, f"lost, {name}: {done}"
        )
        figures.must(done.seconds <= SOON, f"lost, {name}: refused after {done.seconds:.1f} s")
    figures.must(not (home / "temporal.db").exists(), "no new database instead of the lost one")


def _two_servers(figures: Figures, folder: Path, good: Path, graph: str) -> None:
    home = folder / "shared"
    _copy(good, home)
    dev = started(folder, environment(home), ["dev"], stderr=subprocess.DEVNULL, text=True)
    assert dev.stdout is not None
    try:
        while "Ctrl-C stops" not in dev.stdout.readline():
            assert dev.poll() is None, "`perdure dev` has ended"
        _second(figures, home, "supervisor", "has this database open", _supervisor(home), AT_ONCE)
        _second(figures, home, "temporal", "database is locked", _temporal(), SOON)
        second = perdure(home, "run", graph, "--agents", str(AGENTS))
        figures.must(second.code == 0, f"a run next to `perdure dev`: {second}")
    finally:
        dev.send_signal(signal.SIGINT)
        dev.communicate(timeout=60)
    hand = subprocess.Popen(
        _temporal(), cwd=home, env={}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: daemon.answers(f"127.0.0.1:{_port_of(hand)}"), "the server by hand serves")
        done = perdure(home, "run", graph, "--agents", str(AGENTS))
    finally:
        hand.terminate()
        hand.wait()
    figures.fact("server by hand: seconds to the refusal", done.seconds)
    figures.must(done.code == 3 and "is open in another program" in done.err, f"next to one by hand: {done}")
    again = perdure(home, "run", graph, "--agents", str(AGENTS))
    figures.must(again.code == 0, f"after all that: {again}")
    server.stop(Settings(home=home))
    figures.must(integrity(home / "temporal.db") == "ok", "the database is whole")


def _second(figures: Figures, home: Path, name: str, words: str, command: list[str], limit: float) -> None:
    began = time.monotonic()
    done = subprocess.run(
        command, cwd=home, env=environment(home), capture_output=True, text=True, check=False, timeout=60
    )
    took = time.monotonic() - began
    figures.fact(f"second {name}: seconds to the refusal", took)
    figures.must(done.returncode != 0, f"second {name}: {done}")
    figures.must(words in done.stdout + done.stderr, f"second {name}: {done}")
    figures.must(took <= limit, f"second {name}: refused after {took:.1f} s")


def _supervisor(home: Path) -> list[str]:
    words = ("--home", str(home), "--program", str(server.find()), "--port", str(daemon.free_port()))
    return [sys.executable, "-m", "perdure.server", *words]


def _temporal() -> list[str]:
    words = ("--headless", "--ip", "127.0.0.1", "--port", str(daemon.free_port()))
    return [str(server.find()), "server", "start-dev", "--db-filename", "temporal.db", *words]


def _port_of(process: subprocess.Popen[bytes]) -> str:
    command = [str(word) for word in process.args]
    return command[command.index("--port") + 1]


def _copy(home: Path, to: Path) -> None:
    to.mkdir(mode=0o700)
    for path in home.glob("temporal.db*"):
        (to / path.name).write_bytes(path.read_bytes())
    (to / "temporal.made").write_text("made")
