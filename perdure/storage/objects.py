"""The store that others see: bytes by their hash, checked, cached, within a time limit."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import TypeAlias

from perdure.errors import ObjectCorrupt, ObjectMissing, StoreUnavailable, UsageError
from perdure.storage.backend import DELTA, DIGEST_CHARS, MIN_GARBAGE_AGE_S, OBJECT_NAME, Backend, ObjectInfo
from perdure.storage.cache import ObjectCache
from perdure.storage.traffic import count
from perdure.storage.value_threads import in_value_thread

CACHE_BYTES = 64_000_000
OBJECT_TIMEOUT_S = 120.0
"""Seconds for one object, with all attempts and waiting."""

MISSING_OBJECT_DELAYS_S = (0.1, 0.4, 1.5, 3.0)
"""Seconds to wait for an object that is not there: on a shared folder another host sees it a little later."""

RECENTLY_PUT_S = 60.0
"""Seconds for which what this process has put need not be put again."""

LOOKUP_COUNT = 32
"""Objects that are looked up at a time."""

THREADED_HASH_BYTES = 1_000_000
"""Bytes from which hashing takes long enough to leave the event loop for it."""

Writes: TypeAlias = list[asyncio.Task[None]]
"""Objects that are on their way: each is stored once its task has ended."""


class Store:
    """Objects in one place, used from one event loop.

    `cache_bytes` bounds what is kept in memory, `timeout` (seconds) every call, `missing_delays_s`
    is how often and how long `get` waits before an object counts as missing.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        cache_bytes: int = CACHE_BYTES,
        timeout: float = OBJECT_TIMEOUT_S,
        missing_delays_s: tuple[float, ...] = MISSING_OBJECT_DELAYS_S,
    ) -> None:
        self._backend = backend
        self._timeout = timeout
        self._missing_delays_s = missing_delays_s
        self._reading: dict[str, asyncio.Task[bytes]] = {}
        self.cache = ObjectCache(cache_bytes)

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return self._backend.place

    async def put(self, data: bytes, *, delta: bool = False, writes: Writes | None = None) -> str:
        """Stores `data` so that it survives a power cut; returns its name, the SHA-256 in hex.

        With `writes`, it returns as soon as the name is known, and adds what is left to wait for to them.

        The name of a `delta`, an object that refers to others, says so.
        What is there already is not written again, but its date is renewed: nothing that was put
        within the last hour is ever removed. Raises StoreUnavailable.
        """
        name = await _digest(data) + (DELTA if delta else "")
        now = time.time()
        if not 0 <= now - self.cache.put_at(name) < RECENTLY_PUT_S:
            if writes is None:
                await self._write(name, data, now)
            else:
                self.cache.add(name, data)  # who needs it meanwhile has it from here
                writes.append(asyncio.create_task(self._write(name, data, now)))
        return name

    async def _write(self, name: str, data: bytes, now: float) -> None:
        async with self._limited("write", name):
            await self._backend.write(name, data)
        count("put", len(data))
        self.cache.add(name, data, put=now)

    async def get(self, digest: str) -> bytes:
        """The bytes of an object; several who ask at once share one reading.

        Raises ObjectMissing, ObjectCorrupt, StoreUnavailable, and UsageError for an invalid name.
        """
        if not OBJECT_NAME.fullmatch(digest):
            raise UsageError(f"{digest[:80]!r} names no object: a name is a SHA-256 as 64 hex digits")
        data = self.cache.get(digest)
        if data is not None:
            count("cached", len(data))
            return data
        task = self._reading.get(digest)
        if task is None:
            task = self._reading[digest] = asyncio.create_task(self._read(digest))
            task.add_done_callback(lambda done: self._read_done(digest, done))
        return await asyncio.shield(task)  # one who gives up does not take it from the others

    async def missing(self, digests: Iterable[str]) -> set[str]:
        """Those of these names that no object has. Raises StoreUnavailable."""
        gate = asyncio.Semaphore(LOOKUP_COUNT)

        async def is_missing(name: str) -> bool:
            async with gate, self._limited("lookup", name):
                return not await self._backend.holds(name)

        names = list(dict.fromkeys(digests))
        absent = await asyncio.gather(*map(is_missing, names))
        return {name for name, is_absent in zip(names, absent, strict=True) if is_absent}

    async def list(self) -> AsyncGenerator[ObjectInfo]:
        """Every object there is, in no order. Raises StoreUnavailable."""
        async for item in self._backend.list():
            yield item

    async def remove(self, digest: str, before: float) -> bool:
        """Removes an object that was put last before `before` (seconds since 1970); whether it did.

        One that was put within the last hour stays, whatever `before` is. Raises StoreUnavailable.
        """
        before = min(before, time.time() - MIN_GARBAGE_AGE_S)
        async with self._limited("removal", digest):
            removed = await self._backend.remove(digest, before)
        if removed:
            self.cache.drop(digest)
        return removed

    async def own(self, owner: str) -> list[str]:
        """Notes that `owner` uses the store, and gives the others that do. Raises StoreUnavailable.

        `owner` consists of letters, digits and `-._`. What one does not refer to, another may need.
        """
        async with self._limited("note", owner):
            owners = await self._backend.owners()
            if owner not in owners:
                await self._backend.add_owner(owner)
        return sorted({*owners} - {owner})

    async def tidy(self, before: float) -> int:
        """Removes what is left of writers that died before `before`; how many pieces."""
        return await self._backend.tidy(min(before, time.time() - MIN_GARBAGE_AGE_S))

    async def _read(self, name: str) -> bytes:
        async with self._limited("read", name):
            data = await self._backend.read(name)
            for pause in self._missing_delays_s:
                if data is not None:
                    break
                await asyncio.sleep(pause)
                data = await self._backend.read(name)
        if data is None:
            raise ObjectMissing(
                f"object {name} is not in the store {self.place}",
                hint="was it deleted too early (PERDURE_STORE_RETENTION), or put into another store? "
                "PERDURE_STORE must be the same for all clients and workers",
            )
        if await _digest(data) != name[:DIGEST_CHARS]:
            raise ObjectCorrupt(
                f"object {name} in the store {self.place} is damaged: its {len(data):,} bytes have "
                "another hash",
                hint="bring it back from a backup, or delete it and start the run again",
            )
        count("got", len(data))
        self.cache.add(name, data)
        return data

    def _read_done(self, name: str, task: asyncio.Task[bytes]) -> None:
        del self._reading[name]
        if not task.cancelled():
            task.exception()  # those who asked have it; when all have given up, it is dropped

    @asynccontextmanager
    async def _limited(self, what: str, name: str) -> AsyncGenerator[None]:
        try:
            async with asyncio.timeout(self._timeout):
                yield
        except TimeoutError as error:
            raise StoreUnavailable(
                f"the store {self.place} did not end the {what} of object {name} within {self._timeout:g} s",
                hint="look whether it is reachable, and how loaded it is",
            ) from error


async def _digest(data: bytes) -> str:
    if len(data) < THREADED_HASH_BYTES:
        return hashlib.sha256(data).hexdigest()
    return await in_value_thread(lambda: hashlib.sha256(data).hexdigest())
