"""What agents did outside: a journal of every delivery, and a sink that takes each key once.

The journal shows how often something was done, the sink that doing it again did no harm. Both are
files of one folder, the *book*, which any number of processes write to at once.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from perdure import AgentContext


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A line of the journal. `kind` is "begin", "effect" or `told` (of its cancellation).

    `run` is the id of the run and `path` the node's place in it, without marks of retries. `at` is in
    seconds since the epoch.
    """

    kind: str
    run: str
    path: str
    key: str
    attempt: int
    pid: int
    at: float


Place = tuple[str, str]
"""The id of a run, and the path of a node in it: what has one key."""


@dataclass(frozen=True)
class Book:
    """The journal and the sink of one scenario."""

    folder: Path

    def note(self, kind: str, run: str, context: AgentContext) -> None:
        """Writes a line: one write, which a kill leaves whole or undone."""
        entry = Entry(
            kind=kind,
            run=run,
            path=context.path.partition("#")[0],
            key=context.idempotency_key,
            attempt=context.attempt,
            pid=os.getpid(),
            at=time.time(),
        )
        file = os.open(self._journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, json.dumps(asdict(entry)).encode() + b"\n")
        finally:
            os.close(file)

    def effect(self, run: str, context: AgentContext) -> None:
        """The effect itself: a line in the journal, then a row of the sink where the key is new."""
        self.note("effect", run, context)
        row = (context.idempotency_key, run, context.path.partition("#")[0])
        with closing(self._sink()) as sink:
            sink.execute("INSERT OR IGNORE INTO effects VALUES (?, ?, ?)", row)

    def entries(self, kind: str | None = None, run: str | None = None) -> list[Entry]:
        """The lines so far, all or those of a kind and of a run."""
        text = self._journal.read_text() if self._journal.exists() else ""
        recorded = (Entry(**json.loads(line)) for line in text.splitlines())
        return [each for each in recorded if kind in (None, each.kind) and run in (None, each.run)]

    def rows(self) -> dict[str, Place]:
        """What the sink holds, by key."""
        with closing(self._sink()) as sink:
            return {key: (run, path) for key, run, path in sink.execute("SELECT key, run, path FROM effects")}

    @property
    def _journal(self) -> Path:
        return self.folder / "journal"

    def _sink(self) -> sqlite3.Connection:
        # Autocommit: no transaction stays open in a process that may be stopped or killed.
        sink = sqlite3.connect(self.folder / "sink.db", timeout=60.0, isolation_level=None)
        sink.execute("CREATE TABLE IF NOT EXISTS effects (key TEXT PRIMARY KEY, run TEXT, path TEXT)")
        return sink


def book_in(home: Path) -> Book:
    """A new, empty book in that folder."""
    folder = home / "book"
    folder.mkdir(parents=True)
    book = Book(folder)
    book.rows()  # makes the table, before processes race for it
    return book


@dataclass(frozen=True, kw_only=True)
class Account:
    """What the book says about the effects that were `expected`."""

    expected: int
    lost: tuple[Place, ...]
    extra: tuple[Place, ...]
    keys: int
    repeats: int

    @property
    def share(self) -> float:
        """Repeats per key."""
        return self.repeats / max(self.keys, 1)


def account(book: Book, expected: Iterable[Place]) -> Account:
    """Compares the book with the effects that there must be: one key for each, in sink and journal."""
    places_expected = set(expected)
    rows = book.rows()
    places = Counter(rows.values())
    done = book.entries("effect")
    keys = {entry.key for entry in done}
    twice = [place for place, count in places.items() if count > 1]
    strangers = [(entry.run, entry.path) for entry in done if entry.key not in rows]
    return Account(
        expected=len(places_expected),
        lost=tuple(sorted(places_expected - places.keys())),
        extra=tuple(sorted([*(places.keys() - places_expected), *twice, *strangers])),
        keys=len(keys),
        repeats=len(done) - len(keys),
    )
