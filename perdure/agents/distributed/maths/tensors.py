"""Named arrays: the weights of a model, a gradient, an update.

The order of the names is part of the value: sums, digests and flat vectors follow it.
numpy makes a number of what it computes of arrays without dimensions; here they stay arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from perdure.errors import FinalError

Array: TypeAlias = NDArray[Any]
Tensors: TypeAlias = dict[str, Array]

BLOCK_COUNT: Final = 250_000
"""Numbers of an array that are computed at a time."""


def require_alike(first: Mapping[str, Array], other: Mapping[str, Array], place: str) -> None:
    """Raises FinalError unless `other` has the names and shapes of `first`, in the same order."""
    if list(first) != list(other):
        raise FinalError(
            f"{place}: has the arrays {', '.join(other) or 'none'}, expected {', '.join(first) or 'none'}",
            hint="all updates of a round must come from the same model",
        )
    for name, array in first.items():
        if other[name].shape != array.shape:
            raise FinalError(
                f"{place}.{name}: has the shape {list(other[name].shape)}, expected {list(array.shape)}",
                hint="all updates of a round must come from the same model",
            )


def require_some(updates: Sequence[object], place: str) -> None:
    """Raises FinalError for an empty list: nothing can be aggregated."""
    if not updates:
        raise FinalError(f"{place}: there are no updates to aggregate", hint="check which rows were missing")


def shapes(tensors: Mapping[str, Array]) -> Tensors:
    """Arrays with the names, shapes and dtypes of `tensors` that take no memory."""
    return {name: np.broadcast_to(np.zeros((), array.dtype), array.shape) for name, array in tensors.items()}


def zeros_like(tensors: Mapping[str, Array]) -> Tensors:
    """Zeros with the names, shapes and dtypes of `tensors`."""
    return {name: np.zeros_like(array) for name, array in tensors.items()}


def subtract(left: Mapping[str, Array], right: Mapping[str, Array]) -> Tensors:
    """The difference of each array."""
    return {name: np.asarray(array - right[name]) for name, array in left.items()}


def add(left: Mapping[str, Array], right: Mapping[str, Array]) -> Tensors:
    """The sum of each array, in the dtype of `left`."""
    return {name: np.asarray(array + right[name], array.dtype) for name, array in left.items()}


def scale(tensors: Mapping[str, Array], factor: float) -> Tensors:
    """Each array times a number, in its own dtype."""
    return {name: np.asarray(array * factor) for name, array in tensors.items()}


def flat(tensors: Mapping[str, Array]) -> Array:
    """All numbers as one vector, arrays in order, each in C order."""
    return np.concatenate([array.ravel() for array in tensors.values()]) if tensors else np.zeros(0)


def shaped(vector: Array, like: Mapping[str, Array]) -> Tensors:
    """The inverse of `flat`: names, shapes and dtypes of `like`. Raises FinalError for another length."""
    total = sum(array.size for array in like.values())
    if vector.shape != (total,):
        raise FinalError(f"a vector of {vector.size} numbers does not fill arrays of {total}")
    parts: Tensors = {}
    start = 0
    for name, array in like.items():
        parts[name] = vector[start : start + array.size].reshape(array.shape).astype(array.dtype)
        start += array.size
    return parts


def norm(tensors: Mapping[str, Array]) -> float:
    """The Euclidean length of all numbers together, summed in doubles."""
    squares = (float(np.square(array, dtype=np.float64).sum()) for array in tensors.values())
    return float(np.sqrt(sum(squares)))


def digest(tensors: Mapping[str, Array]) -> str:
    """SHA-256 over names, dtypes, shapes and bytes, as hexadecimal: equal for equal bits only."""
    state = sha256()
    for name, array in tensors.items():
        shape = ",".join(map(str, array.shape))
        head = f"{len(name.encode())}:{name}{array.dtype.newbyteorder('<').str}[{shape}]"
        state.update(head.encode())
        state.update(cast(Any, np.ascontiguousarray(array, array.dtype.newbyteorder("<"))))
    return state.hexdigest()


def all_finite(tensors: Iterable[Array]) -> bool:
    """Whether there is neither NaN nor infinity in any array."""
    return all(bool(np.isfinite(block).all()) for array in tensors for block in blocks(array))


def blocks(array: Array) -> Iterator[Array]:
    """An array in parts, so that what is computed of each takes little memory."""
    if not array.flags.c_contiguous:
        yield array
        return
    vector = array.reshape(-1)
    for begin in range(0, max(vector.size, 1), BLOCK_COUNT):
        yield vector[begin : begin + BLOCK_COUNT]


def add_scaled(total: Array, array: Array, factor: float) -> None:
    """``total += array * factor``, the same bits, without memory for the product."""
    if not total.flags.c_contiguous or not array.flags.c_contiguous:
        total += array * factor
        return
    for part, block in zip(blocks(total), blocks(array), strict=True):
        part += block * factor
