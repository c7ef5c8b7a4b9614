"""A graph document: its values, and their positions in the text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from perdure.graph.values import Value

Position: TypeAlias = tuple[int, int]
"""Line and column, both counted from 1."""


@dataclass(slots=True)
class Spot:
    """Where a value starts, and the spots of what it holds: by key, or in order of a list."""

    position: Position
    items: dict[str, Spot] | list[Spot] | None = None

    def child(self, key: str | int) -> Spot | None:
        """The spot of one item; None if there is no such item."""
        if isinstance(self.items, dict):
            return self.items.get(str(key))
        if self.items is None or not str(key).isdecimal() or float(key) >= len(self.items):
            return None
        return self.items[int(key)]


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed text: `data` in the form of perdure.graph.values, `source` its name for messages.

    `spots` is None for a document that was built in Python.
    """

    data: Value
    source: str = ""
    spots: Spot | None = field(default=None, repr=False, compare=False)

    def position(self, place: Sequence[str | int]) -> Position | None:
        """Line and column of ``("nodes", "b", "inputs")``, or of its nearest ancestor in the text.

        The position of a member of an object is that of its key. None if the document has no text.
        """
        spot = self.spots
        if spot is None:
            return None
        for key in place:
            child = spot.child(key)
            if child is None:
                break
            spot = child
        return spot.position


@dataclass(frozen=True, slots=True)
class Limits:
    """What a document may cost. Aliases count for what they stand for.

    Attributes:
        size: Bytes of the text in UTF-8, and characters of all scalars with aliases expanded.
        depth: Lists and objects inside each other.
        values: Scalars, lists and objects, keys not counted.
        marks: Commas and line ends; counted before anything is parsed, so that a file of nothing but
            separators costs nothing.
        scalar: Characters of one key or string.
        aliased: Values that aliases add.
    """

    size: int = 1_000_000
    depth: int = 64
    values: int = 100_000
    marks: int = 200_000
    scalar: int = 256 * 1024
    aliased: int = 20_000


LIMITS = Limits()
