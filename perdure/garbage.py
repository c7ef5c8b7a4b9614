"""What of the object store is still needed, and the removal of the rest.

An object is needed while its name, 64 hex digits, occurs anywhere in the history of a run that the
server still has: in a payload, its metadata, a memo, a failure. Histories are searched as they are,
so that this need not know how a reference is written. What a delta refers to is needed too, if the delta is
needed or too young to be removed. No other objects refer to any, so only deltas are read.

What is put or referred to during the collection is safe: a history can only take up a name that it was
handed by another history, or one that was put just now, and then the object is young again.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.converter import PayloadCodec
from temporalio.service import RPCError, RPCStatusCode

from perdure.errors import ConnectionFailed, ObjectMissing, UsageError
from perdure.monitoring.descriptions import executions
from perdure.protocol.wire import BINARY_ENCODING
from perdure.storage import ObjectInfo, Store
from perdure.storage.backend import DELTA, DIGEST_CHARS
from perdure.storage.owners import other_owners
from perdure.storage.value_objects import ValueObjects
from perdure.temporal.rpc_errors import RPC_TIMEOUT, short

ALL_RUNS_QUERY: Final = "WorkflowType = 'Graph'"
CONCURRENT_REQUEST_COUNT: Final = 8
"""Histories read, and objects removed, at the same time."""

_HEX: Final = re.compile(rb"[0-9a-f]{64,}")
_READABLE: Final = (b"json/", b"binary/null", b"binary/plain", BINARY_ENCODING, b"binary/protobuf")

ProgressCallback = Callable[[str, int], None]
"""Called with what is being done, and how many of these are done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage:
    """The garbage of a store: `objects` are old and in no history; `count` and `size` are of all objects."""

    objects: tuple[ObjectInfo, ...]
    count: int
    size: int
    runs: int


async def find_garbage(temporal: Client, store: Store, before: float, progress: ProgressCallback) -> Garbage:
    """The objects that were put before `before` (seconds since 1970) and that no run refers to.

    Raises StoreUnavailable; ConnectionFailed where the server does not show all histories; UsageError
    where they cannot be read, where the server has no run at all, and where another namespace uses the store.
    """
    await _check_owner(temporal, store)
    old: dict[str, ObjectInfo] = {}
    deltas: list[str] = []
    count = size = 0
    async for item in store.list():
        count, size = count + 1, size + item.size
        if item.modified < before:
            old[item.name[:DIGEST_CHARS]] = item
        if item.name.endswith(DELTA):
            deltas.append(item.name)
        progress("objects listed", count)
    runs = 0
    if old:
        live, runs = await _referred_to(temporal, frozenset(old), progress)
        if not runs:
            raise UsageError(
                f"the server has no run in namespace {temporal.namespace!r}, so it is hardly the one that "
                f"the store {store.place} belongs to; nothing is removed",
                hint="correct TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE or PERDURE_STORE; a store that no run "
                "needs any more, delete yourself",
            )
        objects = ValueObjects(store, temporal.data_converter.payload_codec)
        needed = [name for name in deltas if (digest := name[:DIGEST_CHARS]) in live or digest not in old]
        live |= await _named_by(objects, needed, progress)
        old = {digest: item for digest, item in old.items() if digest not in live}
    return Garbage(objects=tuple(old.values()), count=count, size=size, runs=runs)


async def _check_owner(temporal: Client, store: Store) -> None:
    try:
        others = await other_owners(temporal, store, RPC_TIMEOUT)
    except RPCError as error:
        finding = f"namespace {temporal.namespace!r} cannot be looked up: {short(error)}; nothing is removed"
        raise ConnectionFailed(finding, hint="try again later") from error
    if others:
        raise UsageError(
            f"the store {store.place} is also used by another namespace, whose values look like garbage from "
            f"here: {', '.join(others)}; nothing is removed",
            hint="give each namespace a store of its own; of a namespace that is gone, delete the file in "
            "owners/ in the store",
        )


async def remove_garbage(
    store: Store, garbage: Garbage, before: float, progress: ProgressCallback
) -> list[ObjectInfo]:
    """Removes what is still as old as it was; returns what was removed. Raises StoreUnavailable."""
    removed: list[ObjectInfo] = []
    for start in range(0, len(garbage.objects), CONCURRENT_REQUEST_COUNT):
        some = garbage.objects[start : start + CONCURRENT_REQUEST_COUNT]
        done = await asyncio.gather(*(store.remove(item.name, before) for item in some))
        removed += [item for item, gone in zip(some, done, strict=True) if gone]
        progress("objects removed", len(removed))
    await store.tidy(before)
    return removed


async def _named_by(objects: ValueObjects, deltas: Sequence[str], progress: ProgressCallback) -> set[str]:
    """The digests of the objects that deltas refer to."""
    named: set[str] = set()
    for start in range(0, len(deltas), CONCURRENT_REQUEST_COUNT):
        some = deltas[start : start + CONCURRENT_REQUEST_COUNT]
        for sources in await asyncio.gather(*(_sources(objects, name) for name in some)):
            named |= {name[:DIGEST_CHARS] for name in sources}
        progress("deltas read", start + len(some))
    return named


async def _sources(objects: ValueObjects, delta: str) -> list[str]:
    try:
        return await objects.sources(delta)
    except ObjectMissing:  # another collection has removed it since it was listed
        return []


async def _referred_to(
    temporal: Client, candidates: frozenset[str], progress: ProgressCallback
) -> tuple[set[str], int]:
    """Those of the `candidates` that are in a history, and the number of runs."""
    live: set[str] = set()
    runs = 0
    async for some in _runs(temporal):
        for names in await asyncio.gather(*(_names(temporal, *run, candidates) for run in some)):
            live |= names
        runs += len(some)
        progress("runs read", runs)
    return live, runs


async def _runs(temporal: Client) -> AsyncIterator[list[tuple[str, str]]]:
    """The workflow ids and run ids of all runs, some at a time."""
    some: list[tuple[str, str]] = []
    async for info in executions(temporal, ALL_RUNS_QUERY):
        some.append((info.execution.workflow_id, info.execution.run_id))
        if len(some) == CONCURRENT_REQUEST_COUNT:
            yield some
            some = []
    if some:
        yield some


async def _names(temporal: Client, id: str, run_id: str, candidates: frozenset[str]) -> set[str]:
    handle: Any = temporal.get_workflow_handle(id, run_id=run_id)
    codec = temporal.data_converter.payload_codec
    names: set[str] = set()
    try:
        async for event in handle.fetch_history_events(rpc_timeout=RPC_TIMEOUT):
            for text in (event.SerializeToString(), *await _decoded(event, codec, id)):
                names |= names_in(text, candidates)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:  # its time is over since it was listed
            return names
        raise ConnectionFailed(
            f"the history of run {id!r} cannot be read: {short(error)}; nothing is removed",
            hint="try again later",
        ) from error
    return names


def names_in(text: bytes, candidates: frozenset[str]) -> set[str]:
    """Those of the `candidates` that are in `text`, whatever surrounds them."""
    return {
        name
        for match in _HEX.findall(text)
        for digits in (match.decode(),)
        for start in range(len(digits) - DIGEST_CHARS + 1)
        if (name := digits[start : start + DIGEST_CHARS]) in candidates
    }


async def _decoded(event: HistoryEvent, codec: PayloadCodec | None, id: str) -> list[bytes]:
    """What a codec hides. Raises UsageError for a payload that can be read in no way."""
    payloads = list(payloads_of(event))
    try:
        clear = payloads if codec is None or not payloads else await codec.decode(payloads)
    except Exception as error:
        raise _unreadable(id, f"its codec fails: {short(error)}") from error
    for payload in clear:
        encoding = payload.metadata.get("encoding", b"")
        if payload.data and not encoding.startswith(_READABLE):
            raise _unreadable(id, f"it holds payloads of encoding {encoding.decode(errors='replace')!r}")
    return [] if codec is None else [payload.SerializeToString() for payload in clear]


def _unreadable(id: str, reason: str) -> UsageError:
    return UsageError(
        f"the history of run {id!r} cannot be read: {reason}; nothing is removed",
        hint="call perdure.garbage.find_garbage with a client that has the codec of the workers",
    )


def payloads_of(message: Message) -> Iterator[Payload]:
    """Every payload in a message of Temporal's."""
    if isinstance(message, Payload):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in _parts(value):
                yield from payloads_of(part)


def _parts(value: Any) -> Iterable[Message]:
    """The messages in the value of a field: one, several, or those of a map."""
    if isinstance(value, Message):
        return [value]
    parts: Iterable[Any] = value.values() if hasattr(value, "values") else value
    return [part for part in parts if isinstance(part, Message)]
