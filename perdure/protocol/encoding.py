"""How values are written: as plain JSON, readable in the Temporal UI and by workers in other languages.

What JSON cannot hold (undefined, NaN, the infinities, deferred and binary values) is null or a short string
in the data, and listed with its position in the metadata: no value of a user can imitate such a mark.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import orjson

from perdure.graph.binary import Array, Binary, binary_text, is_binary, size_of_binary
from perdure.graph.deferred import REF_KINDS, BlobRef, Composite, Concat, Deferred, Merged, Projection
from perdure.graph.text.json_dump import dump
from perdure.graph.values import MAX_DEPTH, UNDEFINED, Undefined, Value, is_dict, is_list, number
from perdure.protocol.special_parts import SpecialParts

SpecialPlace: TypeAlias = tuple[tuple[str | int, ...], Value]

_SPECIAL: Mapping[str, Value] = {
    "undefined": UNDEFINED,
    "NaN": math.nan,
    "Infinity": math.inf,
    "-Infinity": -math.inf,
}

_NO_BINARIES: Final[Mapping[str, Binary]] = MappingProxyType({})

MAX_WIRE_DEPTH: Final = MAX_DEPTH + 100
"""How deep the JSON of a payload may nest: that of a value, and of what is around it.

Fixed, as MAX_DEPTH is: Python's own limit is another one in a replay.
"""

MAX_SPECIAL_DEPTH: Final = 200
"""How deep the description of a deferred value may nest."""

MAX_INLINE_SPECIAL_COUNT = 200
"""Characters that stand for a deferred value where people look at the JSON."""

MAX_INLINE_KEY_COUNT = 50
"""Members of a dictionary that are worth to be written one by one ..."""

APART_LEVEL_COUNT: Final = 3
"""... on as many levels: those of a record, of the state of a run in it, and of the parts of that."""


def encode(value: Value, *, apart: bool = False) -> tuple[bytes, list[SpecialPlace]]:
    """JSON of `value`, and the places that JSON could not hold.

    `apart` writes the members of a small dictionary one by one, and theirs: where JSON is likely not to
    hold one of them, the others are then not looked at.
    """
    places: list[SpecialPlace] = []
    return _encode(value, (), places, APART_LEVEL_COUNT if apart else 0), places


def encoded_size(value: Value) -> int:
    """About the bytes of the payload of `value`: of its JSON, and of what is binary in it."""
    data, places = encode(value)
    return len(data) + sum(map(size_of_binary, (mark for _, mark in places)))


def _encode(value: Value, path: tuple[str | int, ...], places: list[SpecialPlace], apart: int) -> bytes:
    """`apart` is the number of levels of which each part is tried by itself."""
    if apart and is_dict(value) and len(value) <= MAX_INLINE_KEY_COUNT:
        members = ((key, _encode(item, (*path, key), places, apart - 1)) for key, item in value.items())
        return b"{" + b",".join([dump(key) + b":" + written for key, written in members]) + b"}"
    try:
        return dump(value)
    except (TypeError, ValueError):
        return _split(value, path, places, SpecialParts())


def _split(
    value: Value, path: tuple[str | int, ...], places: list[SpecialPlace], special: SpecialParts
) -> bytes:
    """Whole parts are written at once; only the way to what JSON does not hold is walked."""
    if not special.are_in(value):
        return dump(value)
    parts: list[bytes] = []  # filled by loops: one frame of Python's stack for each level
    if is_dict(value):
        for key, item in value.items():
            parts.append(dump(key) + b":" + _split(item, (*path, key), places, special))
        return b"{" + b",".join(parts) + b"}"
    if is_list(value):
        for index, item in enumerate(value):
            parts.append(_split(item, (*path, index), places, special))
        return b"[" + b",".join(parts) + b"]"
    return dump(_plain(value, path, places))


def decode(
    data: bytes, places: Value = (), *, strict: bool = True, binaries: Mapping[str, Binary] = _NO_BINARIES
) -> Value:
    """The value that `encode` wrote, or another program: `places` as they are in JSON, `binaries` by name.

    Raises one of UNREADABLE for anything else; where it is `strict`, also for NaN and the infinities, which
    are not JSON, and for what nests deeper than MAX_WIRE_DEPTH.
    """
    value = _read_json(data, MAX_WIRE_DEPTH) if strict else _parsed(data, _LENIENT)
    return _restored(value, places, binaries)


def decode_places(data: bytes) -> Value:
    """The places that are written with a value. Raises one of UNREADABLE."""
    return _read_json(data, MAX_SPECIAL_DEPTH)


def _read_json(data: bytes, limit: int) -> Value:
    value = _parsed(data, _STRICT)
    if data.count(b"[") + data.count(b"{") > limit:
        _refuse_depth(value, limit)
    return value


def _parsed(data: bytes, decoder: json.JSONDecoder) -> Value:
    """The value of a JSON text, by orjson, which is many times faster, where it reads as `decoder` does.

    It refuses more, and makes doubles of integers beyond 64 bits.
    """
    if _LARGE_INTEGER not in data.translate(_ANY_DIGIT):
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError:
            pass
    encoding = "utf-8" if decoder is _STRICT else json.detect_encoding(data)
    return decoder.decode(data.decode(encoding, "surrogatepass"))


def _refuse_depth(value: Value, limit: int) -> None:
    """Raises ValueError for a value that nests deeper than `limit`."""
    level: list[Any] = [value]
    for _ in range(limit):
        level = [
            item
            for part in level
            for item in (part.values() if part.__class__ is dict else part)
            if item.__class__ is dict or item.__class__ is list
        ]
        if not level:
            return
    raise ValueError(f"nested deeper than {limit} levels")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _whole_number(digits: str) -> int | float:
    """An integer as it is, and one beyond all doubles as JavaScript has it: arithmetic would raise."""
    return int(digits) if len(digits) <= MAX_DOUBLE_DIGITS_COUNT else number(int(digits))


MAX_DOUBLE_DIGITS_COUNT: Final = 308
"""Digits with which an integer is a double, whatever they are."""

_ANY_DIGIT: Final = bytes.maketrans(b"123456789", b"000000000")
_LARGE_INTEGER: Final = b"0" * 19

_STRICT: Final = json.JSONDecoder(parse_constant=_refuse_constant, parse_int=_whole_number)
_LENIENT: Final = json.JSONDecoder(parse_int=_whole_number)


def _restored(value: Value, places: Value, binaries: Mapping[str, Binary]) -> Value:
    for path, mark in places:
        special = _SPECIAL[mark] if isinstance(mark, str) else _read(mark, binaries)
        if not path:
            return special
        target = value
        for step in path[:-1]:
            target = _member(target, step)
        _member(target, path[-1])
        target[path[-1]] = special
    return value


def _member(target: Value, step: Value) -> Value:
    """The member of a list or an object that a step of a path leads to."""
    is_member = isinstance(step, str) if is_dict(target) else is_list(target) and step.__class__ is int
    if is_member and (step.__class__ is str or step >= 0):
        return target[step]
    raise LookupError(f"there is no place {step!r}")


def _plain(value: Value, path: tuple[str | int, ...], places: list[SpecialPlace]) -> Value:
    if is_dict(value):
        return {key: _plain(item, (*path, key), places) for key, item in value.items()}
    if is_list(value):
        return [_plain(item, (*path, index), places) for index, item in enumerate(value)]
    if isinstance(value, Undefined):
        places.append((path, "undefined"))
        return None
    if isinstance(value, float) and not math.isfinite(value):
        name = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        places.append((path, name))
        return None
    if isinstance(value, Deferred):
        places.append((path, _written(value)))
        return str(value)[:MAX_INLINE_SPECIAL_COUNT]
    if is_binary(value):
        places.append((path, value))
        return binary_text(value)
    return value


class Binaries:
    """The binary values of a payload, as their marks are written: equal ones are there once."""

    def __init__(self) -> None:
        self.arrays: dict[str, Array] = {}
        self._names: dict[int, tuple[str, Binary]] = {}

    def mark(self, value: object) -> list[str]:
        """The mark of a binary value: what `json.dumps` takes as its `default`."""
        if not is_binary(value):
            raise TypeError(f"{value!r} is unknown")
        if id(value) not in self._names:
            kind = "b" if isinstance(value, bytes) else "a"
            name = f"{kind}{len(self._names)}"
            self._names[id(value)] = name, value  # the value too: its id is its own as long as it lives
            self.arrays[name] = Array("U8", (len(value),), value) if isinstance(value, bytes) else value
        return ["binary", self._names[id(value)][0]]

    @staticmethod
    def read(arrays: Mapping[str, Array]) -> dict[str, Binary]:
        """The binary values of a payload by their names."""
        return {name: bytes(array.data) if name.startswith("b") else array for name, array in arrays.items()}


def _apart(value: Value) -> list[Value]:
    """A value as plain data, and its places."""
    places: list[SpecialPlace] = []
    return [_plain(value, (), places), places]


def _written(deferred: Deferred) -> list[Value]:
    match deferred:
        case BlobRef(digest, size, kind, length, keys):
            return ["stored", digest, size, kind, length, None if keys is None else list(keys)]
        case Projection(source, steps, cleaned):
            return ["part", _written(source), [list(step) for step in steps], cleaned]
        case Composite(value):
            return ["whole", *_apart(value)]
        case Concat(parts):
            return ["joined", *_apart(list(parts))]
        case Merged(base, over):
            return ["merged", _written(base), *_apart(over)]
        case _:
            raise TypeError(f"{deferred!r} is unknown")


def _read(mark: Value, binaries: Mapping[str, Binary]) -> Deferred | Binary:
    match mark:
        case ["binary", str() as name]:
            return binaries[name]
        case ["stored", digest, size, kind, length, keys]:
            return _blob(digest, size, kind, length, keys)
        case ["part", source, steps, bool() as cleaned] if is_list(steps):
            return Projection(_deferred_of(source, binaries), tuple(map(_step, steps)), cleaned)
        case ["whole", value, places]:
            return Composite(_restored(value, places, binaries))
        case ["joined", parts, places] if is_list(parts):
            return Concat(tuple(_restored(parts, places, binaries)))
        case ["merged", base, over, places] if is_dict(over):
            return Merged(_deferred_of(base, binaries), _restored(over, places, binaries))
        case _:
            kind = mark[:1] if is_list(mark) else mark
            raise ValueError(f"a place of this kind is unknown here: {str(kind)[:50]}")


def _deferred_of(mark: Value, binaries: Mapping[str, Binary]) -> Deferred:
    value = _read(mark, binaries)
    if not isinstance(value, Deferred):
        raise ValueError("a binary value is where a deferred one belongs")
    return value


def _step(step: Value) -> tuple[str, bool]:
    match step:
        case [str() as text, bool() as functions]:
            return text, functions
        case _:
            raise ValueError("a step of a reference is malformed")


def _blob(digest: Value, size: Value, kind: Value, length: Value, keys: Value) -> BlobRef:
    is_named = isinstance(digest, str) and kind in REF_KINDS
    if not (is_named and all(number.__class__ is int and number >= 0 for number in (size, length))):
        raise ValueError("the reference to a stored value is malformed")
    if keys is None:
        return BlobRef(digest, size, kind, length)
    if not (is_list(keys) and all(isinstance(key, str) for key in keys)):
        raise ValueError("the names of the members of a stored value are malformed")
    return BlobRef(digest, size, kind, length, tuple(keys))
