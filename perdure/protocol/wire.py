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

from perdure.errors import ValueTooLarge
from perdure.graph.deferred import Deferred
from perdure.graph.values import Value
from perdure.protocol.encoding import decode, encode
from perdure.protocol.records import from_plain, to_plain

ENCODING = b"json/plain"
PLACES = "perdure-special"
MAX_PAYLOAD_BYTES = 2_000_000
"""Temporal refuses payloads above 2 MiB, in ways that leave a run stuck: stay below."""

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


def from_payload(payload: Payload, kind: type[Kind] | None = None) -> Any:
    """The value of a payload, as a dataclass of perdure.protocol.payloads where `kind` is one."""
    places = json.loads(payload.metadata[PLACES]) if PLACES in payload.metadata else ()
    value = decode(payload.data, places) if payload.data else None
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        return from_plain(cast(Any, kind), cast(dict[str, Value], value))
    return value


def pack(value: Any, *, limited: bool = True, **metadata: Any) -> RawValue:
    """A payload that passes Temporal's converters untouched. `metadata` becomes part of its own, as JSON."""
    payload = to_payload(value, limited=limited)
    for name, data in metadata.items():
        if data:
            payload.metadata[f"perdure-{name}"] = json.dumps(data).encode()
    return RawValue(payload)


def metadata_of(raw: RawValue, name: str) -> Any:
    """What `pack` put into the metadata under this name; None for nothing."""
    data = raw.payload.metadata.get(f"perdure-{name}")
    return None if data is None else json.loads(data)


def is_plain(raw: RawValue) -> bool:
    """Whether JSON holds all of the value: there is nothing distant in it."""
    return PLACES not in raw.payload.metadata


def unpack(raw: RawValue, kind: type[Kind] | None = None) -> Any:
    """What `pack` packed."""
    return from_payload(raw.payload, kind)
