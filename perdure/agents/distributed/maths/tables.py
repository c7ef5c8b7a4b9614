"""Tables as named columns, and how their rows are dealt to splits.

A column of numbers is a vector of doubles, in which a missing value is NaN. Any other column is a list of
strings, in which a missing value is None.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final, TypeAlias

import numpy as np

from perdure.agents.distributed.maths.tensors import Array
from perdure.errors import FinalError

Column: TypeAlias = "Array | list[str | None]"
Columns: TypeAlias = dict[str, Column]

_TOTAL_COUNT: Final = 1 << 64
"""Places on the line from 0 to 1 to which a row is hashed."""


def is_numeric(column: Column) -> bool:
    """Whether the column holds numbers."""
    return isinstance(column, np.ndarray)


def length(columns: Mapping[str, Column]) -> int:
    """Rows of the table."""
    return len(next(iter(columns.values()), ()))


def read_csv(text: str) -> Columns:
    """The columns of a CSV file with a header; an empty cell is a missing value.

    Raises FinalError for a row of another length than the header, for a name that occurs twice, and for a
    file without a header.
    """
    lines = csv.reader(io.StringIO(text, newline=""))
    names = next(lines, None)
    if not names:
        raise FinalError("the table is empty", hint="the first line names the columns")
    if len(set(names)) < len(names):
        raise FinalError("two columns have the same name", hint="rename one in the first line")
    rows: list[list[str]] = []
    for cells in lines:
        if not cells:
            continue
        if len(cells) != len(names):
            raise FinalError(f"line {lines.line_num}: {len(cells)} cells, expected {len(names)}")
        rows.append(cells)
    return {name: _column([row[place] or None for row in rows]) for place, name in enumerate(names)}


def from_rows(rows: Sequence[Mapping[str, Any]]) -> Columns:
    """The columns of objects; what a row lacks, or has as null, is a missing value."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: _column([row.get(name) for row in rows]) for name in names}


def _column(cells: Sequence[Any]) -> Column:
    """Numbers if every cell that is there is one, or reads as one."""
    try:
        return np.array([np.nan if cell is None else _number(cell) for cell in cells], np.float64)
    except ValueError:
        return [None if cell is None else _text(cell) for cell in cells]


def _number(cell: Any) -> float:
    if isinstance(cell, str | int | float):
        return float(cell)
    raise ValueError(cell)


def _text(cell: Any) -> str:
    return cell if isinstance(cell, str) else json.dumps(cell, sort_keys=True, default=str)


def chosen(columns: Mapping[str, Column], rows: Array) -> Columns:
    """The rows with these numbers, in this order."""
    return {
        name: column[rows] if isinstance(column, np.ndarray) else [column[row] for row in rows]
        for name, column in columns.items()
    }


def dealt(columns: Mapping[str, Column], shares: Mapping[str, float], seed: int) -> dict[str, Columns]:
    """The table in splits, of about these shares of the rows.

    The split of a row follows from the row and the seed alone. So rows that are added later move no other
    row from training to evaluation, and equal rows are in the same split. Raises FinalError for shares that
    are not above 0 or do not add up to 1.
    """
    if not shares or min(shares.values()) <= 0 or abs(sum(shares.values()) - 1) > 1e-9:
        raise FinalError("the shares of the splits must be above 0 and add up to 1")
    ends = np.cumsum(list(shares.values()))
    ends[-1] = 1.0
    places = np.array([_place(columns, row, seed) for row in range(length(columns))], np.float64)
    split = np.searchsorted(ends, places, side="right")
    return {name: chosen(columns, np.flatnonzero(split == index)) for index, name in enumerate(shares)}


def _place(columns: Mapping[str, Column], row: int, seed: int) -> float:
    """Where a row lies between 0 and 1."""
    cells = {
        name: float(column[row]) if isinstance(column, np.ndarray) else column[row]
        for name, column in columns.items()
    }
    digest = sha256(json.dumps([seed, cells], sort_keys=True).encode()).digest()
    return int.from_bytes(digest[:8], "big") / _TOTAL_COUNT
