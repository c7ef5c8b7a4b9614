"""The beginning of a value as indented JSON, for those who show it.

The whole may be far larger than the value: each line begins with two spaces for every level, so a deep list
of 2 MB has 800 MB as lines. What is not shown is counted, and not kept.
"""

from __future__ import annotations

from collections.abc import Iterator

from perdure.graph.javascript import stringify
from perdure.graph.values import UNDEFINED, Value, is_dict, is_object, ordered_keys


def json_start(value: Value, limit: int) -> tuple[str, int]:
    """The first `limit` characters of ``JSON.stringify(value, null, 2)``, and how many it has in all."""
    kept: list[str] = []
    total = 0
    for piece in _pieces(value):
        if total < limit:
            kept.append(piece[: limit - total])
        total += len(piece)
    return "".join(kept), total


def _pieces(value: Value) -> Iterator[str]:
    """What is written, one after the other."""
    if not is_object(value):
        yield str(stringify(value))
        return
    yield "{" if is_dict(value) else "["
    open_parts = [(_members(value), "}" if is_dict(value) else "]")]
    before = "\n" + "  "
    while open_parts:
        members, bracket = open_parts[-1]
        name, item = next(members, ("", UNDEFINED))
        if item is UNDEFINED:
            open_parts.pop()
            yield bracket if before[0] == "\n" else "\n" + "  " * len(open_parts) + bracket
        elif is_object(item):
            yield before + name + ("{" if is_dict(item) else "[")
            open_parts.append((_members(item), "}" if is_dict(item) else "]"))
            before = "\n" + "  " * len(open_parts)
            continue
        else:
            yield before + name + str(stringify(item))
        before = ",\n" + "  " * len(open_parts)


def _members(value: Value) -> Iterator[tuple[str, Value]]:
    """What is between the brackets, each item with the name that is written before it."""
    if not is_dict(value):
        yield from (("", None if item is UNDEFINED else item) for item in value)
        return
    for key in ordered_keys(value):
        if value[key] is not UNDEFINED:
            yield f"{stringify(key)}: ", value[key]
