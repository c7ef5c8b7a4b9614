"""Values as objects of the store: each is the payload of a value, or a delta against earlier ones.

Both are Temporal payloads, written after the codec of the connection. A delta has its extents in the
metadata, and the bytes that are new as its data; its name ends with DELTA, so that the collector of garbage
knows which objects refer to others without reading all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from perdure.errors import ObjectCorrupt
from perdure.graph.deferred import BlobRef
from perdure.storage.backend import DELTA
from perdure.storage.deltas import (
    OWN,
    Extent,
    Stored,
    assembled,
    delta_of,
    located,
    read,
    sources_of,
    written,
)
from perdure.storage.objects import Store, Writes
from perdure.storage.value_threads import in_value_thread

EXTENTS: Final = "perdure-extents"
"""The metadata of a delta that says what its value consists of."""

MAX_BASE_COUNT: Final = 4
"""Earlier values that one is compared with: the largest of the inputs of its call."""

MAX_BASE_FACTOR: Final = 4
"""An earlier value that is larger than this many times the new one is not compared with it."""


@dataclass(frozen=True, slots=True)
class ValueObjects:
    """Payloads of values in `store`, encoded by `codec`."""

    store: Store
    codec: PayloadCodec | None

    async def put(self, payload: Payload, bases: Sequence[BlobRef] = (), writes: Writes | None = None) -> str:
        """Stores the payload of a value, and returns its name.

        `bases` are values of the store that it may have much in common with, such as the inputs of the call
        that it is the result of. The caller must be able to read them. One that is the same value keeps
        its name, with today's date. `writes` as in Store.put.
        """
        compared = await self._compared(bases, len(payload.data))
        for name, metadata, value in compared:
            if metadata == dict(payload.metadata) and value.data == payload.data:
                data = await self.store.get(name)
                return await self.store.put(data, delta=name.endswith(DELTA), writes=writes)
        values = [value for _, _, value in compared]
        delta = await in_value_thread(delta_of, payload.data, values) if values else None
        if delta is None:
            return await self.store.put(await self._encoded(payload), writes=writes)
        made = Payload(data=delta.own, metadata=payload.metadata)
        made.metadata[EXTENTS] = written(delta.extents)
        return await self.store.put(await self._encoded(made), delta=True, writes=writes)

    async def get(self, name: str) -> Payload:
        """The payload of a value. Raises what Store.get raises, and ObjectCorrupt for a malformed delta."""
        (payload,) = await self._payloads([name])
        if name.endswith(DELTA):
            return Payload(data=(await self._value(name, payload)).data, metadata=_own_metadata(payload))
        return payload

    async def sources(self, name: str) -> list[str]:
        """The names of the objects that a delta refers to. Raises what `get` raises."""
        (payload,) = await self._payloads([name])
        return sources_of(_extents(name, payload))

    async def _compared(
        self, bases: Sequence[BlobRef], size: int
    ) -> list[tuple[str, dict[str, bytes], Stored]]:
        """The names, the metadata and the values of those that a value of `size` bytes is compared with."""
        worth = {base.digest: base for base in bases if base.size <= MAX_BASE_FACTOR * size}
        largest = sorted(worth.values(), key=lambda base: (-base.size, base.digest))[:MAX_BASE_COUNT]
        names = [base.digest for base in largest]
        return [
            (name, _own_metadata(payload), await self._value(name, payload))
            for name, payload in zip(names, await self._payloads(names), strict=True)
        ]

    async def _value(self, name: str, payload: Payload) -> Stored:
        """What `name` is the value of, whose own payload this is."""
        if not name.endswith(DELTA):
            return Stored(payload.data, [Extent(name, 0, len(payload.data))], {name: len(payload.data)})
        extents = _extents(name, payload)
        sources = sources_of(extents)
        held = {OWN: payload.data}
        held |= {
            source: payload.data
            for source, payload in zip(sources, await self._payloads(sources), strict=True)
        }
        try:
            data = assembled(extents, held)
        except ValueError as error:
            raise _malformed(name, error) from error
        return Stored(
            data, located(extents, name), {source or name: len(part) for source, part in held.items()}
        )

    async def _payloads(self, names: Sequence[str]) -> list[Payload]:
        objects = await asyncio.gather(*(self.store.get(name) for name in names))
        payloads = list(map(_payload, names, objects))
        return payloads if self.codec is None or not payloads else await self.codec.decode(payloads)

    async def _encoded(self, payload: Payload) -> bytes:
        coded = payload if self.codec is None else (await self.codec.encode([payload]))[0]
        return coded.SerializeToString(deterministic=True)  # the same value has the same name in any process


def _own_metadata(payload: Payload) -> dict[str, bytes]:
    """That of the value."""
    return {key: data for key, data in payload.metadata.items() if key != EXTENTS}


def _payload(name: str, data: bytes) -> Payload:
    try:
        return Payload.FromString(data)
    except DecodeError as error:
        raise _malformed(name, "it is not a payload") from error


def _extents(name: str, payload: Payload) -> list[Extent]:
    if EXTENTS not in payload.metadata:
        raise _malformed(name, "it has no extents")
    try:
        return read(payload.metadata[EXTENTS])
    except ValueError as error:
        raise _malformed(name, error) from error


def _malformed(name: str, reason: object) -> ObjectCorrupt:
    return ObjectCorrupt(
        f"object {name} of the store is malformed: {reason}",
        hint="was it written by a newer version, or with a codec that this process does not have?",
    )
