"""Values: the one form of a number, truth, equality, the order of keys."""

import copy
import enum
import math
import pickle
from collections import OrderedDict
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest

from perdure.graph import javascript, values
from perdure.graph.template import clean
from perdure.graph.values import MAX_DEPTH, UNDEFINED, Undefined


def test_undefined_is_one() -> None:
    assert Undefined() is UNDEFINED
    assert copy.copy(UNDEFINED) is UNDEFINED
    assert copy.deepcopy([UNDEFINED])[0] is UNDEFINED
    assert pickle.loads(pickle.dumps(UNDEFINED)) is UNDEFINED
    assert repr(UNDEFINED) == "UNDEFINED"
    assert not UNDEFINED


NUMBERS = [
    (1.0, 1),
    (-0.0, -0.0),
    (0.5, 0.5),
    (1e20, 10**20),
    (1e21, 1e21),
    (2**53 + 1, 2**53),
    (10**21, 1e21),
    (10**400, math.inf),
    (-(10**400), -math.inf),
    (math.inf, math.inf),
    (math.nan, math.nan),
]


@pytest.mark.parametrize(("value", "expected"), NUMBERS, ids=[repr(value)[:20] for value, _ in NUMBERS])
def test_number(value: float, expected: float) -> None:
    assert repr(values.number(value)) == repr(expected)


class Color(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Ratio(float):
    def __repr__(self) -> str:
        return "Ratio"


NORMALIZED: list[tuple[Any, Any]] = [
    ((1.0, None, True), [1, None, True]),
    (MappingProxyType({"a": UNDEFINED}), {"a": UNDEFINED}),
    (OrderedDict(b=(2.5,)), {"b": [2.5]}),
    ({1: "a", 2.0: "b", None: "c", False: "d"}, {"1": "a", "2": "b", "null": "c", "false": "d"}),
    ({True: 1, 0.5: 2}, {"true": 1, "0.5": 2}),
    ({Color.RED: Color.RED}, {"red": "red"}),
    ([Level.HIGH, Ratio(0.5)], [3, 0.5]),
]


@pytest.mark.parametrize(("value", "expected"), NORMALIZED, ids=lambda item: repr(item)[:30])
def test_normalize(value: Any, expected: Any) -> None:
    got = values.normalize(value)
    assert repr(got) == repr(expected)


def test_normalize_gives_plain_types() -> None:
    got = values.normalize({Color.RED: Color.RED, "n": [Level.HIGH, Ratio(0.5)]})
    assert [type(item) for item in (*got, got["red"], *got["n"])] == [str, str, str, int, float]


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def called_from(frames: int, function: Callable[[], Any]) -> Any:
    return called_from(frames - 1, function) if frames else function()


@pytest.mark.parametrize(
    "walk", [values.normalize, clean, javascript.stringify, javascript.normalize_json, javascript.to_string]
)
def test_a_value_as_deep_as_allowed_passes_wherever_the_caller_stands(walk: Callable[[Any], Any]) -> None:
    for value in (nested(MAX_DEPTH), nested_object(MAX_DEPTH)):
        assert called_from(400, lambda value=value: walk(value)) == walk(value)
    text = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert javascript.stringify(called_from(400, lambda: javascript.parse(text))) == text


def nested_object(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize(
    ("value", "finding"),
    [
        ({1, 2}, "a value of type set"),
        ([b"x"], "a value of type bytes"),
        ({(1, 2): 3}, "a key of type tuple"),
        (nested(MAX_DEPTH + 1), f"nests deeper than {MAX_DEPTH} levels"),
        (CIRCLE, "contains itself"),
    ],
    ids=["set", "bytes", "key", "deep", "circle"],
)
def test_normalize_refuses(value: Any, finding: str) -> None:
    with pytest.raises(TypeError, match=finding):
        values.normalize(value)


TRUTH = [
    ([], True, False),
    ([0], True, True),
    ({}, True, True),
    ("", False, False),
    ("0", True, True),
    (0, False, False),
    (-0.0, False, False),
    (math.nan, False, False),
    (0.5, True, True),
    (None, False, False),
    (UNDEFINED, False, False),
    (True, True, True),
]


@pytest.mark.parametrize(("value", "in_javascript", "in_conditions"), TRUTH)
def test_truth(value: Any, in_javascript: bool, in_conditions: bool) -> None:
    assert values.js_truthy(value) is in_javascript
    assert values.truthy(value) is in_conditions


LIST: list[Any] = []
EQUAL: list[tuple[Any, Any, bool]] = [
    (1, 1.0, True),
    (1, True, False),
    (True, True, True),
    ("1", 1, False),
    ("a", "a", True),
    (None, UNDEFINED, False),
    (None, None, True),
    (math.nan, math.nan, False),
    (0, -0.0, True),
    (LIST, LIST, True),
    ([], [], False),
    ({}, 1, False),
]


@pytest.mark.parametrize(("left", "right", "expected"), EQUAL)
def test_strict_equal(left: Any, right: Any, expected: bool) -> None:
    assert values.strict_equal(left, right) is expected
    assert values.strict_equal(right, left) is expected


def test_kinds() -> None:
    assert [values.is_number(item) for item in (1, 1.5, True, "1", None)] == [True, True, False, False, False]
    assert [values.is_object(item) for item in ({}, [], None, "")] == [True, True, False, False]
    assert [values.is_dict(item) for item in ({}, [])] == [True, False]
    assert [values.is_list(item) for item in ({}, [])] == [False, True]


INDEXES = [("0", True), ("10", True), ("4294967294", True), ("4294967295", False), ("99999999999", False)]
INDEXES += [("01", False), ("-1", False), ("", False), ("\u00b2", False), ("1.0", False), ("a", False)]


@pytest.mark.parametrize(("key", "expected"), INDEXES)
def test_is_array_index(key: str, expected: bool) -> None:
    assert values.is_array_index(key) is expected


def test_order_of_keys() -> None:
    assert list(values.ordered({"b": 1, "10": 2, "a": 3, "2": 4})) == ["2", "10", "b", "a"]
    assert values.ordered_keys(["b", "a"]) == ["b", "a"]
