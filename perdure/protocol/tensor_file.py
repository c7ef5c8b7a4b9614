"""Arrays as bytes: the format of safetensors, which other programs read, and to read which executes nothing.

A file is the length of its header (8 bytes, little-endian), the header as JSON, and the bytes of the arrays.
The header gives type, shape and place of each array by its name.

Rejected: the library safetensors. The workflow reads such payloads, also where no agent uses arrays, and the
format is a page of code; the tests compare both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from perdure.graph.binary import ITEM_SIZES, Array
from perdure.graph.values import Value, is_dict, is_list

METADATA: Final = "__metadata__"
_LENGTH_BYTES: Final = 8
_ALIGNMENT_BYTES: Final = 8


def write_tensors(arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> bytes:
    """The file."""
    return b"".join(tensor_parts(arrays, metadata))


def tensor_parts(arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> list[bytes | memoryview]:
    """The parts of the file: the header, and the arrays as they are.

    What takes most bytes an item comes first, so that every item is aligned.
    """
    header: dict[str, Value] = {METADATA: dict(metadata)} if metadata else {}
    order = sorted(arrays.values(), key=lambda array: -ITEM_SIZES[array.dtype])
    begins: dict[int, list[int]] = {}
    end = 0
    for array in order:
        begins.setdefault(id(array), []).append(end)
        end += array.nbytes
    for name, array in arrays.items():
        begin = begins[id(array)].pop(0)
        place = [begin, begin + array.nbytes]
        header[name] = {"dtype": array.dtype, "shape": list(array.shape), "data_offsets": place}
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % _ALIGNMENT_BYTES)
    return [len(head).to_bytes(_LENGTH_BYTES, "little") + head, *(array.data for array in order)]


def read_tensors(data: bytes | memoryview) -> tuple[dict[str, Array], Mapping[str, str]]:
    """The arrays, which share `data`, and the metadata. Raises one of UNREADABLE for anything else."""
    start, header, metadata = _header(data)
    rest = memoryview(data)[start:]
    arrays = {name: _array(entry, rest) for name, entry in header.items()}
    places = sorted(entry["data_offsets"] for entry in header.values())
    end = 0
    for begin, stop in places:
        if begin != end:
            raise ValueError("the arrays overlap, or leave a gap")
        end = stop
    if end != len(rest):
        raise ValueError("the file is longer than its header says")
    return arrays, metadata


def tensor_places(data: bytes | memoryview) -> dict[str, tuple[int, int]]:
    """Where in a file that `read_tensors` reads the bytes of each array begin and end."""
    start, header, _ = _header(data)
    return {
        name: (start + entry["data_offsets"][0], start + entry["data_offsets"][1])
        for name, entry in header.items()
    }


def _header(data: bytes | memoryview) -> tuple[int, dict[str, Any], Mapping[str, str]]:
    """Where the header ends, what it says of each array, and the metadata."""
    start = _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "little")
    if start > len(data):
        raise ValueError("the file is shorter than its header says")
    header: Value = json.loads(bytes(data[_LENGTH_BYTES:start]))
    if not is_dict(header):
        raise ValueError("the header must be an object")
    metadata: Value = header.pop(METADATA, {})
    if not (is_dict(metadata) and all(isinstance(text, str) for text in metadata.values())):
        raise ValueError("the metadata must be strings")
    return start, header, metadata


def _array(entry: Value, data: memoryview) -> Array:
    match entry:
        case {"dtype": str() as dtype, "shape": shape, "data_offsets": [begin, end]} if is_list(shape):
            numbers = [*shape, begin, end]
            if not all(number.__class__ is int and number >= 0 for number in numbers) or end > len(data):
                raise ValueError("an array is outside of the file")
            return Array(dtype, tuple(shape), data[begin:end])
        case _:
            raise ValueError("the header describes no array")
