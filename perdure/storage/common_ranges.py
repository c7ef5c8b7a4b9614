"""What bytes have in common with earlier ones: ranges, wherever they have moved to.

How
    Each byte is mapped to one bit, and an anchor is where a fixed pattern of bits occurs. So whether there is
    one depends on eight bytes only, and the same content has the same anchors wherever it occurs. In prose,
    numbers and base64 alike, they are about 250 bytes apart. The ends of strings are anchors too. Those of
    earlier content is remembered by the bytes that follow; one that occurs again is extended in both
    directions as far as the bytes agree. What agrees from the beginning, or up to the end, needs no anchor.

Invariant
    The time is linear in the total size, whatever the content: a comparison ends where it fails, and
    what has matched is not compared again.

Rejected: a rolling hash, the usual way to such anchors. In Python, each byte costs a hundred times as much
as with `bytes.translate` and `bytes.find`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from perdure.storage.flat_payloads import Bytes

MIN_RANGE_BYTES: Final = 200
"""Bytes of a range; a shorter one is not worth a reference."""

ANCHOR_KEY_BYTES: Final = 96
"""Bytes from an anchor on by which it is recognized."""

MAX_ANCHOR_COUNT: Final = 40_000
"""About how many anchors are remembered, and looked at of each kind in SCANNED_BYTES."""

MAX_COMPARED_BYTES: Final = 1_000_000
"""Bytes that are compared at once."""

ANCHOR_DISTANCE_BYTES: Final = 250
"""Bytes between two anchors, on average."""

SCANNED_BYTES: Final = 1_000_000
"""Bytes that are searched for anchors at a time."""

_BITS: Final = bytes((byte * 1_016_655_381 >> 13) & 1 for byte in range(256))
_PATTERN: Final = bytes((0, 0, 1, 0, 1, 1, 0, 1))
"""Both chosen by trial, so that anchors are equally frequent in prose, code, JSON, digits and base64."""

_ITEM_END: Final = b'",'
"""An anchor too: content of few letters may have no others."""


@dataclass(frozen=True, slots=True)
class Range:
    """`length` bytes from `at` on are those of the earlier content number `base` from `start` on."""

    at: int
    base: int
    start: int
    length: int


def common_ranges(text: bytes, bases: Sequence[bytes]) -> Iterator[Range]:
    """What `text` shares with `bases`: ranges from left to right that do not overlap."""
    length, base = max(
        ((_ahead(text, 0, base, 0), number) for number, base in enumerate(bases)), default=(0, 0)
    )
    end = 0
    if length >= MIN_RANGE_BYTES:
        end = length
        yield Range(0, base, 0, length)
    anchors, every = _anchors_in(bases)
    for anchor, key in anchors_of(text, every):
        if anchor < end or key not in anchors:
            continue
        base, start = anchors[key]
        back = _behind(text, anchor, bases[base], start, anchor - end)
        length = back + _ahead(text, anchor, bases[base], start)
        if length >= MIN_RANGE_BYTES:
            yield Range(anchor - back, base, start - back, length)
            end = anchor - back + length
    yield from _at_the_end(text, bases, end)


def _at_the_end(text: bytes, bases: Sequence[bytes], begin: int) -> Iterator[Range]:
    """What the rest of the text from `begin` on has in common with the end of a base."""
    most = len(text) - begin
    ends = ((_behind(text, len(text), base, len(base), most), number) for number, base in enumerate(bases))
    length, base = max(ends, default=(0, 0))
    if length >= MIN_RANGE_BYTES:
        yield Range(len(text) - length, base, len(bases[base]) - length, length)


def _anchors_in(bases: Sequence[bytes]) -> tuple[dict[int, tuple[int, int]], int]:
    """The anchors of the bases by key; of many, only those whose key is a multiple of a number."""
    every = 1 + sum(map(len, bases)) // (ANCHOR_DISTANCE_BYTES * MAX_ANCHOR_COUNT)
    anchors: dict[int, tuple[int, int]] = {}
    for number, base in enumerate(bases):
        for anchor, key in anchors_of(base, every):
            anchors.setdefault(key, (number, anchor))
    return anchors, every


def anchors_of(text: bytes, every: int) -> Iterator[tuple[int, int]]:
    """The anchors of some content, each with its key: the hash of the bytes that follow."""
    for begin in range(0, len(text), SCANNED_BYTES):
        some = text[begin : begin + SCANNED_BYTES + len(_PATTERN) - 1]
        for at in sorted({*_occurrences(_PATTERN, some.translate(_BITS)), *_occurrences(_ITEM_END, some)}):
            key = hash(text[begin + at : begin + at + ANCHOR_KEY_BYTES])
            if key % every == 0:
                yield begin + at, key


def _occurrences(pattern: bytes, text: bytes) -> Iterator[int]:
    at = -1
    for _ in range(MAX_ANCHOR_COUNT):
        at = text.find(pattern, at + 1)
        if at < 0:
            return
        yield at


def same_bytes(one: Bytes, other: Bytes) -> bool:
    """Whether both have the same bytes."""
    return len(one) == len(other) == agreeing_bytes(one, 0, other, 0, len(one))


def agreeing_bytes(one: Bytes, i: int, other: Bytes, j: int, most: int) -> int:
    """How many bytes agree from `i` and `j` on, `most` at most."""
    return _agreeing(most, lambda done, step: _same(one, i + done, other, j + done, step))


def _ahead(one: bytes, i: int, other: bytes, j: int) -> int:
    """How many bytes agree from `i` and `j` on."""
    return agreeing_bytes(one, i, other, j, min(len(one) - i, len(other) - j))


def _behind(one: bytes, i: int, other: bytes, j: int, most: int) -> int:
    """How many bytes agree before `i` and `j`, `most` at most."""
    return _agreeing(
        min(most, j), lambda done, step: _same(one, i - done - step, other, j - done - step, step)
    )


def _same(one: Bytes, i: int, other: Bytes, j: int, length: int) -> bool:
    return bytes(one[i : i + length]) == bytes(other[j : j + length])  # views compare item by item


def _agreeing(most: int, agrees: Callable[[int, int], bool]) -> int:
    """The greatest number up to `most` so that all before it agrees: in steps that double, then halve."""
    done, step = 0, ANCHOR_KEY_BYTES
    growing = True
    while done < most and step:
        size = min(step, most - done)
        agreed = agrees(done, size)
        done += size if agreed else 0
        growing = growing and agreed
        step = min(2 * step, MAX_COMPARED_BYTES) if growing else step // 2
    return done
