"""How values are written: as plain JSON, readable in the Temporal UI and by workers in other languages.

What JSON cannot hold (undefined, NaN, the infinities, deferred values) is null or a short string in the
data, and listed with its position in the metadata: no value of a user can imitate such a mark.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from perdure.graph.deferred import BlobRef, Composite, Concat, Deferred, Merged, Projection
from perdure.graph.text.json_dump import dump
from perdure.graph.values import UNDEFINED, Undefined, Value, is_dict, is_list

SpecialPlace: TypeAlias = tuple[tuple[str | int, ...], Value]

_SPECIAL: Mapping[str, Value] = {
    "undefined": UNDEFINED,
    "NaN": math.nan,
    "Infinity": math.inf,
    "-Infinity": -math.inf,
}

MAX_INLINE_SPECIAL_COUNT = 200
"""Characters that stand for a distant value where people look at the JSON."""

MAX_INLINE_KEY_COUNT = 50
"""Members of a dictionary that are worth to be written one by one."""


def encode(value: Value, *, apart: bool = False) -> tuple[bytes, list[SpecialPlace]]:
    """JSON of `value`, and the places that JSON could not hold.

    `apart` writes the members of a small dictionary one by one: where JSON is likely not to hold one
    of them, the others are then not written twice.
    """
    places: list[SpecialPlace] = []
    return _encode(value, (), places, apart), places


def _encode(value: Value, path: tuple[str | int, ...], places: list[SpecialPlace], apart: bool) -> bytes:
    """Whole parts are written at once; only the way to what JSON does not hold is walked."""
    if not (apart and is_dict(value) and len(value) <= MAX_INLINE_KEY_COUNT):
        try:
            return dump(value)
        except (TypeError, ValueError):
            pass
    if is_dict(value):
        parts = (dump(key) + b":" + _encode(item, (*path, key), places, True) for key, item in value.items())
        return b"{" + b",".join(parts) + b"}"
    if is_list(value):
        items = (_encode(item, (*path, index), places, False) for index, item in enumerate(value))
        return b"[" + b",".join(items) + b"]"
    return dump(_plain(value, path, places))


def decode(data: bytes, places: Sequence[Sequence[Any]] = ()) -> Value:
    """The value that `encode` wrote."""
    return _restored(json.loads(data), places)


def _restored(value: Value, places: Sequence[Sequence[Any]]) -> Value:
    for path, mark in places:
        special = _SPECIAL[mark] if isinstance(mark, str) else _read(mark)
        if not path:
            return special
        target = value
        for step in path[:-1]:
            target = target[step]
        target[path[-1]] = special
    return value


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
    return value


def _apart(value: Value) -> list[Value]:
    """A value as plain data, and its places."""
    places: list[SpecialPlace] = []
    return [_plain(value, (), places), places]


def _written(distant: Deferred) -> list[Value]:
    match distant:
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
            raise TypeError(f"{distant!r} is unknown")


def _read(mark: Sequence[Any]) -> Deferred:
    match mark:
        case ["stored", digest, size, kind, length, keys]:
            return _blob(digest, size, kind, length, keys)
        case ["part", source, steps, cleaned]:
            return Projection(_read(source), tuple((text, functions) for text, functions in steps), cleaned)
        case ["whole", value, places]:
            return Composite(_restored(value, places))
        case ["joined", parts, places]:
            return Concat(tuple(_restored(parts, places)))
        case ["merged", base, over, places]:
            return Merged(_read(base), _restored(over, places))
        case _:
            raise ValueError(f"a place of this kind is unknown here: {mark[:1]!r}")


def _blob(digest: Any, size: Any, kind: Any, length: Any, keys: Any) -> BlobRef:
    numbers_fit = isinstance(size, int) and size >= 0 and isinstance(length, int)
    if not (isinstance(digest, str) and kind in ("object", "list", "string") and numbers_fit):
        raise ValueError("the reference to a stored value is malformed")
    return BlobRef(digest, size, kind, length, None if keys is None else tuple(keys))
