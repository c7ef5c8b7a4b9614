"""Delta objects: of a value that shares much with earlier ones, the store holds what is new, and references.

Why
    A list that grows by an item in each iteration is a new value each time. Stored whole, 300 iterations
    take the space of 150 final lists; as deltas, that of two or three.

The format
    A delta lists extents, whose bytes one after the other are the JSON of the value. An extent is a range of
    the delta's own bytes, or of another object: of the JSON of a whole one, or of another delta's own bytes.
    So the depth is one: to read a value takes its object and those that this names.

Invariants
    A delta names MAX_SOURCE_COUNT objects at most. Where there would be more, it copies all but the
    KEPT_SOURCE_COUNT that contribute most, all at once: so each byte is copied a few times in all.
    An object is named only if a good part of it is used. So no value takes much more reading than its size,
    and a small value does not keep a large object from being removed.
    What is mostly new is stored whole. So values that do not grow are stored as single objects.

Rejected
    To cut all values into chunks by their content: a megabyte that never grows would be a hundred objects,
    each of which is written, synced and read.
    Chains of deltas, each on the one before: to read the last value would take all of them.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final, cast

from perdure.storage.array_ranges import array_ranges
from perdure.storage.backend import DELTA, DIGEST_CHARS
from perdure.storage.common_ranges import Range, common_ranges
from perdure.storage.flat_payloads import Bytes

MAX_SOURCE_COUNT: Final = 32
"""Other objects that a delta may name."""

KEPT_SOURCE_COUNT: Final = 12
"""Objects that are still named where more than MAX_SOURCE_COUNT would have been."""

MAX_EXTENT_COUNT: Final = 300
"""Extents of a delta; a value that would have more is stored whole."""

MAX_UNUSED_FACTOR: Final = 4
"""An object is named if it is at most this many times as large as what is used of it."""

_DELTA_LETTER, _WHOLE_LETTER = "d", "w"

OWN: Final = ""
"""The source of an extent of the delta's own bytes."""


@dataclass(frozen=True, slots=True)
class Extent:
    """`length` bytes of the object `source` from `start` on."""

    source: str
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A value of the store: its JSON, the extents that this consists of, and the sizes of their objects."""

    data: Bytes
    extents: Sequence[Extent]
    sizes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Delta:
    """What the store holds of a value: the bytes that are new, and the extents of the whole."""

    own: bytes
    extents: Sequence[Extent]


def delta_of(data: Bytes, bases: Sequence[Stored], *, arrays: bool = False) -> Delta | None:
    """The delta of `data` against values of the store; None where that would save less than half.

    With `arrays`, all of them are files of arrays.
    """
    if arrays:
        ranges = array_ranges(data, [base.data for base in bases])
    else:
        ranges = common_ranges(bytes(data), [bytes(base.data) for base in bases])
    covering = list(_covering(ranges, bases, len(data)))
    sizes = {name: size for base in bases for name, size in base.sizes.items()}
    extents = _joined(_own_instead(covering, _dropped(covering, sizes)))
    if 2 * sum(extent.length for extent in extents if extent.source == OWN) > len(data):
        return None
    delta = _with_own(data, extents)
    size = len(delta.own) + len(written(delta.extents))
    return delta if 2 * size <= len(data) and len(extents) <= MAX_EXTENT_COUNT else None


def sources_of(extents: Iterable[Extent]) -> list[str]:
    """The names of the other objects, in the order of their use."""
    return list(dict.fromkeys(extent.source for extent in extents if extent.source != OWN))


def assembled(extents: Iterable[Extent], held: Mapping[str, Bytes]) -> bytes:
    """The JSON of a value, from what its objects hold. Raises ValueError for an extent outside of them."""
    parts: list[Bytes] = []
    for extent in extents:
        part = held[extent.source][extent.start : extent.start + extent.length]
        if len(part) != extent.length:
            raise ValueError("an extent is outside of its object")
        parts.append(part)
    return b"".join(parts)


def located(extents: Iterable[Extent], name: str) -> list[Extent]:
    """The extents of the delta `name` as others see them: what is OWN is in the object of this name."""
    return [replace(extent, source=extent.source or name) for extent in extents]


def written(extents: Sequence[Extent]) -> bytes:
    """Extents as bytes: a line of JSON, then the digests of the objects.

    The line holds a letter for each object, and the extents as (number, start, length), where 0 is OWN.
    """
    names = sources_of(extents)
    numbers = {name: number for number, name in enumerate([OWN, *names])}
    rows = [(numbers[extent.source], extent.start, extent.length) for extent in extents]
    kinds = "".join(_DELTA_LETTER if name.endswith(DELTA) else _WHOLE_LETTER for name in names)
    digests = b"".join(bytes.fromhex(name[:DIGEST_CHARS]) for name in names)
    return json.dumps([kinds, rows], separators=(",", ":")).encode() + b"\n" + digests


def read(data: bytes) -> list[Extent]:
    """What `written` wrote. Raises ValueError for anything else."""
    line, _, digests = data.partition(b"\n")
    try:
        kinds, rows = cast("tuple[str, list[tuple[int, int, int]]]", json.loads(line))
        names = [OWN, *_names(kinds, digests.hex())]
        extents = [Extent(names[number], start, length) for number, start, length in rows]
    except (TypeError, IndexError, RecursionError) as error:
        raise ValueError(str(error)) from error
    if not all(type(number) is int and number >= 0 for row in rows for number in row):
        raise ValueError("an extent is not a range")
    return extents


def _names(kinds: str, digests: str) -> Iterator[str]:
    if len(digests) != DIGEST_CHARS * len(kinds):
        raise ValueError("the objects are not as many as their digests")
    for number, kind in enumerate(kinds):
        digest = digests[DIGEST_CHARS * number :][:DIGEST_CHARS]
        yield digest + (DELTA if kind == _DELTA_LETTER else "")


def _covering(ranges: Iterable[Range], bases: Sequence[Stored], size: int) -> Iterator[Extent]:
    """All of a value as extents. What is new is OWN, by its place in the value."""
    end = 0
    for span in ranges:
        yield Extent(OWN, end, span.at - end)
        yield from _part(bases[span.base], span.start, span.length)
        end = span.at + span.length
    yield Extent(OWN, end, size - end)


def _part(base: Stored, start: int, length: int) -> Iterator[Extent]:
    """The extents of `length` bytes of `base` from `start` on."""
    begins = list(accumulate((extent.length for extent in base.extents), initial=0))
    number = bisect_right(begins, start) - 1
    while length > 0:
        extent = base.extents[number]
        skipped = start - begins[number]
        some = min(extent.length - skipped, length)
        if some > 0:
            yield Extent(extent.source, extent.start + skipped, some)
        start, length, number = start + some, length - some, number + 1


def _dropped(extents: Iterable[Extent], sizes: Mapping[str, int]) -> set[str]:
    """The objects whose bytes are copied instead of named."""
    used: Counter[str] = Counter()
    for extent in extents:
        if extent.source != OWN:
            used[extent.source] += extent.length
    worthy = [name for name, size in used.most_common() if MAX_UNUSED_FACTOR * size >= sizes[name]]
    kept = worthy if len(worthy) <= MAX_SOURCE_COUNT else worthy[:KEPT_SOURCE_COUNT]
    return used.keys() - set(kept)


def _own_instead(extents: Iterable[Extent], dropped: Collection[str]) -> Iterator[Extent]:
    place = 0
    for extent in extents:
        yield Extent(OWN, place, extent.length) if extent.source in dropped else extent
        place += extent.length


def _joined(extents: Iterable[Extent]) -> list[Extent]:
    """Extents that follow each other in the same object as one; none that is empty."""
    joined: list[Extent] = []
    for extent in extents:
        last = joined[-1] if joined else None
        if last is not None and (last.source, last.start + last.length) == (extent.source, extent.start):
            joined[-1] = replace(last, length=last.length + extent.length)
        elif extent.length:
            joined.append(extent)
    return joined


def _with_own(data: Bytes, extents: Iterable[Extent]) -> Delta:
    """The delta: what is OWN, by its place among the bytes of the delta."""
    own: list[Bytes] = []
    placed: list[Extent] = []
    size = place = 0
    for extent in extents:
        if extent.source == OWN:
            own.append(data[place : place + extent.length])
            placed.append(replace(extent, start=size))
            size += extent.length
        else:
            placed.append(extent)
        place += extent.length
    return Delta(b"".join(own), placed)
