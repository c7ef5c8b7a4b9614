"""Where the binary values of a call are kept: those that its agent returns as they are stay there.

Why. A node that passes a model of 40 MB on would encode it, hash it and ask the store whether it is there,
for a third of a second, to find that nothing has changed.

Invariant: what is found has the same bytes, because it is the same memory, which does not change: an agent
gets arrays that are read-only, and what it makes of them is elsewhere. Where agents may write to them all the
same, each gets its own (perdure.protocol.numpy_arrays), and nothing is known.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from perdure.graph.binary import Array, Binary, is_binary, is_tensors
from perdure.graph.deferred import Deferred, Projection
from perdure.graph.values import Value, is_dict, is_list
from perdure.protocol.numpy_arrays import address_of, may_be_written

Key: TypeAlias = tuple[object, ...]


@dataclass(slots=True)
class KnownValues:
    """Binary values by their memory, and objects of arrays by that of all their members."""

    _places: dict[Key, tuple[Deferred, Value]] = field(default_factory=dict[Key, tuple[Deferred, Value]])

    def note(self, deferred: Value, redeemed: Value) -> None:
        """Notes what is in `redeemed`, which is `deferred` with nothing deferred in it."""
        if may_be_written():
            return
        if isinstance(deferred, Deferred):
            self._note(deferred, redeemed)
        elif is_dict(deferred) and is_dict(redeemed):
            for name, item in deferred.items():
                self.note(item, redeemed.get(name))
        elif is_list(deferred) and is_list(redeemed):
            for item, other in zip(deferred, redeemed, strict=False):
                self.note(item, other)

    def find(self, value: Value) -> Deferred | None:
        """Where `value` is kept, an array, a byte string, or an object of arrays; None if that is unknown."""
        key = None if may_be_written() else _key(value)  # torch may have been loaded since
        return None if key is None or key not in self._places else self._places[key][0]

    def _note(self, place: Deferred, value: Value) -> None:
        key = _key(value)
        if key is not None:
            self._places.setdefault(key, (place, value))
        if is_tensors(value):
            for name, array in value.items():
                self._places.setdefault(_memory(array), (_member(place, name), array))


def _member(place: Deferred, name: str) -> Projection:
    step = (name, False)
    if isinstance(place, Projection) and not place.cleaned:
        return Projection(place.source, (*place.steps, step))
    return Projection(place, (step,))


def _key(value: Value) -> Key | None:
    """The memory of a binary value, or of all in an object of arrays; None for other values."""
    if is_binary(value):
        return _memory(value)
    if is_tensors(value):
        return tuple((name, *_memory(array)) for name, array in value.items())
    return None


def _memory(value: Binary) -> Key:
    if isinstance(value, Array):
        return address_of(value.data), value.dtype, value.shape
    return address_of(value), len(value)
