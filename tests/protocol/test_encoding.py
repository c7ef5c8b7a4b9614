"""Every value comes back as it was, also what JSON cannot hold."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from perdure.graph.deferred import BlobRef, Composite, Concat, Deferred, Merged, Projection
from perdure.graph.values import UNDEFINED
from perdure.protocol.encoding import MAX_INLINE_KEY_COUNT, MAX_INLINE_SPECIAL_COUNT, decode, encode
from tests.support.growth import overgrown

OBJECT = BlobRef("o", 9_000_000, "object", 2, ("a", "\ud83d"))
PLACES: tuple[Deferred, ...] = (
    OBJECT,
    BlobRef("l", 5, "list", 7),
    BlobRef("s", 5, "string", 7),
    Projection(OBJECT),
    Projection(Projection(OBJECT, (("a", False),)), (("$0", True), ("trim()", True)), cleaned=True),
    Composite([OBJECT, UNDEFINED, math.inf, {"x": Projection(OBJECT), "y": [Composite({"z": OBJECT})]}]),
    Composite({"undefined": None, "o": OBJECT}),
    Concat(("a", OBJECT, UNDEFINED, -math.inf, ["b", Projection(OBJECT)], "\udc00")),
    Merged(Composite([OBJECT]), {"p": Concat((OBJECT,)), "u": UNDEFINED, "n": 1.5}),
    Projection(Merged(OBJECT, {}), (("x", False),)),
)
SCALARS = (
    None,
    True,
    0,
    -0.0,
    1.5,
    1e300,
    "",
    "text",
    "\ud83d",
    "😀",
    UNDEFINED,
    math.inf,
    -math.inf,
    [],
    {},
)


def back(value: Any, apart: bool = False) -> Any:
    data, places = encode(value, apart=apart)
    json.loads(data)
    return decode(data, json.loads(json.dumps(places)))


@pytest.mark.parametrize("value", [*SCALARS, *PLACES])
@pytest.mark.parametrize("apart", [False, True])
def test_alone_and_inside(value: Any, apart: bool) -> None:
    for whole in (value, [value], {"a": value}, {"a": [1, {"b": value, "c": value}], "\ud800": [[value]]}):
        assert repr(back(whole, apart)) == repr(whole)


@pytest.mark.parametrize("seed", range(200))
def test_anything_at_any_depth(seed: int) -> None:
    random = Random(seed)

    def made(depth: int) -> Any:
        kind = random.random()
        if depth and kind < 0.3:
            return [made(depth - 1) for _ in range(random.randint(0, 4))]
        if depth and kind < 0.7:
            names = random.sample(["a", "b", "0", "perdure", "\ud83d", "undefined", ""], random.randint(0, 5))
            return {name: made(depth - 1) for name in names}
        return random.choice((*SCALARS, *PLACES, math.nan))

    value = made(4)
    assert repr(back(value)) == repr(value)
    assert repr(back(value, apart=True)) == repr(value)


def test_nan() -> None:
    assert math.isnan(back({"a": [math.nan]})["a"][0])


@pytest.mark.parametrize("count", [MAX_INLINE_KEY_COUNT, MAX_INLINE_KEY_COUNT + 1])
def test_many_members(count: int) -> None:
    value = {str(index): index for index in range(count)} | {"0": OBJECT}
    assert back(value, apart=True) == value


@pytest.mark.parametrize("strict", [False, True])
def test_an_integer_beyond_all_doubles_is_infinity(strict: bool) -> None:
    digits = b"9" * 308
    data = b"[" + b",".join((digits, digits + b"9", b"-" + digits + b"9", b"-" + digits)) + b"]"
    large = int(digits)
    assert decode(data, strict=strict) == [large, math.inf, -math.inf, -float(large)]


TEXTS = [
    b"1e400", b"-1e400", b"-0", b"-0.0", b"1.0", b"1E2", b"0.1e-500", b"12345678901234567.5",
    b"9223372036854775808", b"18446744073709551615", b"18446744073709551616", b"-9223372036854775809",
    b"[1, 123456789012345678901234567890, 2]", b'{"a": 1, "a": 2}', b'"\\ud800"', b'"\\ud83d\\ude00"',
    b'"\\u0000"', b'"\x7f\xc2\x80"', b"\xed\xa0\x80", b'"\xed\xa0\x80"', b'"\xff"', b" [1 ] ", b"01", b"1.",
    b"", b"[1,]", b"[NaN]", b"-Infinity", b'"\t"', b"[" * 400 + b"]" * 400, b"[" * 2000 + b"]" * 2000,
]  # fmt: skip


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_read_as_python_reads_it(text: bytes, strict: bool) -> None:
    def outcome(read: Callable[[], Any]) -> str:
        try:
            return repr(read())
        except (ValueError, RecursionError) as error:
            return "refused" if isinstance(error, ValueError) else "nested too deeply"

    def refused(name: str) -> Any:
        raise ValueError(name)

    def expected() -> Any:
        return json.loads(str(text, "utf-8", "surrogatepass"), parse_constant=refused if strict else None)

    assert outcome(lambda: decode(text, strict=strict)) == outcome(expected)


def test_people_read_what_is_not_there() -> None:
    data, places = encode({"a": OBJECT, "t": Concat(("x" * 500, OBJECT))})
    assert json.loads(data) == {"a": str(OBJECT), "t": "x" * MAX_INLINE_SPECIAL_COUNT}
    assert all(isinstance(mark, list) for _, mark in places)
    assert not isinstance(encode(UNDEFINED)[1][0][1], list)


def test_no_value_imitates_a_mark() -> None:
    value = {"mark": ["stored", "o", 1, "object", 0, None], "perdure-special": [[["mark"], "NaN"]]}
    assert encode(value)[1] == []
    assert back(value) == value


def test_what_is_unknown_is_refused() -> None:
    with pytest.raises(TypeError, match="unknown"):
        encode([Deferred()])
    with pytest.raises(ValueError, match=r"a place of this kind is unknown here: \['new'\]"):
        decode(b"[null]", [[[0], ["new", 1]]])
    with pytest.raises(TypeError):
        encode({"a": [{1, 2}]})


def test_the_way_to_what_json_does_not_hold_is_walked_once() -> None:
    def works(depth: int) -> list[Callable[[], Any]]:
        value: Any = UNDEFINED
        for _ in range(depth):
            value = ["x" * 1_000, None, value]
        return [lambda: encode(value)]

    assert overgrown(works, small=20) == []
