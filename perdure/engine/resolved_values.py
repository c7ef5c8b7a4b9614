"""Values of the store that the run has learned, because its control flow depends on them.

Why
    A run holds large values as deferred ones (deferred.py) and nearly never looks at them. A condition,
    `loop.while`, `anyInput`, the name of an agent, a graph and params have to be known. Code that needs
    one raises ValueNeeded, the value is fetched, and the decision is made again.

Invariant
    What is known follows from the events of the run, and all of it is in every snapshot. A copy of the
    run that knew less would fetch where the run does not, and give its calls other numbers.
    So little is kept, and what was used last is kept: the rest is fetched again. A decision that takes
    several values carries those that it had with each Fetch, so that it ends whatever is forgotten.

Rejected
    A cache of the process: a replay, or another worker, would ask for other values.
    To fetch what a node may need before it is looked at: nearly all of that decides nothing, and each
    fetched value is written to the history.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

from perdure.graph.deferred import BlobRef, Composite, Deferred, deferred_in
from perdure.graph.values import Value, is_dict, is_list, is_object

MAX_RESOLVED_COUNT: Final = 1_000
"""Values that are remembered."""

MAX_RESOLVED_BYTES: Final = 100_000
"""About how much they may take in a snapshot: they decide, and so are small."""


class ValueNeeded(Exception):
    """The run cannot continue here without a value: with all of it if `whole` is set."""

    def __init__(self, deferred: Deferred, whole: bool) -> None:
        self.deferred = deferred
        self.whole = whole
        super().__init__(str(deferred))


@dataclass(slots=True)
class ResolvedValues:
    """Values by the keys of what they are the value of, the one used last at the end."""

    _values: dict[str, Value] = field(default_factory=dict[str, Value])
    _bytes: int = 0

    def resolve_shallow(self, value: Value) -> Value:
        """`value`, or what is known of it: a small value, or a large one's BlobRef. Raises ValueNeeded."""
        if not isinstance(value, Deferred) or isinstance(value, BlobRef):
            return value
        return self._read(value, whole=False)

    def resolve(self, value: Value) -> Value:
        """`value` with nothing deferred in it. Raises ValueNeeded."""
        if isinstance(value, Deferred):
            return self._read(value, whole=True)
        if is_object(value) and next(deferred_in(value), None) is not None:
            return self._read(Composite(value), whole=True)
        return value

    def remember(self, values: Mapping[str, Value]) -> None:
        """Remembers values by their keys: all of them, however many others are forgotten for that."""
        for key, value in values.items():
            if key in self._values:
                self._forget(key)
            self._values[key] = value
            self._bytes += _size(value)
        while len(self._values) > len(values) and (
            len(self._values) > MAX_RESOLVED_COUNT or self._bytes > MAX_RESOLVED_BYTES
        ):
            self._forget(next(iter(self._values)))

    def written(self) -> dict[str, Value]:
        """All that is known: what `remember` takes."""
        return dict(self._values)

    def _forget(self, key: str) -> None:
        self._bytes -= _size(self._values.pop(key))

    def _read(self, deferred: Deferred, whole: bool) -> Value:
        key = key_of(deferred, whole)
        if key not in self._values:
            raise ValueNeeded(deferred, whole)
        value = self._values[key] = self._values.pop(key)
        return value


def key_of(deferred: Deferred, whole: bool) -> str:
    """A short key of the value of `deferred`: of all of it, or of its shallow form."""
    text = repr(deferred).encode(errors="surrogatepass")
    return blake2b(text, digest_size=16, person=b"whole" if whole else b"near").hexdigest()


def _size(value: Value) -> int:
    """About the bytes of a value and its key."""
    if isinstance(value, str):
        return len(value) + 50
    if is_dict(value):
        return 50 + sum(len(key) + _size(item) for key, item in value.items())
    return 50 + sum(map(_size, value)) if is_list(value) else 50
