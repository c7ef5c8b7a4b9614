"""Payloads with arrays: files of safetensors, whole or refused."""

import json
from typing import Any

import numpy as np
import pytest

from perdure.errors import MalformedPayload
from perdure.graph.deferred import Composite, stored
from perdure.graph.values import UNDEFINED
from perdure.protocol.numpy_arrays import from_python, with_arrays
from perdure.protocol.tensor_file import read_tensors, write_tensors
from perdure.protocol.wire import BINARY_ENCODING, Payload, from_payload, is_binary_payload, to_payload

TYPES = ["bool", "uint8", "int8", "uint16", "int16", "float16", "uint32", "int32", "float32"]
TYPES += ["uint64", "int64", "float64", "complex64"]
ARRAYS = {name: np.arange(3).astype(name) for name in TYPES}


def test_every_type_survives_in_a_file_that_others_read() -> None:
    value = from_python(ARRAYS)
    payload = to_payload(value)
    size = int.from_bytes(payload.data[:8], "little")
    header = json.loads(payload.data[8 : 8 + size])
    assert payload.metadata == {"encoding": BINARY_ENCODING}
    assert list(header) == TYPES
    assert size % 8 == 0
    assert from_payload(payload) == value
    read = with_arrays(from_payload(payload))
    assert {name: (array.dtype.name, array.tolist()) for name, array in read.items()} == {
        name: (name, array.tolist()) for name, array in ARRAYS.items()
    }


ONE = from_python(np.array([[1.5, -0.0]]))


@pytest.mark.parametrize(
    "value",
    [
        ONE,
        b"",
        [b"\x00\xff", b"\x00\xff", ONE, {"deep": [ONE, None]}],
        {"__metadata__": ONE},
        {"x": from_python(np.zeros((0, 3))), "y": from_python(np.float32(1) * np.ones(()))},
        {"a": ONE, "b": UNDEFINED, "c": float("inf"), "d": stored("0" * 64, 9, "text")},
        {"a": Composite([stored("0" * 64, 9, {"w": ONE}), ONE, b"x"])},
        {"perdure-json": "[]", "a": ONE, "b": ["binary", "a0"]},
    ],
)
def test_a_value_with_binary_parts_survives(value: Any) -> None:
    payload = to_payload(value)
    assert is_binary_payload(payload)
    assert from_payload(payload) == value


def test_equal_parts_are_written_once() -> None:
    large = from_python(np.zeros(1000))
    assert len(to_payload([large] * 9).data) < 2 * 8000


def file(header: Any, data: bytes = b"") -> bytes:
    head = json.dumps(header).encode()
    return len(head).to_bytes(8, "little") + head + data


def entry(begin: int, end: int, **other: Any) -> dict[str, Any]:
    return {"dtype": "U8", "shape": [end - begin], "data_offsets": [begin, end], **other}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 8,
        b"\x02\x00\x00\x00\x00\x00\x00\x00{",
        file([]),
        file({"a": 1}),
        file({"a": entry(0, 2)}, b"x"),
        file({"a": entry(0, 1)}, b"xy"),
        file({"a": entry(0, 1), "b": entry(0, 1)}, b"x"),
        file({"a": entry(1, 2)}, b"xy"),
        file({"a": entry(0, 1, shape=[2])}, b"x"),
        file({"a": entry(0, 1, shape=[-1, -1])}, b"x"),
        file({"a": entry(0, 1, shape=[True])}, b"x"),
        file({"a": entry(0, 1, shape=[1] * 65)}, b"x"),
        file({"a": entry(0, 1, dtype="O")}, b"x"),
        file({"__metadata__": {"perdure-json": "[1"}}),
        file({"__metadata__": {"perdure-json": "1", "perdure-special": '[[[], ["binary", "a0"]]]'}}),
        file(
            {
                "__metadata__": {
                    "perdure-json": "1",
                    "perdure-special": '[[[], ["part", ["binary", "a"], [], true]]]',
                }
            }
        ),
        file({"__metadata__": 3}),
    ],
)
def test_what_is_no_such_file_is_refused(data: bytes) -> None:
    payload = Payload(metadata={"encoding": BINARY_ENCODING}, data=data)
    with pytest.raises(MalformedPayload, match="a value cannot be read"):
        from_payload(payload)


def test_a_file_of_another_program_is_read() -> None:
    data = file({"__metadata__": {"format": "pt"}, "b": entry(0, 1), "a": entry(1, 3)}, b"xyz")
    arrays, metadata = read_tensors(data)
    assert ({name: bytes(array.data) for name, array in arrays.items()}, metadata) == (
        {"b": b"x", "a": b"yz"},
        {"format": "pt"},
    )
    assert read_tensors(write_tensors(arrays, metadata)) == (arrays, metadata)
