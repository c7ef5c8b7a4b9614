"""Agents on vectors: dot products, and sorting by them."""

from __future__ import annotations

import math
from functools import cmp_to_key
from typing import Any, Final

from perdure.agents.agent import Sample, agent
from perdure.agents.schema import anything, array, fields, flag, number
from perdure.agents.shipped.objects import kind, member, require_list
from perdure.errors import AgentError
from perdure.graph.javascript import to_number, to_string
from perdure.graph.values import UNDEFINED, Value, is_list, js_truthy
from perdure.graph.values import number as double

_PURE_PYTHON_PRODUCT_COUNT: Final = 4096
"""Products up to which plain Python is quicker than handing the numbers to numpy."""


@agent(
    "dotProductAgent",
    pure=True,
    description="Multiplies each row of a matrix by a vector (dot product), such as to compare embeddings",
    category="matrix",
    inputs=fields(
        "matrix",
        "vector",
        matrix=array("rows, as long as the vector", items=array(items=number())),
        vector=array(items=number()),
    ),
    output=array("one number per row", items=number()),
    samples=[
        Sample(inputs={"matrix": [[2, 0], [0.5, 4]], "vector": [3, 1]}, result=[6, 5.5]),
        Sample(inputs={"matrix": [[1, 1, 1]], "vector": [0.25, 0.5, 4]}, result=[4.75]),
    ],
)
def dot_product(inputs: dict[str, Value]) -> list[Value]:
    """One number per row, every sum taken from left to right."""
    matrix = require_list(inputs.get("matrix", UNDEFINED), "dotProductAgent: namedInputs.matrix")
    vector = require_list(inputs.get("vector", UNDEFINED), "dotProductAgent: namedInputs.vector")
    width = member(matrix[0] if matrix else UNDEFINED, "length", "dotProductAgent: the first row")
    if width != len(vector):
        raise AgentError(f"dotProduct: Length of vectors do not match. {to_string(width)}, {len(vector)}")
    if len(matrix) * len(vector) > _PURE_PYTHON_PRODUCT_COUNT:
        products = _dot_numbers(matrix, vector)
        if products is not None:
            return products
    return [_dot_row(row, vector) for row in matrix]


def _dot_row(row: Value, vector: list[Value]) -> Value:
    total = 0.0
    for index, item in enumerate(require_list(row, "dotProductAgent: a row")):
        other = vector[index] if index < len(vector) else UNDEFINED
        total += float(to_number(item)) * float(to_number(other))
    return double(total)


def _dot_numbers(matrix: list[Value], vector: list[Value]) -> list[Value] | None:
    """The products by numpy, or None where the rows are not equally long lists of numbers.

    Not `matrix @ vector`: BLAS adds in another order than JavaScript and fuses multiply and add,
    so that the last bit would depend on the machine. Column by column every row is summed from left
    to right, in doubles.
    """
    import numpy  # noqa: PLC0415 -- half a second that only long vectors are worth

    try:
        rows: Any = numpy.array(matrix)
        factors: Any = numpy.array(vector)
    except (ValueError, OverflowError):
        return None
    if (
        rows.ndim != 2
        or factors.ndim != 1
        or rows.dtype.kind not in "fiub"
        or factors.dtype.kind not in "fiub"
    ):
        return None
    columns = numpy.ascontiguousarray(rows.astype(float).T)
    totals: Any = numpy.zeros(len(matrix))
    with numpy.errstate(all="ignore"):
        for column, factor in zip(columns, factors.astype(float), strict=True):
            totals += column * factor
    return [double(total) for total in totals.tolist()]


@agent(
    "sortByValuesAgent",
    pure=True,
    description="Sorts a list by the numbers of another list, largest first",
    category="matrix",
    inputs=fields("array", "values", array=array("what to sort"), values=array("a number per element")),
    params=fields(assendant=flag("smallest first")),
    output=array("the sorted elements", items=anything()),
    samples=[
        Sample(
            inputs={"array": ["bronze", "gold", "silver"], "values": [1, 3, 2]},
            result=["gold", "silver", "bronze"],
        ),
        Sample(
            inputs={"array": ["b", "a"], "values": [9, -9]}, params={"assendant": True}, result=["a", "b"]
        ),
    ],
)
def sort_by_values(inputs: dict[str, Value], params: dict[str, Value]) -> list[Value]:
    """The elements by falling value; equal ones stay in order."""
    array, values = (inputs.get(key, UNDEFINED) for key in ("array", "values"))
    for key, argument in (("array", array), ("values", values)):
        if not js_truthy(argument):
            raise AgentError(f"sortByValue: namedInputs.{key} is UNDEFINED!")
    if not is_list(array):
        raise AgentError(f"sortByValuesAgent: namedInputs.array is {kind(array)}, not a list")
    sign = -1 if js_truthy(params.get("assendant", UNDEFINED)) else 1
    place = "sortByValuesAgent: namedInputs.values"
    ranks = [float(to_number(member(values, index, place))) for index in range(len(array))]
    if any(math.isnan(rank) for rank in ranks):
        # NaN compares as equal to everything, so the outcome is that of merge sort with this very test.
        def order(left: int, right: int) -> int:
            difference = (ranks[right] - ranks[left]) * sign
            return (difference > 0) - (difference < 0)

        return [array[index] for index in sorted(range(len(array)), key=cmp_to_key(order))]
    return [array[index] for index in sorted(range(len(array)), key=lambda index: -ranks[index] * sign)]
