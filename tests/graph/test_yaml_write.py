"""What is written as YAML is read back as the same value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.graph.text.load import load_value
from perdure.graph.text.yaml_write import write_yaml
from perdure.graph.values import UNDEFINED

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT
LINES = st.lists(st.sampled_from(["", " ", "a", " b", "c ", "- d", "# e", "---", "é"]), max_size=5).map(
    "\n".join
)
VALUES = st.recursive(
    LEAVES | LINES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_round_trip(value):
    assert load_value(write_yaml(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (
            {"a": {"b": [1, "x", {"c": None, "d": []}]}},
            "a:\n  b:\n    - 1\n    - x\n    - c: null\n      d: []\n",
        ),
        ({"t": "one\ntwo", "u": "one\n"}, "t: |-\n  one\n  two\nu: |\n  one\n"),
        ({"r": ":node.x", "n": "1", "e": "", "y": "yes"}, 'r: ":node.x"\nn: "1"\ne: ""\ny: "yes"\n'),
        ({"a": UNDEFINED, "b": 1.5, "c": {"d": UNDEFINED}}, "b: 1.5\nc: {}\n"),
        ([[1, 2], {}], "- - 1\n  - 2\n- {}\n"),
    ],
)
def test_text(value, text):
    assert write_yaml(value) == text
