"""How large a value is, and the bound of one value: what would exceed it is refused before it is built.

Why
    A template of 3 KB that doubles its input forty times asks for a terabyte. The worker would die of it,
    and the next one with it. Sizes can be added where values cannot be built any more.

The measure
    About the bytes of the JSON, and CONTAINER_BYTES for each list and object, which is what one takes in
    memory. A part that occurs in several places counts in each, because it is written in each.
    A value of the store counts what its object has; a part of one, of which nothing is known, counts nothing.
    Byte strings and arrays count a part of their bytes (BINARY_SIZE_FACTOR): they take no more than these in
    memory, where JSON takes many times as much.

Invariant
    To measure takes no longer than the bound allows, whatever is shared: it stops where the bound is passed.

Rejected: a limit in each agent. Templates, joins and shared parts grow values without an agent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import Any, Final

from perdure.errors import SizeExceeded
from perdure.graph.binary import size_of_binary
from perdure.graph.deferred import BINARY_KINDS, BlobRef, Composite, Concat, Merged
from perdure.graph.javascript import stringify
from perdure.graph.values import Undefined, Value, is_dict, is_list

MAX_VALUE_BYTES: Final = 64_000_000
"""Bytes of one value: of what a node is called with, and of what it gives."""

CONTAINER_BYTES: Final = 64
"""Bytes that a list or an object takes in addition to its items."""

SCALAR_BYTES: Final = 8
"""Bytes of a number, true, false, null, and of the punctuation around an item or a name."""

BINARY_SIZE_FACTOR: Final = 16
"""Bytes of an array, or of a byte string, that count as one: MAX_VALUE_BYTES are a gigabyte of them."""

ENCODED_TEXT_CHARS: Final = 1_000_000
"""Characters from which a string outside ASCII is encoded to be measured."""


_SCALARS: Final = frozenset({int, float, bool, type(None)})


def size_of(value: Value, limit: int = MAX_VALUE_BYTES, *, stored: bool = True) -> int:
    """About the bytes of `value`; some number above `limit` if there are more.

    If `stored` is false, what is in the store counts nothing.
    """
    kind = value.__class__
    if kind is str:
        return _text_size(value)
    if kind is not dict and kind is not list:
        return _size_of_other(value, limit, stored)
    total = 0
    pending: list[Any] = [value]
    while pending and total <= limit:
        part = pending.pop()
        total += CONTAINER_BYTES
        if part.__class__ is dict:
            total += sum(map(len, part))
            part = part.values()
        total += SCALAR_BYTES * len(part)
        for item in part:
            kind = item.__class__
            if kind is str:
                total += len(item) if len(item) < ENCODED_TEXT_CHARS else _text_size(item)
            elif kind is dict or kind is list:
                pending.append(item)
            elif kind not in _SCALARS:
                total += _size_of_other(item, limit, stored)
            if total > limit:
                break
    return total


def _text_size(text: str) -> int:
    if len(text) < ENCODED_TEXT_CHARS or text.isascii():
        return len(text) + SCALAR_BYTES
    return len(text.encode("utf-8", "surrogatepass")) + SCALAR_BYTES


def _size_of_other(value: Value, limit: int, stored: bool) -> int:
    match value:
        case BlobRef():
            size = value.size // BINARY_SIZE_FACTOR if value.kind in BINARY_KINDS else value.size
            return size if stored else SCALAR_BYTES
        case Composite(inner):
            return size_of(inner, limit, stored=stored)
        case Concat(parts):
            return size_of(list(parts), limit, stored=stored)
        case Merged(base, over):
            return _size_of_other(base, limit, stored) + size_of(over, limit, stored=stored)
        case list() | tuple():
            return size_of([*value], limit, stored=stored)
        case dict():
            return size_of({**value}, limit, stored=stored)
        case _:
            return SCALAR_BYTES + size_of_binary(value) // BINARY_SIZE_FACTOR


def bounded(value: Value, limit: float = MAX_VALUE_BYTES) -> Value:
    """`value`. Raises SizeExceeded where it is larger than `limit`."""
    if limit < inf:
        bounded_size(value, limit, stored=True)
    return value


def bounded_size(value: Value, limit: float = MAX_VALUE_BYTES, *, stored: bool = False) -> int:
    """The bytes of `value`, by default without what is in the store. Raises SizeExceeded above `limit`."""
    size = size_of(value, int(limit), stored=stored)
    if size > limit:
        raise SizeExceeded(size, int(limit))
    return size


@dataclass(slots=True)
class Meter:
    """Adds the sizes of parts as they are made. Without a `limit`, there may be any."""

    limit: int | None = None
    total: int = 0

    def add(self, size: int) -> None:
        """One more part is to be made. Raises SizeExceeded where that is too much in all."""
        self.total += size
        if self.limit is not None and self.total > self.limit:
            raise SizeExceeded(self.total, self.limit)


def joined_text(texts: Iterable[str], separator: str = "") -> str:
    """``separator.join(texts)``. Raises SizeExceeded as soon as the text would be larger than one may be."""
    parts: list[str] = []
    total = 0
    for text in texts:
        parts.append(text)
        total += len(text) + len(separator)
        if total > MAX_VALUE_BYTES:
            raise SizeExceeded(total, MAX_VALUE_BYTES)
    return separator.join(parts)


def indented(value: Value) -> str | Undefined:
    """``JSON.stringify(value, null, 2)``. Raises SizeExceeded for more than a value may have.

    Each line begins with two spaces for every level, so that a deep list of 2 MB has 800 MB as lines. The
    size is added up before anything is written.
    """
    size = 0
    level: list[Value] = [value]
    depth = 1
    while level:
        inner: list[Value] = []
        for part in level:
            if is_dict(part) or is_list(part):
                size += (len(part) + 1) * 2 * depth
                inner += part.values() if is_dict(part) else part
            elif isinstance(part, str):
                size += len(part)
        if size > MAX_VALUE_BYTES:
            raise SizeExceeded(size, MAX_VALUE_BYTES)
        level, depth = inner, depth + 1
    return stringify(value, 2)
