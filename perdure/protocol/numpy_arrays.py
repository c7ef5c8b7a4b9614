"""Arrays of the language as numpy's, and back: agents, and callers of runs, give and take `numpy.ndarray`.

Arrays that agents get share the bytes of the run, and so are read-only: `array.copy()` is one's own. What
they give is copied, for they may change it later. Torch's tensors are taken like arrays; `torch.from_numpy`
makes one of an array.

Invariant: nothing that an agent does with what it gets changes what others get. torch only warns of bytes
that are read-only, and an optimizer writes to them; so where an agent may import it, each gets its own bytes.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, cast

from perdure.errors import FinalError
from perdure.graph.binary import Array, holds_array
from perdure.graph.deferred import described
from perdure.graph.values import Value, is_dict, is_flat, is_list, normalize, refused

if TYPE_CHECKING:
    import numpy as np

_NAMES: Final[Mapping[str, str]] = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "F16": "float16",
    "U32": "uint32",
    "I32": "int32",
    "F32": "float32",
    "U64": "uint64",
    "I64": "int64",
    "F64": "float64",
    "C64": "complex64",
}
"""numpy's names of the types of items. It has none for the others, such as BF16."""

_DTYPES: Final = {name: dtype for dtype, name in _NAMES.items()}


def with_arrays(value: Value) -> Any:
    """`value` with numpy's arrays in it; the value itself where it has none. Raises FinalError."""
    if value.__class__ is dict and is_flat(value):  # nearly all that agents are called with
        return value
    is_private = may_be_written()
    return _with_arrays(value, is_private) if is_private or holds_array(value) else value


def may_be_written() -> bool:
    """Whether agents may write to what is read-only: then what they get is theirs alone."""
    return "torch" in sys.modules or _is_torch_installed()  # many an agent imports it when it is called


@cache
def _is_torch_installed() -> bool:
    return find_spec("torch") is not None


def _with_arrays(value: Value, is_private: bool) -> Any:
    if isinstance(value, Array):
        return _ndarray(value, is_private)
    if is_dict(value):
        return {key: _with_arrays(item, is_private) for key, item in value.items()}
    if is_list(value):
        return [_with_arrays(item, is_private) for item in value]
    return bytes(memoryview(value)) if is_private and isinstance(value, bytes) else value


def _ndarray(array: Array, is_private: bool) -> np.ndarray[Any, Any]:
    import numpy as np  # noqa: PLC0415 -- for those who have arrays only

    if array.dtype not in _NAMES:
        raise FinalError(
            f"numpy has no type for an array of {array.dtype}",
            hint="let the agent that makes it give another type, such as float32",
        )
    items = np.frombuffer(array.data, np.dtype(_NAMES[array.dtype]).newbyteorder("<"))
    items = (items.copy() if is_private else items).reshape(array.shape)
    items.flags.writeable = False
    return items


def from_python(value: Any) -> Value:
    """`value`, which a program of Python gave, as the language holds it. Raises TypeError, as `normalize`."""
    return normalize(value, _foreign)


def shown(value: Any) -> Value:
    """The same for people: as JSON can hold it, with arrays and byte strings described. Raises TypeError."""
    return described(from_python(value))


def _foreign(value: Any) -> Value:
    if isinstance(value, Array | bytes):
        return value
    if isinstance(value, bytearray | memoryview):
        return bytes(cast(Any, value))
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None and isinstance(value, numpy.generic) and value.dtype.kind in "biuf":
        return normalize(value.item())
    if numpy is not None and type(value) in (numpy.ndarray, numpy.memmap):
        return _array(value)
    if torch is not None and isinstance(value, torch.Tensor):
        return _of_torch(value, torch)
    return refused(value)


def _array(items: Any) -> Array:
    name = _DTYPES.get(items.dtype.newbyteorder("=").name)
    if name is None:
        raise TypeError(f"an array of {items.dtype} cannot pass through a graph")
    little = items.astype(items.dtype.newbyteorder("<"), copy=False)
    return Array(name, items.shape, _immutable(little) or little.tobytes())


def _immutable(items: Any) -> bytes | memoryview | None:
    """The bytes of an array that an agent got and hands on, which need not be copied; None for others."""
    base: Any = items.base
    while isinstance(base, type(items)):
        base = base.base
    owner = getattr(base, "obj", base)  # of a memoryview
    is_whole = type(owner) is bytes and memoryview(base).nbytes == items.nbytes and items.flags.c_contiguous
    return base if is_whole else None


def address_of(data: bytes | memoryview) -> int:
    """Where in memory the bytes are: equal for views of the same bytes, as long as these live."""
    numpy = sys.modules.get("numpy")
    if numpy is None or not len(data):
        return id(data)
    return numpy.frombuffer(data, numpy.uint8).__array_interface__["data"][0]


def _of_torch(tensor: Any, torch: Any) -> Array:
    items = tensor.detach().cpu().contiguous()
    if items.dtype == torch.bfloat16:
        return Array("BF16", tuple(items.shape), items.view(torch.int16).numpy().tobytes())
    return _array(items.numpy())
