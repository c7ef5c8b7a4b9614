"""What a place for objects must be able to do, and what they all agree on."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final, Protocol

DELTA: Final = "-delta"
"""How the name ends of an object that refers to others."""

DIGEST_CHARS: Final = 64

OBJECT_NAME: Final = re.compile(rf"[0-9a-f]{{{DIGEST_CHARS}}}(?:{DELTA})?")
"""The name of an object: the SHA-256 of its bytes, and whether it refers to others."""

HOUR_S: Final = 3600.0
MIN_GARBAGE_AGE_S: Final = HOUR_S
"""Seconds: a younger object is never removed, so that its writer has the time to refer to it."""

RENEWAL_INTERVAL_S: Final = HOUR_S / 6
"""Seconds for which an object need not be renewed when it is put again: far less than `MIN_GARBAGE_AGE_S`."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object in a list: its name, its bytes, and when it was put last (seconds since 1970)."""

    name: str
    size: int
    modified: float


class Backend(Protocol):
    """Named bytes in one place. Whatever hinders raises StoreUnavailable."""

    @property
    def place(self) -> str:
        """Where it is, for people: a URL without secrets."""
        ...

    async def write(self, name: str, data: bytes) -> None:
        """Puts an object there, whole or not at all, or renews the date of the one that is there."""
        ...

    async def read(self, name: str) -> bytes | None:
        """The bytes of an object, None if there is none."""
        ...

    async def holds(self, name: str) -> bool:
        """Whether there is such an object."""
        ...

    def list(self) -> AsyncGenerator[ObjectInfo]:
        """Every object, in no order."""
        ...

    async def remove(self, name: str, before: float) -> bool:
        """Removes an object unless it was put, or put again, at `before` or later; whether it did.

        An object that is put at this very moment exists afterwards.
        """
        ...

    async def owners(self) -> list[str]:
        """The names that `add_owner` has noted."""
        ...

    async def add_owner(self, name: str) -> None:
        """Notes that `name` uses the store: letters, digits and `-._`; a repeat changes nothing."""
        ...

    async def tidy(self, before: float) -> int:
        """Removes what writers that died before `before` left behind; how many pieces."""
        ...
