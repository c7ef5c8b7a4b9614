"""The numbers of many updates side by side: what a median, or a distance, looks at.

Why. A robust rule looks at the same number of all updates. With all of them in memory, a hundred models of
40 MB take 4 GB. So updates beyond HELD_BYTES in all go, one by one, to a file that has no name, and are read
from there by ranges of numbers.

Invariant: a rule has the same bits either way, because it treats each number by itself.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import Any, Final, cast

import numpy as np

from perdure.agents.distributed.maths.tensors import Array, Tensors, flat, require_alike, require_some

HELD_BYTES: Final = 64_000_000
"""Bytes of all updates together that are held in memory."""

STACKED_BYTES: Final = 16_000_000
"""Bytes of the ranges of all updates that a rule looks at at a time."""


class Columns:
    """All updates, read once and in their order; `place` is for errors. To be closed: it may have a file."""

    def __init__(self, updates: Sequence[Mapping[str, Array]], place: str) -> None:
        require_some(updates, place)
        self._stack = ExitStack()
        self._held: list[dict[str, Array]] = []
        self._file: int | None = None
        self._places: list[dict[str, int]] = []
        self._size = 0
        self.like: Tensors = {}
        try:
            for update in updates:
                self._add(update, len(updates))
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> Columns:
        return self

    def __exit__(self, *reason: object) -> None:
        self._stack.close()

    def __len__(self) -> int:
        return len(self._held)

    def vector(self, number: int) -> Array:
        """All numbers of one update."""
        return flat({name: self._part(number, name, 0, array.size) for name, array in self.like.items()})

    def reduced(self, rule: Callable[[Array], Array]) -> Tensors:
        """What `rule` makes of arrays whose first axis counts the updates, in the dtypes of the first one."""
        made: Tensors = {}
        for name, array in self.like.items():
            result = np.empty(array.shape, array.dtype)
            for begin, end in self._ranges(array):
                stacked = np.stack([self._part(number, name, begin, end) for number in range(len(self))])
                result.reshape(-1)[begin:end] = rule(stacked).astype(array.dtype)
            made[name] = result
        return made

    def _ranges(self, array: Array) -> Iterator[tuple[int, int]]:
        """Ranges of about equal lengths: one of a single number would be added up in another order."""
        count = 1 + array.nbytes * len(self) // STACKED_BYTES
        bounds = np.linspace(0, array.size, min(count, max(array.size // 2, 1)) + 1).astype(int).tolist()
        yield from pairwise(bounds)

    def _add(self, update: Mapping[str, Array], count: int) -> None:
        if not self._held:
            self.like = {
                name: np.broadcast_to(np.zeros((), array.dtype), array.shape)
                for name, array in update.items()
            }
            if count * sum(array.nbytes for array in update.values()) > HELD_BYTES:
                self._file = self._stack.enter_context(_file())
        require_alike(self.like, update, "an update")
        if self._file is None:
            self._held.append({name: array.reshape(-1) for name, array in update.items()})
            return
        places: dict[str, int] = {}
        for name, array in update.items():
            places[name] = self._size
            self._size += _written(self._file, np.ascontiguousarray(array), self._size)
        self._places.append(places)
        self._held.append({name: np.zeros(0, array.dtype) for name, array in update.items()})

    def _part(self, number: int, name: str, begin: int, end: int) -> Array:
        held = self._held[number][name]
        if self._file is None:
            return held[begin:end]
        size = held.dtype.itemsize
        place = self._places[number][name] + begin * size
        return np.frombuffer(_read(self._file, (end - begin) * size, place), held.dtype)


@contextmanager
def _file() -> Generator[int]:
    with tempfile.TemporaryFile() as file:
        yield file.fileno()


def _written(file: int, array: Array, place: int) -> int:
    """Writes all of an array at a place of the file, and gives the number of bytes."""
    data = memoryview(cast(Any, array.reshape(-1).view(np.uint8)))
    done = 0
    while done < len(data):
        done += os.pwrite(file, data[done:], place + done)
    return done


def _read(file: int, size: int, place: int) -> bytearray:
    data = bytearray(size)
    view = memoryview(data)
    done = 0
    while done < size:
        done += os.preadv(file, [view[done:]], place + done)
    return data
