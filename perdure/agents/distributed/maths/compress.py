"""Smaller updates: the largest numbers only, or a byte for each.

What a round leaves out is not lost: the site adds it to its next update (error feedback; Stich and others,
"Sparsified SGD with Memory", 2018). So a site keeps a residual, which never leaves it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from perdure.agents.distributed.maths.tensors import Array, Tensors, flat, shaped
from perdure.errors import FinalError

COMPRESSIONS: Final = ("none", "topk", "int8")
_INT8_FACTOR = 127


def top_k(update: Mapping[str, Array], share: float) -> Tensors:
    """The `share` largest numbers by absolute value: `index` (int32) and `value` (float32), 8 bytes each.

    Of equal numbers the first are sent. At least one number is; `share` is above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise FinalError(f"topk {share}: expected a share above 0 and at most 1")
    vector = flat(update)
    count = max(1, int(len(vector) * share))
    index = np.argsort(-np.abs(vector), kind="stable")[:count]
    return {"index": index.astype(np.int32), "value": vector[index].astype(np.float32)}


def from_top_k(sent: Mapping[str, Array], like: Mapping[str, Array]) -> Tensors:
    """The update that was sent, zeros elsewhere. Raises FinalError for an index outside the model."""
    total = sum(array.size for array in like.values())
    index, value = sent["index"], sent["value"]
    if index.shape != value.shape or (index.size and not (index.min() >= 0 and index.max() < total)):
        raise FinalError(f"a sparse update has indices outside a model of {total} numbers")
    vector = np.zeros(total, np.float32)
    vector[index] = value
    return shaped(vector, like)


def int8(update: Mapping[str, Array]) -> Tensors:
    """A byte for each number, and one scale for all: `level` (int8) and `scale` (float32, 1 number)."""
    vector = flat(update)
    largest = np.float32(np.abs(vector).max(initial=0.0))
    if not np.isfinite(largest):
        raise FinalError("an update with NaN or infinity cannot be quantized")
    scale = largest / np.float32(_INT8_FACTOR) or np.float32(1)
    return {"level": np.round(vector / scale).astype(np.int8), "scale": np.array([scale], np.float32)}


def from_int8(sent: Mapping[str, Array], like: Mapping[str, Array]) -> Tensors:
    """The update that was sent, to half a level of each number."""
    return shaped(sent["level"] * sent["scale"][0], like)


def compress(
    delta: Mapping[str, Array], residual: Mapping[str, Array] | None, method: str, share: float = 0.1
) -> tuple[Tensors, Tensors]:
    """What to send of `delta` and the `residual` of earlier rounds, and the next residual."""
    due = {
        name: array if residual is None else (array + residual[name]).astype(array.dtype)
        for name, array in delta.items()
    }
    sent = dict(due) if method == "none" else top_k(due, share) if method == "topk" else None
    if sent is None:
        if method != "int8":
            raise FinalError(f"there is no compression {method!r}", hint=f"one of {', '.join(COMPRESSIONS)}")
        sent = int8(due)
    kept = restore(sent, due, method)
    return sent, {name: array - kept[name] for name, array in due.items()}


def restore(sent: Mapping[str, Array], like: Mapping[str, Array], method: str) -> Tensors:
    """The update that `compress` made smaller: names, shapes and dtypes of `like`."""
    if method == "none":
        return dict(sent)
    needed = {"topk": ("index", "value"), "int8": ("level", "scale")}.get(method)
    if needed is None or any(name not in sent for name in needed):
        raise FinalError(f"an update that is compressed by {method!r} has the arrays {', '.join(sent)}")
    return from_top_k(sent, like) if method == "topk" else from_int8(sent, like)


def sent_bytes(sent: Mapping[str, Array]) -> int:
    """The bytes of all numbers that are sent, without names and shapes."""
    return sum(array.nbytes for array in sent.values())
