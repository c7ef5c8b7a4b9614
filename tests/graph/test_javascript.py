"""JavaScript's conversions, beyond the recordings of test_references."""

import math
from typing import Any

import pytest

from perdure.graph import javascript
from perdure.graph.values import MAX_DEPTH, UNDEFINED

NUMBERS = [
    (5.0, "5"),
    (-0.0, "0"),
    (math.nan, "NaN"),
    (math.inf, "Infinity"),
    (-math.inf, "-Infinity"),
    (1e16, "10000000000000000"),
    (1.2345678901234567e19, "12345678901234567000"),
    (123456789012345680000, "123456789012345680000"),
    (-1e21, "-1e+21"),
    (1.5e300, "1.5e+300"),
    (0.0001, "0.0001"),
    (0.00001, "0.00001"),
    (-0.00000123, "-0.00000123"),
    (1e-6, "0.000001"),
    (1e-7, "1e-7"),
    (-1.5e-9, "-1.5e-9"),
    (9007199254740993, "9007199254740992"),
    (10**400, "Infinity"),
]


@pytest.mark.parametrize(("value", "text"), NUMBERS)
def test_number_to_string(value: float, text: str) -> None:
    assert javascript.number_to_string(value) == text


TEXTS = [
    ("", 0),
    (" \ufeff\u2028", 0),
    ("+5", 5),
    (".5", 0.5),
    ("5.", 5),
    ("-1e-2", -0.01),
    ("-0", -0.0),
    ("0b11", 3),
    ("0O17", 15),
    ("0xFFFFFFFFFFFFFFFFF", 295147905179352830000),
    ("Infinity", math.inf),
    ("+Infinity", math.inf),
    ("-Infinity", -math.inf),
    ("1e400", math.inf),
]
NOT_NUMBERS = ["x", "inf", "nan", "NaN", "1_0", "-0x1", "0x", "1e", ".", "1 2", "\u0661", "1n", "\x851"]


@pytest.mark.parametrize(("text", "value"), TEXTS)
def test_to_number(text: str, value: float) -> None:
    assert javascript.number_to_string(javascript.to_number(text)) == javascript.number_to_string(value)
    assert math.copysign(1, javascript.to_number(text)) == math.copysign(1, value)


@pytest.mark.parametrize("text", NOT_NUMBERS)
def test_to_number_of_no_number(text: str) -> None:
    assert math.isnan(javascript.to_number(text))


def test_to_number_of_other_kinds() -> None:
    assert [javascript.to_number(value) for value in (True, None, ["7"], 1.5)] == [1, 0, 7, 1.5]
    assert math.isnan(javascript.to_number(UNDEFINED))
    assert math.isnan(javascript.to_number({}))


STRINGS: list[tuple[Any, str]] = [
    (UNDEFINED, "undefined"),
    (None, "null"),
    ([[], []], ","),
    ([1, [2, [None, [UNDEFINED, "x"]]], {}], "1,2,,,x,[object Object]"),
    ([[[]]], ""),
]


@pytest.mark.parametrize(("value", "text"), STRINGS)
def test_to_string(value: Any, text: str) -> None:
    assert javascript.to_string(value) == text


def test_to_string_of_a_list_deeper_than_the_stack() -> None:
    value: Any = ["x"]
    for _ in range(5000):
        value = [value]
    assert javascript.to_string(value) == "x"


JSON: list[tuple[Any, str]] = [
    ({"b": UNDEFINED, "10": [UNDEFINED], "2": -0.0}, '{"2":0,"10":[null]}'),
    ({"a": UNDEFINED}, "{}"),
    ([math.nan, math.inf, 1e-7, 1e21, True, False], "[null,null,1e-7,1e+21,true,false]"),
    ("\ud83d\ude00", '"\U0001f600"'),
    ("é\ud83d", '"é\\ud83d"'),
    ("\x00\x1f\x7f\u2028", '"\\u0000\\u001f\x7f\u2028"'),
]


@pytest.mark.parametrize(("value", "text"), JSON)
def test_stringify(value: Any, text: str) -> None:
    assert javascript.stringify(value) == text


def test_stringify_undefined() -> None:
    assert javascript.stringify(UNDEFINED) is UNDEFINED


PARSED: list[tuple[str, Any]] = [
    ("-0", -0.0),
    ("1.0", 1),
    ("[9007199254740993]", [9007199254740992]),
    ('"\\ud83d\\ude00"', "\U0001f600"),
    ('{"__proto__": 1, "a": 2, "__proto__": 3}', {"__proto__": 3, "a": 2}),
    ("9" * 5000, math.inf),
    ("[" * MAX_DEPTH + "]" * MAX_DEPTH, None),
    ('["' + "[" * 1000 + '\\"["]', ["[" * 1000 + '"[']),
    ("[" + "[]," * 1000 + "{}]", [[]] * 1000 + [{}]),
]


@pytest.mark.parametrize(("text", "value"), PARSED, ids=[text[:20] for text, _ in PARSED])
def test_parse(text: str, value: Any) -> None:
    got = javascript.parse(text)
    assert value is None or repr(got) == repr(value)


REFUSED = [
    "Infinity",
    "-Infinity",
    "[1,]",
    '"\t"',
    "{'a':1}",
    "1.",
    "",
    "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
]


@pytest.mark.parametrize("text", REFUSED, ids=[text[:20] for text in REFUSED])
def test_parse_refuses(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not JSON|deeper|Expecting|Extra|Invalid|Illegal"):
        javascript.parse(text)


def test_normalize_json() -> None:
    assert repr(javascript.normalize_json({"a": [1.0, True, None, 2.5, "1"]})) == repr(
        {"a": [1, True, None, 2.5, "1"]}
    )


SLICES = [
    ("hello", 1, -1, "ell"),
    ("hello", -3, None, "llo"),
    ("hello", 3, 1, ""),
    ("hello", -99, 99, "hello"),
    ("a\U0001f600b", 0, 3, "a\U0001f600"),
    ("a\U0001f600b", 0, 2, "a\ud83d"),
    ("a\U0001f600b", 2, None, "\ude00b"),
    ("a\U0001f600b", 3, 1, ""),
]


@pytest.mark.parametrize(("text", "start", "end", "expected"), SLICES)
def test_utf16_slice(text: str, start: int, end: int | None, expected: str) -> None:
    assert javascript.utf16_slice(text, start, end) == expected


@pytest.mark.parametrize(("text", "length"), [("abc", 3), ("é", 1), ("\U0001f600", 2), ("\ud83d", 1)])
def test_utf16_length(text: str, length: int) -> None:
    assert javascript.utf16_length(text) == length


@pytest.mark.parametrize(
    ("text", "expected"), [("a", "a"), ("é\ud83d", "é\ud83d"), ("\ud83d\ude00", "\U0001f600")]
)
def test_pair_surrogates(text: str, expected: str) -> None:
    assert javascript.pair_surrogates(text) == expected


def test_trim_knows_the_spaces_of_javascript() -> None:
    assert javascript.trim("\ufeff\u00a0 x \u3000") == "x"
    assert javascript.trim("\x85x\x1c") == "\x85x\x1c"


def test_an_integer_beyond_all_doubles_is_infinite() -> None:
    assert javascript.to_number(10**400) == math.inf
    assert javascript.to_number([-(10**400)]) == -math.inf
