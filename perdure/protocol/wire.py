"""Values as Temporal payloads, and back.

The workflow packs and unpacks by itself, with RawValue: in a sandbox it holds its own copy of
perdure.graph.values, whose UNDEFINED is another object than the one outside.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any, TypeVar, cast

from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue

from perdure.errors import MalformedPayload, ValueTooLarge
from perdure.graph.deferred import Deferred
from perdure.graph.values import UNREADABLE, is_list
from perdure.protocol.encoding import decode, decode_places, encode
from perdure.protocol.records import from_plain, to_plain

ENCODING = b"json/plain"
PLACES = "perdure-special"
MAX_PAYLOAD_BYTES = 2_000_000
"""Temporal refuses payloads above 2 MiB, in ways that leave a run stuck: stay below."""

MAX_UNREADABLE_CHARS = 200
"""Characters of what a stranger has sent, or of a parser's word about it, that a message repeats."""

Kind = TypeVar("Kind")


def to_payload(value: Any, *, limited: bool = True) -> Payload:
    """The payload of a value, or of a dataclass of perdure.protocol.payloads. Raises ValueTooLarge.

    What never reaches the server, such as the input of a local activity, need not be `limited`.
    """
    is_record = dataclasses.is_dataclass(value) and not isinstance(value, Deferred)
    data, places = encode(to_plain(value) if is_record else value, apart=is_record)
    if limited and len(data) > MAX_PAYLOAD_BYTES:
        raise ValueTooLarge(len(data), MAX_PAYLOAD_BYTES)
    metadata = {"encoding": ENCODING}
    if places:
        metadata[PLACES] = json.dumps(places).encode()
    return Payload(metadata=metadata, data=data)


def from_payload(payload: Payload, kind: type[Kind] | None = None, *, strict: bool = True) -> Any:
    """The value of a payload, as a dataclass of perdure.protocol.payloads where `kind` is one.

    Raises MalformedPayload for one that cannot be read: it is not from here, or not for here. `strict` is as
    for `decode`. Where a record is asked for, null is None.
    """
    try:
        places = decode_places(payload.metadata[PLACES]) if PLACES in payload.metadata else ()
        value = decode(payload.data, places, strict=strict) if payload.data else None
    except UNREADABLE as error:
        raise MalformedPayload(_finding(payload, error)) from error
    if dataclasses.is_dataclass(kind) and value is not None:
        return from_plain(cast(Any, kind), value)
    return value


def _finding(payload: Payload, error: Exception) -> str:
    encoding = payload.metadata.get("encoding", b"")
    if encoding != ENCODING:
        name = encoding.decode(errors="replace")[:MAX_UNREADABLE_CHARS]
        return f"a value is encoded as {name!r}, not as JSON"
    reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
    return f"a value cannot be read: {reason[:MAX_UNREADABLE_CHARS]}"


def pack(value: Any, *, limited: bool = True, **metadata: Any) -> RawValue:
    """A payload that passes Temporal's converters untouched. `metadata` becomes part of its own, as JSON."""
    payload = to_payload(value, limited=limited)
    for name, data in metadata.items():
        if data:
            payload.metadata[f"perdure-{name}"] = json.dumps(data).encode()
    return RawValue(payload)


def metadata_of(raw: RawValue, name: str) -> Any:
    """What `pack` put into the metadata under this name; None for nothing. Raises MalformedPayload."""
    data = raw.payload.metadata.get(f"perdure-{name}")
    return None if data is None else from_payload(Payload(metadata={"encoding": ENCODING}, data=data))


def strings(value: Any) -> list[str]:
    """The strings in what should be a list of them, or nothing."""
    return [item for item in value if isinstance(item, str)] if is_list(value) else []


def is_plain(raw: RawValue) -> bool:
    """Whether JSON holds all of the value: there is nothing distant in it."""
    return PLACES not in raw.payload.metadata


def unpack(raw: RawValue, kind: type[Kind] | None = None, *, strict: bool = True) -> Any:
    """What `pack` packed. Raises MalformedPayload, as `from_payload` does."""
    return from_payload(raw.payload, kind, strict=strict)
