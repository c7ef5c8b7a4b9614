"""What JSON holds is written as it is; all else is refused, and never written as something else."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from perdure.graph.deferred import BlobRef
from perdure.graph.text.json_dump import dump
from perdure.graph.values import UNDEFINED

HELD: tuple[Any, ...] = (
    None,
    [None, {"a": None}],
    "null",
    True,
    [0, -0.0, 1.5, 1e300, 2**53, 2**64, -(2**70)],
    {"z": 1, "a": [{}, []], "ä😀": "\u2028</script>"},
    "\ud83d",
    {"\udc00": ["\ud83d", None]},
)
NOT_HELD: tuple[Any, ...] = (
    UNDEFINED,
    math.nan,
    math.inf,
    -math.inf,
    BlobRef("digest", 9, "string", 7),
    b"bytes",
    {1, 2},
)


@pytest.mark.parametrize("value", HELD, ids=repr)
def test_what_json_holds(value: Any) -> None:
    data = dump(value)
    assert json.loads(data) == value
    assert b" " not in data


def test_deep_values() -> None:
    value: Any = 1
    for _ in range(400):
        value = [value]
    assert json.loads(dump(value)) == value


@pytest.mark.parametrize("value", NOT_HELD, ids=repr)
@pytest.mark.parametrize("around", [lambda value: value, lambda value: {"a": [1, value, None]}])
def test_what_it_does_not(value: Any, around: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        dump(around(value))


@pytest.mark.parametrize("more", [1, None, "\ud83d"], ids=repr)
def test_by_name(more: Any) -> None:
    one, other = {"b": {"y": more, "x": 2}, "a": 0}, {"a": 0, "b": {"x": 2, "y": more}}
    assert dump(one, ordered=True) == dump(other, ordered=True)
    assert dump(one) != dump(other)
