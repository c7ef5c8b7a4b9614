"""What a file of arrays has in common with earlier ones: each array is compared with the one of its name.

Why. The search for ranges that have moved looks at all bytes, in seconds for a model of 40 MB, and weights
that were trained have nothing in common with those before. What files of arrays do share is whole arrays,
such as layers that are not trained, and the beginning of one that grows; both are found by their names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from perdure.protocol.tensor_file import tensor_places
from perdure.storage.common_ranges import MIN_RANGE_BYTES, Range, agreeing_bytes
from perdure.storage.flat_payloads import Bytes


def array_ranges(file: Bytes, bases: Sequence[Bytes]) -> Iterator[Range]:
    """Ranges of the file from left to right, each the beginning of an array of one of `bases`."""
    earlier = [tensor_places(base) for base in bases]
    for name, (begin, end) in sorted(tensor_places(file).items(), key=lambda entry: entry[1]):

        def shared(number: int, name: str = name, begin: int = begin, size: int = end - begin) -> int:
            start, stop = earlier[number].get(name, (0, 0))
            return agreeing_bytes(file, begin, bases[number], start, min(size, stop - start))

        length, number = max((shared(number), number) for number in range(len(bases)))
        if length >= MIN_RANGE_BYTES:
            yield Range(begin, number, earlier[number][name][0], length)
