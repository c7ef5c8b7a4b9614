"""Inputs that stay in the store until an agent opens them: models that do not fit into memory together.

Why. An average of a hundred models needs one of them at a time. An agent whose inputs are all there needs the
memory of a hundred.

Invariant: an agent sees the same, whatever the shell and whatever is in the store: each array, byte string
and object of arrays in its `blobs` inputs is a Blob.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine
from typing import Any, Final

from perdure.errors import TransientError
from perdure.graph.binary import is_binary, is_tensors
from perdure.graph.values import Value, is_dict, is_list
from perdure.protocol.numpy_arrays import with_arrays

BLOB_TIMEOUT_S: Final = 180.0
"""Seconds for which an agent waits for a blob: more than the store takes for an object, with all attempts."""


class Blob:
    """Arrays, or a byte string, to be opened: read from where they are, each time, and not kept."""

    def __init__(self, read: Callable[[], Value]) -> None:
        self._read = read

    def open(self) -> Any:
        """The value, with numpy's arrays. Raises what the store raises."""
        return with_arrays(self._read())


def opened(value: Any) -> Any:
    """What is in a blob; any other value as it is."""
    return value.open() if isinstance(value, Blob) else value


def stored_blob(read: Callable[[], Coroutine[Any, Any, Value]], loop: asyncio.AbstractEventLoop) -> Blob:
    """A blob that `read` reads in the event loop `loop`, for agents in other threads."""

    def wait() -> Value:
        try:
            return asyncio.run_coroutine_threadsafe(read(), loop).result(BLOB_TIMEOUT_S)
        except (TimeoutError, RuntimeError) as error:  # the loop hangs, or has ended
            raise TransientError(f"the store did not give a blob within {BLOB_TIMEOUT_S:g} s") from error

    return Blob(wait)


def received(inputs: Value, blobs: Collection[str]) -> Any:
    """The inputs of an agent: with numpy's arrays, and blobs in the inputs of these names."""
    if not blobs or not is_dict(inputs):
        return with_arrays(inputs)
    return {name: _in_blobs(item) if name in blobs else with_arrays(item) for name, item in inputs.items()}


def parted(inputs: Value, blobs: Collection[str]) -> tuple[Value, dict[str, Value]]:
    """Inputs without those of the names `blobs`, and these. All in one, where they are not by name."""
    if not is_dict(inputs):
        return inputs, {}
    others = {name: item for name, item in inputs.items() if name not in blobs}
    return others, {name: item for name, item in inputs.items() if name in blobs}


def _in_blobs(value: Value) -> Any:
    if is_binary(value) or is_tensors(value):
        return Blob(lambda: value)
    if is_dict(value):
        return {name: _in_blobs(item) for name, item in value.items()}
    if is_list(value):
        return [_in_blobs(item) for item in value]
    return value
