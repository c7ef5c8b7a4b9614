"""What the agents of a pipeline read of their inputs: tables, splits, models; errors name the place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np

from perdure.agents.distributed.maths.tables import Column, Columns
from perdure.agents.distributed.maths.tensors import Array
from perdure.errors import FinalError
from perdure.graph.values import UNDEFINED, Value, is_dict, is_list


def table_of(value: Value, place: str) -> Columns:
    """The columns of a table. Raises FinalError where they are none, or not of one length."""
    if not is_dict(value) or not value:
        raise FinalError(f"{place}: expected columns by name", hint="pass a split of examplesAgent")
    columns = {name: _column(column, f"{place}.{name}") for name, column in value.items()}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise FinalError(f"{place}: the columns have different lengths: {lengths}")
    return columns


def _column(value: Value, place: str) -> Column:
    array = _array(value)
    if array is not None and array.ndim == 1:
        return array.astype(np.float64)
    if is_list(value) and all(cell is None or isinstance(cell, str) for cell in value):
        return [*value]
    raise FinalError(f"{place}: expected a vector of numbers, or a list of strings and nulls")


def parts_of(inputs: Mapping[str, Value], name: str, place: str) -> dict[str, Value]:
    """An object among the inputs that is not empty."""
    value = inputs.get(name, UNDEFINED)
    if not is_dict(value) or not value:
        finding = f"{place}.{name}: expected an object with at least one member"
        raise FinalError(finding, hint=f"pass the {name} that an agent of the pipeline returned")
    return value


def splits_of(inputs: Mapping[str, Value], place: str, name: str = "examples") -> dict[str, Columns]:
    """The input `name`: tables by the name of their split."""
    parts = parts_of(inputs, name, place)
    return {split: table_of(part, f"{place}.{name}.{split}") for split, part in parts.items()}


def features_of(inputs: Mapping[str, Value], split: str, place: str) -> tuple[Array, Array]:
    """`x` and `y` of one split of the input `examples`. Raises FinalError for an empty one."""
    part = parts_of(inputs, "examples", place).get(split)
    x, y = (_array(part.get("x")), _array(part.get("y"))) if is_dict(part) else (None, None)
    if (
        not isinstance(x, np.ndarray)
        or not isinstance(y, np.ndarray)
        or x.ndim != 2
        or y.shape != x.shape[:1]
    ):
        raise FinalError(
            f"{place}.examples.{split}: expected {{x, y}}, rows of features and their class numbers",
            hint="pass the examples that transformAgent returned",
        )
    if not len(y):
        raise FinalError(f"{place}.examples.{split}: there are no rows")
    return x.astype(np.float64), y.astype(np.int64)


def _array(value: Value) -> Array | None:
    """An array of numbers, or lists of them; None for anything else."""
    try:
        array = cast(Array, np.array(value) if is_list(value) else value)
    except ValueError:
        return None
    return array if isinstance(value, np.ndarray | list) and array.dtype.kind in "fiu" else None
