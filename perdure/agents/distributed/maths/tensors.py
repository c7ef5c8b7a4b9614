"""Named arrays: the weights of a model, a gradient, an update.

The order of the names is part of the value: sums, digests and flat vectors follow it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from perdure.errors import FinalError

Array: TypeAlias = NDArray[Any]
Tensors: TypeAlias = dict[str, Array]


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


def zeros_like(tensors: Mapping[str, Array]) -> Tensors:
    """Zeros with the names, shapes and dtypes of `tensors`."""
    return {name: np.zeros_like(array) for name, array in tensors.items()}


def subtract(left: Mapping[str, Array], right: Mapping[str, Array]) -> Tensors:
    """The difference of each array."""
    return {name: array - right[name] for name, array in left.items()}


def add(left: Mapping[str, Array], right: Mapping[str, Array]) -> Tensors:
    """The sum of each array, in the dtype of `left`."""
    return {name: (array + right[name]).astype(array.dtype) for name, array in left.items()}


def scale(tensors: Mapping[str, Array], factor: float) -> Tensors:
    """Each array times a number, in its own dtype."""
    return {name: array * factor for name, array in tensors.items()}


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
        state.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
    return state.hexdigest()


def all_finite(tensors: Iterable[Array]) -> bool:
    """Whether there is neither NaN nor infinity in any array."""
    return all(bool(np.isfinite(array).all()) for array in tensors)
