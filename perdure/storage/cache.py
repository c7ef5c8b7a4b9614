"""What was read or written lately, so that a value that passes through many nodes is read once."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass


@dataclass(slots=True)
class _Entry:
    data: bytes
    put: float


class ObjectCache:
    """Objects by name, no more than `limit` bytes in all; those used longest ago go first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self.size = 0
        """Bytes it holds."""

    def get(self, name: str) -> bytes | None:
        """The bytes of an object, if it is here."""
        entry = self._entries.get(name)
        if entry is None:
            return None
        self._entries.move_to_end(name)
        return entry.data

    def put_at(self, name: str) -> float:
        """When this process put the object, in seconds since 1970; 0 for long ago."""
        entry = self._entries.get(name)
        return 0.0 if entry is None else entry.put

    def add(self, name: str, data: bytes, put: float = 0.0) -> None:
        """Keeps an object. `put` is the time, if it was put and not read."""
        self.drop(name)
        if len(data) > self._limit:
            return
        self._entries[name] = _Entry(data, put)
        self.size += len(data)
        while self.size > self._limit:
            _, oldest = self._entries.popitem(last=False)
            self.size -= len(oldest.data)

    def drop(self, name: str) -> None:
        """Forgets an object."""
        entry = self._entries.pop(name, None)
        if entry is not None:
            self.size -= len(entry.data)
