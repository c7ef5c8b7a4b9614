"""Payloads of the store have the bytes that protobuf writes, and are read without being copied."""

from __future__ import annotations

from itertools import product
from random import Random
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload

from perdure.storage.flat_payloads import FlatPayload, flat, read_payload, written_payload

METADATA: dict[str, bytes] = {"encoding": b"json/plain", "a": b"", "perdure-special": b"x" * 300}
DATA = [b"", b"x", b"x" * 127, b"x" * 128, b"x" * 20_000, b"x" * 3_000_000]


@pytest.mark.parametrize("metadata", [{}, METADATA], ids=["bare", "metadata"])
@pytest.mark.parametrize("data", DATA, ids=len)
def test_the_bytes_are_those_of_protobuf(metadata: dict[str, bytes], data: bytes) -> None:
    theirs = Payload(metadata=metadata, data=data).SerializeToString(deterministic=True)
    half = len(data) // 2
    assert written_payload(metadata, [data[:half], memoryview(data)[half:]]) == theirs
    read = read_payload(theirs)
    assert read == FlatPayload(metadata, data)
    assert isinstance(read.data, memoryview)
    assert read.data.obj is theirs


ODD: dict[str, Any] = {
    "data first": b"\x12\x01x\x0a\x05\x0a\x01k\x12\x00",
    "data twice": b"\x12\x01y\x12\x01x",
    "unknown field": b"\x12\x01x\x78\x01",
}


@pytest.mark.parametrize("data", ODD.values(), ids=ODD)
def test_another_order_is_read_as_protobuf_reads_it(data: bytes) -> None:
    theirs = Payload.FromString(data)
    assert read_payload(data) == FlatPayload(dict(theirs.metadata), theirs.data)


@pytest.mark.parametrize("data", [b"\x12", b"\x12\x05x", b"\x0a\x05x", b"\xff" * 20, b"\x12\x85"])
def test_what_is_no_payload_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        read_payload(data)
    with pytest.raises(DecodeError):
        Payload.FromString(data)


def test_any_bytes_are_read_or_refused_as_protobuf_does() -> None:
    random = Random(7)
    short = [bytes(each) for length in range(3) for each in product(range(256), repeat=length)]
    longer = [_bytes(random) for _ in range(5_000)]
    large = [tag + b"\xff" * 300_000 for tag in (b"\x0a", b"\x12", b"\x0a\x02\x0a\x00\x12")]
    for data in (*short, *longer, *large):
        assert _read(data) == _read_by_protobuf(data), data[:20]


def _bytes(random: Random) -> bytes:
    likely = (0x0A, 0x12, 0, 1, 2, 3, 0x80, 0xFF, random.randrange(256))
    return bytes(random.choices(likely, k=random.randrange(3, 24)))


def _read(data: bytes) -> FlatPayload | None:
    try:
        return read_payload(data)
    except DecodeError:
        return None


def _read_by_protobuf(data: bytes) -> FlatPayload | None:
    try:
        return flat(Payload.FromString(data))
    except DecodeError:
        return None
