"""The claim check: large values go to the store, and Temporal carries what says where they are.

An object of the store is a Temporal payload, written after the codec of the connection: what is
encrypted on its way is encrypted there too.

Invariants
    An object holds a value with nothing deferred in it. A value that grows out of others is a delta against
    them (deltas.py), which says what it consists of; no other object refers to one.
    The same value, made of the same, has the same name in every process: a retry that stores its result again
    adds nothing.
    What is sent with an answer (console lines, a stream) is not stored with its value.
    A value that is read is a copy for the caller; only parts come from shared objects, which never change.

Rejected
    A payload codec that swaps bytes for a key, the usual form of the pattern: it sees bytes and not
    values, so a member of a large object could only be had by loading all of it, and the codec would run
    in workflow tasks as well: every replay would need the store.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from temporalio.common import RawValue
from temporalio.converter import PayloadCodec

from perdure.errors import FinalError, MalformedPayload, NoStore
from perdure.graph.binary import is_binary, is_tensors
from perdure.graph.deferred import (
    BINARY_KINDS,
    BlobRef,
    Deferred,
    copied,
    deferred_in,
    replaced,
    sources,
    stored,
)
from perdure.graph.evaluate import Load, evaluate
from perdure.graph.fields import is_computed
from perdure.graph.sizes import MAX_VALUE_BYTES, Meter, bounded, size_of
from perdure.graph.values import UNREADABLE, Value, is_dict, is_flat, is_list
from perdure.protocol.wire import (
    BINARY_ENCODING,
    MAX_UNREADABLE_CHARS,
    Metadata,
    Written,
    from_payload,
    pack,
    written,
)
from perdure.settings import Settings
from perdure.storage import Store, open_store
from perdure.storage.flat_payloads import FlatPayload
from perdure.storage.known_values import KnownValues
from perdure.storage.objects import Writes
from perdure.storage.traffic import count, timed
from perdure.storage.value_objects import ValueObjects
from perdure.storage.value_sizes import at_most, binary_size, holds_binary, written_size
from perdure.storage.value_threads import encoded_apart, in_value_thread

THREADED_CODEC_BYTES: Final = 500_000
"""Bytes: larger values are encoded and decoded in a thread, so that the event loop can send heartbeats."""

MAX_SHARED_BYTES: Final = 32_000_000
"""Bytes of objects whose values are held for the next one who needs a part of them."""

MAX_FETCHED_VALUE_BYTES: Final = 1_000_000
"""Bytes of a value that the run itself may fetch: it goes into the history."""


@dataclass(slots=True)
class ClaimCheck:
    """Values above `above` bytes are kept in `store`; without one, they stay where they are."""

    store: Store | None
    above: int
    codec: PayloadCodec | None = None
    _shared: OrderedDict[str, tuple[int, Value]] = field(
        default_factory=OrderedDict[str, tuple[int, Value]], repr=False
    )
    _shared_bytes: int = 0
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    @classmethod
    def of(cls, settings: Settings, codec: PayloadCodec | None = None) -> ClaimCheck:
        """The claims of a process with these settings."""
        store = None if settings.store is None else open_store(settings.store)
        # What is only signed needs no signature there: the name of an object is its hash.
        return cls(store, settings.store_above, codec if getattr(codec, "hides", True) else None)

    async def packed(
        self, value: Value, near: Value = None, known: KnownValues | None = None, metadata: Metadata = dict
    ) -> RawValue:
        """The payload of a value, or of its reference. Raises ValueTooLarge if there is no store.

        `near` is what the value was made of: what it has in common with values of the store in there is not
        stored again. What is `known` to be in the store is not written at all. `metadata` gives what is sent
        with the answer, once the value is where it belongs.
        """
        if self.store is None:
            return pack(value, **metadata())
        made = await encoded_apart(value, lambda: written(value))
        if made.size <= self.above:
            return pack(value, limited=False, **metadata())
        kept = await self._kept(value, made, self.above, near, known=known)
        return pack(kept, limited=False, **metadata())

    async def keep(
        self, value: Value, above: int | None = None, near: Value = None, writes: Writes | None = None
    ) -> Value:
        """`value`, or where it is kept: then with all that is deferred in it. `above` is less than usual.

        `near` as in `packed`, `writes` as in Store.put.
        """
        limit = min(self.above, above or self.above)
        if self.store is None or isinstance(value, BlobRef) or at_most(value) < limit:
            return value
        made = written(value)
        return value if made.size <= limit else await self._kept(value, made, limit, near, writes)

    async def _kept(
        self,
        value: Value,
        made: Written,
        limit: int,
        near: Value,
        writes: Writes | None = None,
        known: KnownValues | None = None,
    ) -> Value:
        """Where a value of more than `limit` bytes is kept; or the value, with what is binary in it kept."""

        async def apart(part: Value) -> Value:
            if is_binary(part) or is_tensors(part):
                if binary_size(part) <= limit:
                    return part
                place = None if known is None else known.find(part)
                return place or await self._put(part, None, near, writes)
            if is_dict(part):
                return {key: await apart(item) if holds_binary(item) else item for key, item in part.items()}
            if is_list(part):
                return [await apart(item) if holds_binary(item) else item for item in part]
            return part

        if made.metadata["encoding"] == BINARY_ENCODING:
            rest = await apart(value)
            if isinstance(rest, Deferred) or written(rest).size <= limit:
                return rest
        return await self._put(value, made, near, writes)

    async def shrink(self, value: Value, limit: int) -> Value:
        """`value` with its large parts kept, so that it takes at most `limit` bytes; else all of it is."""
        if self.store is None or written_size(value) <= limit:
            return value
        shrunk = value
        if is_dict(value):
            shrunk = {key: await self.shrink(item, self.above) for key, item in value.items()}
        elif is_list(value):
            shrunk = [await self.shrink(item, self.above) for item in value]
        if shrunk is not value and written_size(shrunk) <= limit:
            return shrunk
        return await self._put(value, None)

    async def redeem(self, value: Value, limit: int | None = None) -> Value:
        """A copy of `value` with nothing deferred in it, of at most `limit` bytes.

        Raises SizeExceeded, ObjectMissing, ObjectCorrupt, MalformedPayload, StoreUnavailable; FunctionError
        from references.
        """
        blobs = {stored.digest: stored for deferred in deferred_in(value) for stored in sources(deferred)}
        if not blobs:
            return value
        if limit is not None:
            bounded(value, limit)  # before anything is loaded
        shared = {digest: self._shared[digest][1] for digest in blobs if digest in self._shared}
        read = [digest for digest in blobs if digest not in shared or blobs[digest].kind not in BINARY_KINDS]
        with timed("got"):
            data = dict(zip(read, await asyncio.gather(*map(self._get, read)), strict=True))
        count("cached", sum(blobs[digest].size for digest in blobs.keys() - data.keys()))

        def load(stored: BlobRef) -> Value:
            if stored.digest in shared:
                return shared[stored.digest]
            return self._share(stored.digest, data[stored.digest])

        meter = Meter(limit)

        def redeemed(deferred: Deferred) -> Value:
            if isinstance(deferred, BlobRef):
                meter.add(size_of(deferred))
                if deferred.kind in BINARY_KINDS:  # what is in there cannot be changed
                    return copied(load(deferred))
                return from_payload(data[deferred.digest])
            return _copied(deferred, load, meter)

        largest = max(stored.size for stored in blobs.values())
        try:
            if largest < THREADED_CODEC_BYTES:
                return replaced(value, redeemed)
            return await in_value_thread(replaced, value, redeemed)
        except UNREADABLE as error:  # what is said about an object is not true of it
            reason = f"{type(error).__name__}: {error}"[:MAX_UNREADABLE_CHARS]
            raise MalformedPayload(f"a value of the store is not what it should be: {reason}") from error

    async def read(self, blob: BlobRef) -> Value:
        """A binary value of the store, which is not held for others."""
        return from_payload(await self._get(blob.digest))

    def redeem_at_hand(self, value: Value) -> Value:
        """The same, where parts are asked for of objects that were just read. Raises LookupError."""
        if value.__class__ is dict and is_flat(value):  # nearly all that pure agents are called with
            return value.copy()
        meter: Meter | None = None

        def redeemed(deferred: Deferred) -> Value:
            nonlocal meter
            if isinstance(deferred, BlobRef):
                raise LookupError
            meter = meter or Meter(MAX_VALUE_BYTES)
            return _copied(deferred, lambda stored: self._shared[stored.digest][1], meter)

        return replaced(value, redeemed)

    async def answer(self, deferred: Deferred, whole: bool) -> Value:
        """What a run asks to know: all of a value, or a small one and where a large one is kept."""
        value = await self.redeem(deferred)
        if not whole:
            return await self.keep(value, near=deferred)
        size = written_size(value)
        if size > MAX_FETCHED_VALUE_BYTES:
            raise FinalError(
                f"a value of {size / 1e6:.1f} MB decides what the run does (as an agent's name, a graph or "
                f"params), for which it may have {MAX_FETCHED_VALUE_BYTES / 1e6:.0f} MB at most",
                hint="give the part that decides",
            )
        return value

    async def keep_statics(self, graph: Value) -> Value:
        """A graph with the large values of its static nodes kept, those of graphs inside it too."""
        if self.store is None or not is_dict(graph) or not is_dict(graph.get("nodes")):
            return graph
        nodes = {name: await self._kept_node(node) for name, node in graph["nodes"].items()}
        return {**graph, "nodes": nodes}

    async def _kept_node(self, node: Value) -> Value:
        if not is_dict(node):
            return node
        if is_computed(node):
            return {**node, "graph": await self.keep_statics(node["graph"])} if "graph" in node else node
        return {**node, "value": await self.keep(node["value"])} if "value" in node else node

    async def _put(
        self, value: Value, made: Written | None, near: Value = None, writes: Writes | None = None
    ) -> BlobRef:
        assert self.store is not None
        bases = [base for deferred in deferred_in([near, value]) for base in sources(deferred)]
        if next(deferred_in(value), None) is not None:
            value, made = await self.redeem(value, MAX_VALUE_BYTES), None
        if made is None:
            made = await encoded_apart(value, lambda: written(value))
        with timed("put"):
            name = await ValueObjects(self.store, self.codec).put(made, bases, writes)
        return stored(name, made.size, value)

    async def _get(self, digest: str) -> FlatPayload:
        if self.store is None:
            raise NoStore
        return await ValueObjects(self.store, self.codec).get(digest)

    def _share(self, digest: str, payload: FlatPayload) -> Value:
        """The value of an object, the same one for all who ask: they read parts of it, and copy those.

        Several threads may ask at a time, for the same object too; what takes long is not locked.
        """
        shared = self._shared.get(digest)
        if shared is not None:
            return shared[1]
        made = (len(payload.data), from_payload(payload))
        with self._lock:
            shared = self._shared.setdefault(digest, made)
            if shared is made:
                self._shared_bytes += made[0]
                while self._shared_bytes > MAX_SHARED_BYTES and len(self._shared) > 1:
                    self._shared_bytes -= self._shared.popitem(last=False)[1][0]
        return shared[1]


def _copied(deferred: Deferred, load: Load, meter: Meter) -> Value:
    """The value of what is deferred, none of it shared with what `load` gives. Raises SizeExceeded."""
    value = evaluate(deferred, load)
    if meter.limit is not None:
        meter.add(size_of(value, meter.limit))
    return copied(value)
