"""The beginning of a value as JSON: that of the whole text, whatever the size of the rest."""

from typing import Any

import pytest

from perdure.graph.javascript import stringify
from perdure.graph.text.json_start import json_start
from perdure.graph.values import UNDEFINED

VALUES: list[Any] = [
    None,
    'a\u202e"\n',
    [],
    {},
    [[], {}, [1, [2.5, None]], UNDEFINED],
    {"10": 1, "b": {"c": []}, "2": True, "none": UNDEFINED, "<b>": [{"x": {}}]},
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
@pytest.mark.parametrize("limit", [0, 1, 7, 30, 1_000])
def test_it_begins_as_the_whole_text_does(value: Any, limit: int) -> None:
    whole = str(stringify(value, 2))
    assert json_start(value, limit) == (whole[:limit], len(whole))


def test_a_deep_value_is_counted_and_not_written() -> None:
    value: Any = [0] * 1_000
    for _ in range(390):
        value = [value]
    text, chars = json_start(value, 100)
    assert (len(text), chars) == (100, len(str(stringify(value, 2))))
