"""What a run has learned of values that are not here: only what decides its course is ever fetched."""

from __future__ import annotations

from builtins import isinstance  # the SDK's sandbox puts a slow one in its place
from dataclasses import dataclass, field
from typing import Final

from perdure.graph.distant import Distant, Stored, Whole, distant_in
from perdure.graph.values import Value, is_object

MANY: Final = 10_000
"""Values that are remembered; a forgotten one is fetched again."""


class Unknown(Exception):
    """The run cannot go on here without a value: with all of it where `whole` is set."""

    def __init__(self, distant: Distant, whole: bool) -> None:
        self.distant = distant
        self.whole = whole
        super().__init__(str(distant))


@dataclass(slots=True)
class Known:
    """Values by what they are the value of."""

    _values: dict[tuple[str, bool], Value] = field(default_factory=dict[tuple[str, bool], Value])

    def near(self, value: Value) -> Value:
        """`value`, or what is known of it: a small value, or the Stored of a large one. Raises Unknown."""
        if not isinstance(value, Distant) or isinstance(value, Stored):
            return value
        return self._read(value, whole=False)

    def whole(self, value: Value) -> Value:
        """`value` with nothing distant in it. Raises Unknown."""
        if isinstance(value, Distant):
            return self._read(value, whole=True)
        if is_object(value) and next(distant_in(value), None) is not None:
            return self._read(Whole(value), whole=True)
        return value

    def learn(self, distant: Distant, whole: bool, value: Value) -> None:
        """This is the value of `distant`."""
        while len(self._values) >= MANY:
            del self._values[next(iter(self._values))]
        self._values[repr(distant), whole] = value

    def _read(self, distant: Distant, whole: bool) -> Value:
        try:
            return self._values[repr(distant), whole]
        except KeyError:
            raise Unknown(distant, whole) from None
