"""What the graphs inside a node start with: one start, or one for each row of a map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perdure.engine.plan import spread
from perdure.graph.deferred import BlobRef, Deferred, Projection
from perdure.graph.fields import MAP_INDEX
from perdure.graph.values import UNDEFINED, Value, is_list


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One graph to run: the values its static nodes begin with."""

    values: Mapping[str, Value]
    invalid: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows(Sequence[Start]):
    """A start for each row, made when it is asked for: there may be a hundred thousand."""

    #: The list, or where it is stored.
    rows: Value
    #: The node that holds the row.
    row_key: str
    #: The inputs that are expanded, by node: row `i` starts with item `i` of each.
    columns: Mapping[str, Value]
    #: What every row starts with.
    values: Mapping[str, Value]
    #: How many rows there are.
    limit: int
    #: Why none can start, as a message.
    invalid: str | None = None

    def __len__(self) -> int:
        return self.limit

    @property
    def common(self) -> dict[str, Value]:
        """What is the same in every row."""
        own = {self.row_key, *self.columns}
        return {name: value for name, value in self.values.items() if name not in own}

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < self.limit:
            raise IndexError(index)
        if self.invalid is not None:
            return Start(values={}, invalid=self.invalid)
        return Start(values=self.values_of(index))

    def values_of(self, index: int) -> dict[str, Value]:
        """What the row begins with: a new dictionary each time."""
        values = {**self.values, self.row_key: _item(self.rows, index), MAP_INDEX: index}
        for node, column in self.columns.items():
            values[node] = _item(column, index)
        return values


def _item(value: Value, index: int) -> Value:
    """The item of a list, or the member that is named like its index of anything else."""
    if is_list(value):
        return value[index] if index < len(value) else UNDEFINED
    if isinstance(value, Deferred):
        is_object = isinstance(value, BlobRef) and value.kind == "object"
        if isinstance(value, BlobRef) and value.kind == "list" and index >= value.length:
            return UNDEFINED
        return Projection(value, ((str(index) if is_object else f"${index}", True),))
    return spread(value).get(str(index), UNDEFINED)


def ranges(rows: Sequence[int]) -> list[list[int]]:
    """Numbers as (first, last) of those that follow each other."""
    pairs: list[list[int]] = []
    for row in sorted(rows):
        if pairs and pairs[-1][1] == row - 1:
            pairs[-1][1] = row
        else:
            pairs.append([row, row])
    return pairs


def numbers(pairs: Sequence[Sequence[int]], limit: int) -> list[int]:
    """What `ranges` was made of. Raises ValueError for more than `limit` numbers, and makes none of them."""
    if sum(last + 1 - first for first, last in pairs) > limit:
        raise ValueError(f"there are more than {limit} rows")
    return [row for first, last in pairs for row in range(first, last + 1)]
