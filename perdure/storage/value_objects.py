"""Values as objects of the store: each is the payload of a value, or a delta against earlier ones.

Both are Temporal payloads, written after the codec of the connection. A delta has its extents in the
metadata, and the bytes that are new as its data; its name ends with DELTA, so that the collector of garbage
knows which objects refer to others without reading all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from perdure.errors import ObjectCorrupt
from perdure.graph.deferred import BlobRef
from perdure.protocol.wire import BINARY_ENCODING, Written
from perdure.storage.backend import DELTA
from perdure.storage.common_ranges import same_bytes
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
from perdure.storage.flat_payloads import Bytes, FlatPayload, flat, read_payload, written_payload
from perdure.storage.objects import Store, Writes
from perdure.storage.value_threads import in_value_thread

Parsed = TypeVar("Parsed")

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

    async def put(self, value: Written, bases: Sequence[BlobRef] = (), writes: Writes | None = None) -> str:
        """Stores a value, and returns its name.

        `bases` are values of the store that it may have much in common with, such as the inputs of the call
        that it is the result of. The caller must be able to read them. One that is the same value keeps
        its name, with today's date. `writes` as in Store.put.
        """
        compared = await self._compared(bases, value)
        whole = await in_value_thread(written_payload, value.metadata, value.parts)
        if not compared:
            return await self.store.put(await self._coded(whole), writes=writes)
        data = read_payload(whole).data
        for name, metadata, base in compared:
            if metadata == value.metadata and same_bytes(base.data, data):
                stored = await self.store.get(name)
                return await self.store.put(stored, delta=name.endswith(DELTA), writes=writes)
        values = [base for _, _, base in compared]
        delta = await in_value_thread(partial(delta_of, data, values, arrays=_has_arrays(value)))
        if delta is None:
            return await self.store.put(await self._coded(whole), writes=writes)
        extents = {EXTENTS: written(delta.extents)}
        made = await self._coded(written_payload({**value.metadata, **extents}, [delta.own]))
        return await self.store.put(made, delta=True, writes=writes)

    async def get(self, name: str) -> FlatPayload:
        """The payload of a value. Raises what Store.get raises, and ObjectCorrupt for a malformed delta."""
        (payload,) = await self._payloads([name])
        if name.endswith(DELTA):
            return FlatPayload(_own_metadata(payload), (await self._value(name, payload)).data)
        return payload

    async def sources(self, name: str) -> list[str]:
        """The names of the objects that a delta refers to. Raises what `get` raises."""
        (payload,) = await self._payloads([name])
        return sources_of(_extents(name, payload))

    async def _compared(
        self, bases: Sequence[BlobRef], value: Written
    ) -> list[tuple[str, dict[str, bytes], Stored]]:
        """The names, the metadata and the values of those that `value` is compared with."""
        worth = {base.digest: base for base in bases if base.size <= MAX_BASE_FACTOR * value.size}
        largest = sorted(worth.values(), key=lambda base: (-base.size, base.digest))[:MAX_BASE_COUNT]
        names = [base.digest for base in largest]
        return [
            (name, _own_metadata(payload), await self._value(name, payload))
            for name, payload in zip(names, await self._payloads(names), strict=True)
            if _has_arrays(payload) == _has_arrays(value)
        ]

    async def _value(self, name: str, payload: FlatPayload) -> Stored:
        """What `name` is the value of, whose own payload this is."""
        if not name.endswith(DELTA):
            return Stored(payload.data, [Extent(name, 0, len(payload.data))], {name: len(payload.data)})
        extents = _extents(name, payload)
        sources = sources_of(extents)
        held: dict[str, Bytes] = {OWN: payload.data}
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

    async def _payloads(self, names: Sequence[str]) -> list[FlatPayload]:
        objects = await asyncio.gather(*(self.store.get(name) for name in names))
        if self.codec is None or not names:
            return [_read(name, data, read_payload) for name, data in zip(names, objects, strict=True)]
        coded = [_read(name, data, Payload.FromString) for name, data in zip(names, objects, strict=True)]
        return list(map(flat, await self.codec.decode(coded)))

    async def _coded(self, payload: bytes) -> bytes:
        """The bytes of a payload as the codec has it."""
        if self.codec is None:
            return payload
        (coded,) = await self.codec.encode([Payload.FromString(payload)])
        return coded.SerializeToString(deterministic=True)  # the same value has the same name in any process


def _has_arrays(value: Written | FlatPayload) -> bool:
    return value.metadata.get("encoding") == BINARY_ENCODING


def _own_metadata(payload: FlatPayload) -> dict[str, bytes]:
    """That of the value."""
    return {key: data for key, data in payload.metadata.items() if key != EXTENTS}


def _read(name: str, data: bytes, parse: Callable[[bytes], Parsed]) -> Parsed:
    try:
        return parse(data)
    except DecodeError as error:
        raise _malformed(name, "it is not a payload") from error


def _extents(name: str, payload: FlatPayload) -> list[Extent]:
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
