"""The bytes that a value takes where it is written: as they are, or at a glance."""

from __future__ import annotations

import math
from typing import Final

from perdure.graph.binary import Array, Binary, is_binary, size_of_binary
from perdure.graph.values import Value, is_dict
from perdure.protocol.encoding import encode

SMALL_VALUE_MEMBER_COUNT: Final = 8
"""Members of a value that may be small at a glance."""

_NUMBERS: Final = (bool, int, float)


def written_size(value: Value) -> int:
    """The bytes of a value, and about those of what says where its special parts are."""
    data, places = encode(value)
    marks = (size_of_binary(mark) if is_binary(mark) else len(repr(mark)) for _, mark in places)
    return len(data) + sum(marks) + sum(len(repr(path)) for path, _ in places)


def binary_size(value: Binary | dict[str, Array]) -> int:
    """The bytes of an array, of a byte string, or of all members of an object of arrays."""
    return sum(map(size_of_binary, value.values())) if is_dict(value) else size_of_binary(value)


def at_most(value: Value) -> float:
    """An upper bound of the bytes of a value's JSON; infinity if it cannot be estimated quickly."""
    if not is_dict(value):
        return _most(value)
    if len(value) > SMALL_VALUE_MEMBER_COUNT:
        return math.inf
    size = 2.0
    for key, item in value.items():
        if item.__class__ is int:  # as below, without the calls
            size += 6 * len(key) + 34
        else:
            size += _most(key) + _most(item) + 2
    return size


def _most(value: Value) -> float:
    """That of a string, a number or nothing."""
    if isinstance(value, str):
        return 6 * len(value) + 2
    return 30 if value is None or isinstance(value, _NUMBERS) else math.inf


def holds_binary(value: Value) -> bool:
    """Whether there may be something binary in a part of a value."""
    return isinstance(value, dict | list) or is_binary(value)
