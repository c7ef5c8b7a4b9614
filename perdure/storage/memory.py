"""Objects in the memory of this process, for tests."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from typing import ClassVar

from perdure.storage.backend import ObjectInfo


class Memory:
    """A dict. All that are called alike are one, for as long as the process lives."""

    _all: ClassVar[dict[str, Memory]] = {}

    def __init__(self, name: str) -> None:
        self.place = f"memory://{name}"
        self._objects: dict[str, tuple[bytes, float]] = {}
        self._owners: dict[str, None] = {}

    @classmethod
    def named(cls, name: str) -> Memory:
        """The one of this name, which may be empty."""
        return cls._all.setdefault(name, cls(name))

    async def write(self, name: str, data: bytes) -> None:
        """See Backend."""
        self._objects[name] = (data, time.time())

    async def read(self, name: str) -> bytes | None:
        """See Backend."""
        data, _ = self._objects.get(name, (None, 0.0))
        return data

    async def holds(self, name: str) -> bool:
        """See Backend."""
        return name in self._objects

    async def list(self) -> AsyncGenerator[ObjectInfo]:
        """See Backend."""
        for name, (data, modified) in list(self._objects.items()):
            yield ObjectInfo(name, len(data), modified)

    async def remove(self, name: str, before: float) -> bool:
        """See Backend."""
        _, modified = self._objects.get(name, (b"", before))
        if modified < before:
            del self._objects[name]
        return modified < before

    def make_older(self, name: str, seconds: float) -> None:
        """Dates an object back by this many seconds."""
        self._objects[name] = (self._objects[name][0], time.time() - seconds)

    async def owners(self) -> list[str]:
        """See Backend."""
        return [*self._owners]

    async def add_owner(self, name: str) -> None:
        """See Backend."""
        self._owners[name] = None

    async def tidy(self, before: float) -> int:
        """See Backend."""
        return 0
