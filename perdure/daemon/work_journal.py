"""What a worker is at, written so that it can be read after the death of its process.

Why
    A run whose workflow task or segment ends the process (memory, a segmentation fault, os._exit) goes to the
    next worker, and ends that one too. The server only knows that a workflow task has timed out. Which
    runs were at work at that moment, only the process knew that is gone.

Invariants
    Each worker has a file, which it keeps locked; a file that is not locked was left by a dead one. It is
    mapped into memory: what was written before a SIGKILL is in it, and nothing is ever synced.
    A run that has come further than where it was at work is not suspected any more.
    A run whose next death would be the last is at work alone among such runs: one that was at work at the
    same moment by chance is counted once or twice, and comes further.

Rejected
    A file for each task: to make and remove one costs as much as the task.
    The attempts that the server counts for a workflow task: they need a request for each one, and count
    workers that were slow or stopped as well.
"""

from __future__ import annotations

import fcntl
import logging
import mmap
import os
import secrets
import struct
import threading
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from perdure.daemon.locks import acquire, make_private, open_lock
from perdure.daemon.worker_deaths import SUFFIX, TASK, Mark, WorkerDeaths
from perdure.errors import ConnectionFailed

LOG = logging.getLogger("perdure")

MARK_COUNT: Final = 256
"""Tasks and segments of one worker that are noted at a time; more are not noted."""

MARK_HEAD_BYTES: Final = 192
"""Bytes of a mark that say what is at work ..."""

MARK_PLACE_BYTES: Final = 320
"""... and where it is, of which more is cut."""

_MARK_BYTES: Final = MARK_HEAD_BYTES + MARK_PLACE_BYTES
_WHOLE: Final = struct.Struct(f"{MARK_HEAD_BYTES}s{MARK_PLACE_BYTES}s")
_PLACE: Final = struct.Struct(f"{MARK_PLACE_BYTES}s")

SUSPECTS: Final = threading.Lock()
"""Held by the suspect that is at work in this process."""


def head(kind: str, run: str, name: str) -> bytes:
    """The beginning of a mark: of a `run` with the id `name`, of which only the beginning may be kept."""
    return f"{kind}\t{run}\t{name}".encode(errors="replace")


def shortened(place: str) -> str:
    """The place as it is read again."""
    return place.encode(errors="replace")[:MARK_PLACE_BYTES].decode("latin-1")


def read_marks(data: bytes) -> Iterator[Mark]:
    """What was at work, by the journal of a process that is gone; what is damaged is left out."""
    for offset in range(0, len(data) - _MARK_BYTES + 1, _MARK_BYTES):
        first, _, _ = data[offset : offset + MARK_HEAD_BYTES].partition(b"\0")
        place, _, _ = data[offset + MARK_HEAD_BYTES : offset + _MARK_BYTES].partition(b"\0")
        parts = first.decode(errors="replace").split("\t", 2)
        text = place.decode("latin-1")
        if len(parts) == 3 and (parts[0] != TASK or text.isdecimal()):
            kind, run, name = parts
            yield Mark(kind, run, name, text)


@dataclass(slots=True)
class WorkJournal:
    """The journal of one worker, in `folder`. Before it is `opened`, or if it cannot be, it notes nothing.

    `limit` is how many processes may die with a run at work in its workflow tasks.
    """

    folder: Path
    limit: int
    deaths: WorkerDeaths = field(init=False)
    _own: Path | None = None
    _map: mmap.mmap | bytearray = field(default_factory=bytearray)
    _free: deque[int] = field(default_factory=deque[int])

    def __post_init__(self) -> None:
        self.deaths = WorkerDeaths(self.folder, read_marks)

    @contextmanager
    def opened(self) -> Generator[None]:
        """Notes what is at work as long as the context lasts."""
        lock = -1
        try:
            make_private(self.folder)
            lock = self._open()
        except (OSError, ConnectionFailed) as error:
            LOG.warning(
                "%s: what ends this process will not be known to the next one: %s", self.folder, error
            )
        self.look()
        try:
            yield
        finally:
            self._free.clear()
            if self._own is not None:
                self._own.unlink(missing_ok=True)
            if lock >= 0:
                os.close(lock)

    def look(self) -> None:
        """Counts the processes that have died."""
        self.deaths.look(self._own)

    def begin(self, first: bytes, place: str) -> int:
        """Notes that what `head` has written is at work; the number of the mark, -1 where it is not noted."""
        try:
            mark = self._free.pop()
        except IndexError:
            return -1
        _WHOLE.pack_into(self._map, mark, first, place.encode(errors="replace"))
        return mark

    def at(self, mark: int, place: str) -> None:
        """Notes the place at which it is now."""
        if mark >= 0:
            _PLACE.pack_into(self._map, mark + MARK_HEAD_BYTES, place.encode(errors="replace"))

    def end(self, mark: int) -> None:
        """It is over."""
        if mark >= 0:
            self._map[mark] = 0
            self._free.append(mark)

    def _open(self) -> int:
        name = f"{os.getpid()}-{secrets.token_hex(4)}"
        part, own = self.folder / f"{name}.part", self.folder / f"{name}{SUFFIX}"
        lock = open_lock(part)
        try:
            acquire(lock, fcntl.LOCK_EX, 0.0, f"{part} is taken")
            size = MARK_COUNT * _MARK_BYTES
            os.write(lock, bytes(size))  # to write into a hole would end the process when the disk is full
            self._map = mmap.mmap(lock, size)
            part.replace(own)
        except BaseException:
            os.close(lock)
            part.unlink(missing_ok=True)
            raise
        self._own = own
        self._free.extend(range(0, size, _MARK_BYTES))
        return lock
