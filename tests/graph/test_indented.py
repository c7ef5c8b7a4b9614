"""JSON with its parts on lines: the same as JavaScript's, and never larger than a value may be."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.errors import FunctionError, SizeExceeded
from perdure.graph.javascript import stringify
from perdure.graph.reference import parse_reference
from perdure.graph.sizes import indented
from perdure.graph.values import UNDEFINED


def deep(value: Any, levels: int) -> Any:
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value", [1, "x", None, UNDEFINED, [], {}, [1, {"a": [UNDEFINED, 2], "b": UNDEFINED}], deep("x", 399)]
)
def test_it_is_written_as_before(value: Any) -> None:
    assert indented(value) == stringify(value, 2)


def test_what_indentation_would_make_large_is_not_built() -> None:
    value = deep([0] * 100_000, 390)
    with pytest.raises(SizeExceeded, match="the value would be 78"):
        indented(value)
    assert len(str(indented(deep([0] * 10_000, 390)))) > 7_000_000


def test_a_reference_fails_its_node() -> None:
    reference = parse_reference(":a.toJSON()")
    assert reference is not None
    with pytest.raises(FunctionError, match=r":a.toJSON\(\): toJSON\(\): the value would be"):
        reference.read(deep([0] * 100_000, 390))
