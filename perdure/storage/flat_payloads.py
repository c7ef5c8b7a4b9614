"""Payloads as the store keeps them: their bytes are read where they are, and written from parts.

Why. Protobuf copies the data of a payload whenever it is set, read, parsed or written. A model of 40 MB that
passes through a node was copied ten times, and each copy takes as long as half of its hash.

Invariant: the bytes are those that protobuf writes, so an object has the same name either way. What is not in
the usual order is read by protobuf.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from temporalio.api.common.v1 import Payload

Bytes: TypeAlias = bytes | memoryview

_METADATA_TAG: Final = b"\x0a"
_DATA_TAG: Final = b"\x12"


@dataclass(frozen=True, slots=True)
class FlatPayload:
    """The metadata and the data of a payload. The data is part of the bytes that it was read from."""

    metadata: Mapping[str, bytes]
    data: Bytes


def flat(payload: Payload) -> FlatPayload:
    """The same of a payload of protobuf, whose data is copied once."""
    return FlatPayload(dict(payload.metadata), payload.data)


def read_payload(data: bytes) -> FlatPayload:
    """What `written_payload`, or protobuf, wrote. Raises DecodeError for anything else."""
    start = _end_of_metadata(data)
    size, begin = _number(data, start + 1) if start < len(data) else (0, start)
    if start < len(data) and (data[start : start + 1] != _DATA_TAG or begin + size != len(data)):
        return flat(Payload.FromString(data))
    return FlatPayload(dict(Payload.FromString(data[:start]).metadata), memoryview(data)[begin:])


def written_payload(metadata: Mapping[str, bytes], parts: Sequence[Bytes]) -> bytes:
    """The bytes of a payload whose data is that of the parts, one after the other."""
    head = Payload(metadata=metadata).SerializeToString(deterministic=True)
    size = sum(map(len, parts))
    if not size:
        return head
    return b"".join([head, _DATA_TAG, _written_number(size), *parts])


def _end_of_metadata(data: bytes) -> int:
    at = 0
    while at < len(data) and data[at : at + 1] == _METADATA_TAG:
        size, begin = _number(data, at + 1)
        if size < 0:  # protobuf refuses it
            return len(data)
        at = begin + size
    return at


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A varint, and where it ends; -1 if it is cut off or longer than protobuf's."""
    number = 0
    for place, byte in enumerate(data[at : at + 10]):
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return number, at + place + 1
    return -1, len(data)


def _written_number(number: int) -> bytes:
    written = bytearray()
    while number >= 0x80:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)
