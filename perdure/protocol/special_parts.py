"""Which parts of a value hold something that JSON does not hold: undefined, NaN, what is deferred or binary.

Each list and object is looked at once, whatever is shared. To try each with the JSON writer instead takes the
square of the depth: it writes nearly all of a part before it meets the one that it refuses.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from typing import Final

from perdure.graph.values import Value, is_dict, is_list

_PLAIN: Final = frozenset({str, int, bool, type(None)})


@dataclass(slots=True)
class SpecialParts:
    """What is known of the lists and objects of one value, which lives as long as this does."""

    _known: dict[int, bool] = field(default_factory=dict[int, bool])

    def are_in(self, value: Value) -> bool:
        """Whether `value` is or holds something that JSON does not hold."""
        kind = value.__class__
        if kind in _PLAIN:
            return False
        if kind is float:
            return not isfinite(value)
        if not (is_dict(value) or is_list(value)):
            return True
        known = self._known.get(id(value))
        if known is None:
            known = False
            for item in value.values() if is_dict(value) else value:
                if item.__class__ not in _PLAIN and self.are_in(item):
                    known = True
                    break
            self._known[id(value)] = known
        return known
