"""Values that are bytes: arrays of numbers, and byte strings. Agents see arrays as numpy's.

Why
    The weights of a model as JSON take five times their bytes, and a thousand times the time.

Invariants
    The bytes are what an agent gave: every NaN and every -0 survives. Two arrays are equal if type, shape and
    bytes are.
    An array is immutable, so runs, shells and caches share one without copies.
    JSON and strings hold none: whatever would write one as text raises FunctionError.

Rejected
    numpy's arrays themselves: the workflow would import numpy, and ``==`` of two arrays is an array.
    Base64: other agents would take it for text.
    Pickles: to read one executes what it says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Final, TypeAlias, TypeGuard

from perdure.errors import FunctionError
from perdure.graph.values import Value, is_dict, is_list

ITEM_SIZES: Final[Mapping[str, int]] = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 8),
}
"""The types of items, as safetensors names them, with their bytes."""

MAX_DIMENSION_COUNT: Final = 64
"""Dimensions of an array: those of numpy."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Array:
    """Numbers of one type, row by row, little-endian; `dtype` is one of ITEM_SIZES.

    Raises ValueError where the bytes are not as many as type and shape say.
    """

    dtype: str
    shape: tuple[int, ...]
    data: bytes | memoryview

    def __post_init__(self) -> None:
        size = ITEM_SIZES.get(self.dtype)
        is_shape = len(self.shape) <= MAX_DIMENSION_COUNT and min(self.shape, default=0) >= 0
        if size is None or not is_shape or prod(self.shape) * size != len(self.data):
            raise ValueError(f"{len(self.data)} bytes cannot be an array {self.dtype} of shape {self.shape}")

    @property
    def nbytes(self) -> int:
        """The bytes of all items."""
        return len(self.data)

    def facts(self) -> dict[str, Value]:
        """What references read of it."""
        return {"dtype": self.dtype, "shape": list(self.shape), "nbytes": self.nbytes}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Array) and self._whole() == other._whole()

    def __hash__(self) -> int:
        return hash((self.dtype, self.shape, bytes(self.data)))

    def _whole(self) -> tuple[object, ...]:
        return self.dtype, self.shape, self.data

    def __repr__(self) -> str:
        return f"Array({self.dtype}, {self.shape}, {hashlib.sha256(self.data).hexdigest()})"

    def __str__(self) -> str:
        shape = "x".join(map(str, self.shape)) or "scalar"
        return f"[array {self.dtype} {shape}, {self.nbytes:,} bytes]"


Binary: TypeAlias = Array | bytes


_PLAIN: Final = frozenset({str, int, float, bool, type(None)})
_CONTAINERS: Final = (dict, list)


def is_binary(value: Value) -> TypeGuard[Binary]:
    """Whether `value` is an array or a byte string."""
    return isinstance(value, Array | bytes)


def is_tensors(value: Value) -> TypeGuard[dict[str, Array]]:
    """Whether `value` is an object, not an empty one, whose members are all arrays."""
    return is_dict(value) and bool(value) and all(item.__class__ is Array for item in value.values())


def holds_array(value: Value) -> bool:
    """Whether there is an array at any depth."""
    if not (is_dict(value) or is_list(value)):
        return isinstance(value, Array)
    part, pending = value, list[Value]()
    while True:
        for item in part.values() if is_dict(part) else part:
            kind = item.__class__
            if kind in _PLAIN:  # most are
                continue
            if kind is Array:
                return True
            if isinstance(item, _CONTAINERS):
                pending.append(item)
        if not pending:
            return False
        part = pending.pop()


def refuse_text(value: Value) -> None:
    """Raises FunctionError for an array or a byte string, also numpy's or torch's."""
    if isinstance(value, bytes) or hasattr(value, "nbytes"):
        raise FunctionError(
            f"{binary_text(value)} cannot be written as text or JSON",
            hint="refer to it as a whole, :node.name; an agent makes text of it",
        )


def size_of_binary(value: Value) -> int:
    """Bytes of an array or a byte string; 0 for other values."""
    return len(value) if isinstance(value, bytes) else int(getattr(value, "nbytes", 0))


def binary_text(value: Value) -> str:
    """What people see of an array, also of numpy's or torch's, or of a byte string."""
    return str(value) if isinstance(value, Array) else f"[{size_of_binary(value):,} bytes]"
