"""The outbox of a device: events for the hub, on its disk until the hub has them.

Invariants
    An event is in it once by its id, also if it is put again after it was sent: the latest 10,000 ids stay.
    What waits takes at most `limit_bytes`; what happens beyond that is decided by `full`, and counted.
    A process or a machine that dies loses nothing that `put` has returned for.

Rejected: a file for each event. A limit, an order and ids that stay would each need an index of its own, and
the device has SQLite anyway: its server keeps its runs in it.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from perdure.engine.inbox.events import EVENT_OVERHEAD_BYTES, ExternalEvent
from perdure.errors import GraphError, TransientError, UsageError
from perdure.graph.text.json_dump import dump
from perdure.graph.text.load import load
from perdure.graph.values import Value
from perdure.settings import Settings

OUTBOX_FILE: Final = "outbox.db"

OUTBOX_ID_COUNT: Final = 10_000
"""Ids of events that are gone which an outbox still knows."""

REFUSED_EVENT_COUNT: Final = 1_000
"""Events that the hub has refused which an outbox still holds."""

OUTBOX_BUSY_S: Final = 30.0
"""Seconds for which one process waits for another one's change."""

FULL_HINT: Final = "look at it with `perdure edge status`; PERDURE_OUTBOX_BYTES is its limit"

Kept: TypeAlias = Literal["kept", "already", "dropped"]
"""What became of an event: it is in the outbox, it was there before, or there was no room for it."""

_OLDEST: Final = "SELECT number, bytes FROM events WHERE state = 'waiting' ORDER BY number LIMIT 1"

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, state TEXT NOT NULL,
    topic TEXT NOT NULL, key TEXT NOT NULL, at REAL NOT NULL, body TEXT NOT NULL, bytes INTEGER NOT NULL,
    since REAL NOT NULL, why TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS events_by_state ON events (state, number);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    """An event that waits, by its `number` in the order of the outbox."""

    number: int
    event: ExternalEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxStatus:
    """How an outbox is. Times are in seconds since 1970, None for never.

    `waiting`, `sent`, `refused` and `dropped` count events; `since` is when the oldest that waits was put.
    `reached` is when the hub answered last, `failed` when it did not, and `why` says what was wrong then.
    """

    waiting: int
    waiting_bytes: int
    limit_bytes: int
    since: float | None
    sent: int
    refused: int
    dropped: int
    hub: str
    reached: float | None
    failed: float | None
    why: str
    refusals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outbox:
    """The outbox in a file. `full` says what a put does that would pass `limit_bytes`.

    "wait" raises TransientError, "oldest" drops the events that have waited longest, "newest" the new one.
    """

    file: Path
    limit_bytes: int
    full: str = "wait"

    @classmethod
    def of(cls, settings: Settings) -> Outbox:
        """That of this device."""
        return cls(settings.home / OUTBOX_FILE, settings.outbox_bytes, settings.outbox_full)

    def put(self, event: ExternalEvent) -> Kept:
        """Keeps an event, which happened now if it does not say when.

        Raises TransientError if there is no room for it now, UsageError if there never is, or if the hub
        could not read it.
        """
        body = _json_of(event)
        size = sum(len(text.encode()) for text in (body, event.topic, event.key, event.id))
        size += EVENT_OVERHEAD_BYTES
        if size > self.limit_bytes:
            finding = f"event {event.id!r} has {size:,} bytes: more than the whole outbox may"
            raise UsageError(finding, hint=f"PERDURE_OUTBOX_BYTES is {self.limit_bytes:,}")
        with self._changed() as base:
            if base.execute("SELECT 1 FROM events WHERE id = ?", (event.id,)).fetchone():
                return "already"
            if not self._has_room(base, size):
                _count(base, "dropped", 1)
                return "dropped"
            names = "id, state, topic, key, at, body, bytes, since"
            now = time.time()
            row = (event.id, event.topic, event.key, event.at or round(now * 1000), body, size, now)
            base.execute(f"INSERT INTO events ({names}) VALUES (?, 'waiting', ?, ?, ?, ?, ?, ?)", row)
            _count(base, "waiting", 1)
            _count(base, "bytes", size)
        return "kept"

    def waiting(self, after: int, most: int, most_bytes: int) -> list[OutboxEvent]:
        """The events that wait behind the one of number `after`: at least one, if there is any."""
        chosen: list[OutboxEvent] = []
        left = most_bytes
        with self._changed() as base:
            rows = base.execute(
                "SELECT number, id, topic, key, at, body, bytes FROM events "
                "WHERE state = 'waiting' AND number > ? ORDER BY number LIMIT ?",
                (after, most),
            )
            for number, id, topic, key, at, body, size in rows:
                left -= size
                if chosen and left < 0:
                    break
                event = ExternalEvent(topic=topic, id=id, key=key, at=at, body=json.loads(body))
                chosen.append(OutboxEvent(number, event))
        return chosen

    def settle(self, sent: Sequence[int], refused: Iterable[tuple[int, str]]) -> None:
        """The hub has these, and has refused those for good: they wait no more."""
        with self._changed() as base:
            for number in sent:
                _end(base, number, "sent", "")
            for number, why in refused:
                _end(base, number, "refused", why)
            base.execute(
                "UPDATE events SET body = '' WHERE state = 'refused' AND number <= (SELECT number FROM "
                "events WHERE state = 'refused' ORDER BY number DESC LIMIT 1 OFFSET ?)",
                (REFUSED_EVENT_COUNT,),
            )
            _forget(base)

    def again(self) -> int:
        """Lets the events wait again that the hub has refused, as when a route was fixed: how many."""
        with self._changed() as base:
            held = "state = 'refused' AND body <> ''"
            count, size = base.execute(f"SELECT count(*), total(bytes) FROM events WHERE {held}").fetchone()
            base.execute(f"UPDATE events SET state = 'waiting', why = '' WHERE {held}")
            _count(base, "refused", -count)
            _count(base, "waiting", count)
            _count(base, "bytes", int(size))
        return count

    def note(self, hub: str, why: str) -> None:
        """The hub has answered, or, with a reason, has not."""
        with self._changed() as base:
            _set(base, "hub", hub)
            _set(base, "failed" if why else "reached", time.time())
            _set(base, "why", why)

    def status(self) -> OutboxStatus:
        """How it is."""
        with self._changed() as base:
            facts = dict(base.execute("SELECT name, value FROM facts"))
            oldest = base.execute("SELECT since FROM events WHERE state = 'waiting' ORDER BY number LIMIT 1")
            since = oldest.fetchone()
            reasons = base.execute(
                "SELECT topic, id, why FROM events WHERE state = 'refused' ORDER BY number DESC LIMIT 3"
            ).fetchall()
        return OutboxStatus(
            waiting=facts.get("waiting", 0),
            waiting_bytes=facts.get("bytes", 0),
            limit_bytes=self.limit_bytes,
            since=since[0] if since else None,
            sent=facts.get("sent", 0),
            refused=facts.get("refused", 0),
            dropped=facts.get("dropped", 0),
            hub=facts.get("hub", ""),
            reached=facts.get("reached"),
            failed=facts.get("failed"),
            why=facts.get("why", ""),
            refusals=tuple(f"{topic} {id}: {why}" for topic, id, why in reasons),
        )

    def _has_room(self, base: sqlite3.Connection, size: int) -> bool:
        """Whether an event of this size fits, after what has to go has gone."""
        taken = _fact(base, "bytes")
        if taken + size <= self.limit_bytes or self.full == "newest":
            return taken + size <= self.limit_bytes
        if self.full == "wait":
            finding = f"the outbox is full: {taken:,} of {self.limit_bytes:,} bytes wait for the hub"
            raise TransientError(finding, hint=FULL_HINT)
        while taken + size > self.limit_bytes:
            row = base.execute(_OLDEST).fetchone()
            if row is None:
                break
            _end(base, row[0], "dropped", "")
            taken -= row[1]
        _forget(base)
        return True

    @contextmanager
    def _changed(self) -> Generator[sqlite3.Connection]:
        """The database, for one transaction. Raises TransientError where it cannot be used now."""
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with closing(
                sqlite3.connect(self.file, timeout=OUTBOX_BUSY_S, isolation_level="IMMEDIATE")
            ) as base:
                base.execute("PRAGMA synchronous = FULL")
                base.executescript(_SCHEMA)
                base.execute("BEGIN IMMEDIATE")
                with base:
                    yield base
        except (sqlite3.Error, OSError) as error:
            raise TransientError(f"the outbox {self.file} cannot be used: {error}") from error


def _end(base: sqlite3.Connection, number: int, state: str, why: str) -> None:
    """An event waits no more; only what was refused keeps its body."""
    row = base.execute(
        "SELECT bytes FROM events WHERE number = ? AND state = 'waiting'", (number,)
    ).fetchone()
    if row is None:
        return
    body = "body" if state == "refused" else "''"
    base.execute(
        f"UPDATE events SET state = ?, why = ?, body = {body} WHERE number = ?", (state, why, number)
    )
    _count(base, "waiting", -1)
    _count(base, "bytes", -row[0])
    _count(base, state, 1)


def _forget(base: sqlite3.Connection) -> None:
    """Only the latest ids of events that are gone stay."""
    base.execute(
        "DELETE FROM events WHERE state <> 'waiting' AND number <= (SELECT number FROM events "
        "WHERE state <> 'waiting' ORDER BY number DESC LIMIT 1 OFFSET ?)",
        (OUTBOX_ID_COUNT,),
    )


def _json_of(event: ExternalEvent) -> str:
    """The body as JSON. Raises UsageError for an event that the gateway of the hub could not read."""
    row: dict[str, Value] = {"topic": event.topic, "key": event.key, "id": event.id, "body": event.body}
    try:
        load(dump({"events": [row]}), json=True)
        return dump(event.body).decode()
    except GraphError as error:
        why = error.problems[0].finding
    except (ValueError, TypeError, RecursionError) as error:
        why = str(error)
    raise UsageError(
        f"the hub could not read event {event.id!r}: {why}",
        hint="jsonStringify() puts what is deep or odd into a string",
    )


def _fact(base: sqlite3.Connection, name: str) -> int:
    row = base.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    return row[0] if row else 0


def _count(base: sqlite3.Connection, name: str, by: int) -> None:
    _set(base, name, _fact(base, name) + by)


def _set(base: sqlite3.Connection, name: str, value: object) -> None:
    base.execute("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", (name, value))
