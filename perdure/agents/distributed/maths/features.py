"""From columns to the numbers that a model takes: fitted on the training rows, then the same for all rows.

What is fitted is data (means, deviations, categories), kept with the model. So a model is asked in the same
way as it was trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from perdure.agents.distributed.maths.tables import Column, length
from perdure.agents.distributed.maths.tensors import Array
from perdure.errors import FinalError


def fitted(
    columns: Mapping[str, Column], scale: Sequence[str], categories: Sequence[str], label: str
) -> dict[str, Any]:
    """{scale, categories, label}: what `applied` needs, taken from the training rows alone."""
    return {
        "scale": {name: _moments(_numbers(columns, name), name) for name in scale},
        "categories": {name: _different(strings(columns, name)) for name in categories},
        "label": {"column": label, "classes": _different(strings(columns, label))},
    }


def _different(column: Sequence[str | None]) -> list[str]:
    return sorted({value for value in column if value is not None})


def _moments(column: Array, name: str) -> dict[str, float]:
    there = column[~np.isnan(column)]
    if not there.size:
        raise FinalError(f"column {name!r}: has no values to scale by")
    return {"mean": float(there.mean()), "deviation": float(there.std()) or 1.0}


def applied(columns: Mapping[str, Column], graph: Mapping[str, Any]) -> tuple[Array, Array]:
    """`x` (rows, features) in doubles, and `y`, class numbers.

    A missing number becomes the mean of the training rows. A string that they did not have has 0 in all its
    features. Raises FinalError for a label that is missing or that they did not have.
    """
    parts = [_scaled(_numbers(columns, name), moments) for name, moments in graph["scale"].items()]
    for name, values in graph["categories"].items():
        column = np.array(strings(columns, name), object)
        parts.extend((column == value).astype(np.float64) for value in values)
    if not parts:
        raise FinalError("there are no features", hint="name columns in params.scale or params.categories")
    return np.stack(parts, axis=1).reshape(length(columns), len(parts)), _labels(columns, graph["label"])


def _scaled(column: Array, moments: Mapping[str, float]) -> Array:
    return np.nan_to_num((column - moments["mean"]) / moments["deviation"])


def _labels(columns: Mapping[str, Column], label: Mapping[str, Any]) -> Array:
    numbers = {value: number for number, value in enumerate(label["classes"])}
    labels = strings(columns, label["column"])
    for value in labels:
        if value not in numbers:
            raise FinalError(f"column {label['column']!r}: the training rows have no label {value!r}")
    return np.array([numbers[value] for value in labels], np.int64)


def _numbers(columns: Mapping[str, Column], name: str) -> Array:
    column = columns.get(name)
    if not isinstance(column, np.ndarray):
        raise FinalError(
            f"column {name!r}: {'is missing' if column is None else 'holds strings, no numbers'}"
        )
    return column


def strings(columns: Mapping[str, Column], name: str) -> list[str | None]:
    """The column as strings. Numbers are names, too, where they are labels or categories."""
    column = columns.get(name)
    if column is None:
        raise FinalError(f"column {name!r}: is missing")
    if isinstance(column, list):
        return column
    return [None if np.isnan(value) else f"{value:g}" for value in column]
