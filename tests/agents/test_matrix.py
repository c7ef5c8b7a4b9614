import math
import random
from typing import Any

import pytest

from perdure.agents.shipped import matrix
from perdure.agents.shipped.matrix import dot_product, sort_by_values


def left_to_right(rows: list[list[Any]], vector: list[Any]) -> list[float]:
    totals = []
    for row in rows:
        total = 0.0
        for item, other in zip(row, vector, strict=False):
            total += item * other
        totals.append(total)
    return totals


def numbers(count: int, seed: int) -> list[float]:
    source = random.Random(seed)
    return [source.uniform(-1, 1) * 10 ** source.randint(-8, 8) for _ in range(count)]


def test_long_vectors_are_summed_from_left_to_right() -> None:
    vector = numbers(384, 0)
    rows = [numbers(384, seed) for seed in range(1, 41)]
    assert len(rows) * len(vector) > matrix._PURE_PYTHON_PRODUCT_COUNT
    product = dot_product({"matrix": rows, "vector": vector})
    assert product == left_to_right(rows, vector)
    assert product != [math.fsum(a * b for a, b in zip(row, vector, strict=True)) for row in rows]


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ([1] * 2999 + ["2"], 3001),
        ([1] * 2999 + [None], 2999),
        ([True] * 3000, 3000),
        ([1] * 2999, 2999),
        ([1] * 3001, math.nan),
        ([1e308] * 3000, math.inf),
    ],
)
def test_long_rows_of_any_kind(last: list[Any], expected: float) -> None:
    product = dot_product({"matrix": [[0] * 3000, last], "vector": [1] * 3000})
    assert product == [0, pytest.approx(expected, abs=0, rel=0, nan_ok=True)]
    assert type(product[0]) is int


def test_nan_ranks_equal_to_everything() -> None:
    assert sort_by_values({"array": ["a", "b", "c"], "values": [1, "?", 2]}, {}) == ["a", "b", "c"]
    assert sort_by_values({"array": ["a", "b", "c"], "values": [1, math.inf, math.inf]}, {}) == [
        "b",
        "c",
        "a",
    ]
