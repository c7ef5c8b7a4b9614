"""Objects in a bucket: S3 and what speaks its protocol, Google Cloud Storage, Azure.

A bucket has no dates that can be set and no renaming, so a collector that is about to remove an
object announces it with another object, under ``removing/``: a writer of the object waits meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, cast

import obstore
from obstore.exceptions import BaseError
from obstore.store import from_url

from perdure.errors import StoreUnavailable, UsageError
from perdure.storage.backend import OBJECT_NAME, RENEWAL_INTERVAL_S, ObjectInfo

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ClientConfig, RetryConfig

OBJECTS = "objects"
OWNERS = "owners"
REMOVING = "removing"
REMOVAL_POLL_INTERVAL_S = 0.5
"""Seconds between looks whether a removal has ended."""

STALE_REMOVAL_S = 600.0
"""Seconds after which a collector that never ended a removal does not hold up anybody any more."""

MAX_CLOCK_SKEW_S = 300.0
"""Seconds by which the clock of the store may be ahead of ours before its dates are not believed."""

# Over HTTP goes only what an address in the environment that says so asks for.
CLIENT: ClientConfig = {
    "timeout": timedelta(seconds=120),
    "connect_timeout": timedelta(seconds=5),
    "allow_http": True,
}
RETRY: RetryConfig = {"max_retries": 5, "retry_timeout": timedelta(seconds=60)}

Result = TypeVar("Result")


class Remote:
    """A bucket, or what is under a prefix of one. Credentials and region come from the environment."""

    def __init__(self, url: str) -> None:
        self.place = url
        try:
            make: Any = from_url  # its overloads want to know the kind of the store
            self._bucket: Any = make(url, client_options=CLIENT, retry_config=RETRY)
        except (BaseError, ValueError) as error:
            raise UsageError(
                f"store {url!r}: {_reason(error)}",
                hint="credentials, region and address come from the environment",
            ) from error

    async def write(self, name: str, data: bytes) -> None:
        """See Backend. The order of the lookups makes it safe while a collector runs."""
        key = f"{OBJECTS}/{name}"
        while True:
            head = await self._head(key)
            if await self._being_removed(name):
                await asyncio.sleep(REMOVAL_POLL_INTERVAL_S)
                continue
            if head is not None and head["size"] == len(data) and _is_fresh(head):
                return
            await self._request(obstore.put_async(self._bucket, key, data, use_multipart=False))
            if head is None:
                return
            # It was old: a collector may have looked at it just before, and remove it now.
            if not await self._being_removed(name) and await self._head(key) is not None:
                return

    async def read(self, name: str) -> bytes | None:
        """See Backend."""
        return await self._or_none(self._get(f"{OBJECTS}/{name}"))

    async def holds(self, name: str) -> bool:
        """See Backend."""
        return await self._head(f"{OBJECTS}/{name}") is not None

    async def list(self) -> AsyncGenerator[ObjectInfo]:
        """See Backend."""
        async for item in self._items(OBJECTS):
            name = item["path"].rpartition("/")[2]
            if OBJECT_NAME.fullmatch(name):
                yield ObjectInfo(name, item["size"], item["last_modified"].timestamp())

    async def remove(self, name: str, before: float) -> bool:
        """See Backend. A removal that fails may still be carried out: then the sign stays, and gets stale."""
        key, sign = f"{OBJECTS}/{name}", f"{REMOVING}/{name}"
        await self._request(obstore.put_async(self._bucket, sign, b"", use_multipart=False))
        head = await self._head(key)
        old = head is not None and head["last_modified"].timestamp() < before
        if old:
            await self._request(obstore.delete_async(self._bucket, key))
        await self._request(obstore.delete_async(self._bucket, sign))
        return old

    async def owners(self) -> list[str]:
        """See Backend."""
        return [item["path"].rpartition("/")[2] async for item in self._items(OWNERS)]

    async def add_owner(self, name: str) -> None:
        """See Backend."""
        await self._request(obstore.put_async(self._bucket, f"{OWNERS}/{name}", b"", use_multipart=False))

    async def tidy(self, before: float) -> int:
        """See Backend."""
        count = 0
        async for item in self._items(REMOVING):
            if item["last_modified"].timestamp() < before:
                await self._request(obstore.delete_async(self._bucket, item["path"]))
                count += 1
        return count

    async def _items(self, prefix: str) -> AsyncGenerator[ObjectMeta]:
        pages: AsyncIterator[Sequence[ObjectMeta]] = cast(Any, obstore).list(
            self._bucket, prefix, chunk_size=1000
        )
        while True:
            page = await self._request(anext(pages, None))
            if page is None:
                return
            for item in page:
                yield item

    async def _being_removed(self, name: str) -> bool:
        sign = await self._head(f"{REMOVING}/{name}")
        return sign is not None and time.time() - sign["last_modified"].timestamp() < STALE_REMOVAL_S

    async def _head(self, key: str) -> ObjectMeta | None:
        return await self._or_none(obstore.head_async(self._bucket, key))

    async def _get(self, key: str) -> bytes:
        answer = await obstore.get_async(self._bucket, key)
        return bytes(await answer.bytes_async())

    async def _or_none(self, call: Awaitable[Result]) -> Result | None:
        """The result of `call`; None if there is no such object."""
        try:
            return await self._request(call, missing=True)
        except FileNotFoundError:
            return None

    async def _request(self, call: Awaitable[Result], *, missing: bool = False) -> Result:
        """What is asked for. `missing` lets FileNotFoundError through where the bucket itself is there."""
        try:
            return await call
        except FileNotFoundError as error:
            reason = _reason(error)
            if missing and "NoSuchBucket" not in str(error) and "ContainerNotFound" not in str(error):
                raise
            raise self._unavailable(reason) from error
        except (BaseError, OSError, ValueError) as error:
            raise self._unavailable(_reason(error)) from error

    def _unavailable(self, reason: str) -> StoreUnavailable:
        return StoreUnavailable(
            f"the store {self.place}: {reason}",
            hint=(
                "look whether it is reachable, whether it exists, and whether "
                "the credentials in the environment may read, write, list and delete there"
            ),
        )


def _is_fresh(head: ObjectMeta) -> bool:
    return -MAX_CLOCK_SKEW_S < time.time() - head["last_modified"].timestamp() < RENEWAL_INTERVAL_S


def _reason(error: Exception) -> str:
    """The first lines of an error, without what obstore adds for its own developers."""
    return " ".join(str(error).partition("Debug source:")[0].split())[:500].rstrip(". ")
