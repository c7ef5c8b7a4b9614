"""JavaScript's conversions, where a graph can observe them: text, numbers, JSON, UTF-16.

Source: ECMA-262 (ToString, ToNumber, JSON.stringify, JSON.parse); checked against recordings of
GraphAI 2.0.18 in tests/conformance.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from json.encoder import encode_basestring as _quote
from typing import Any, Final

from perdure.graph.binary import refuse_text
from perdure.graph.values import (
    MAX_DEPTH,
    MAX_EXACT_INTEGER,
    UNDEFINED,
    Undefined,
    Value,
    is_dict,
    is_list,
    is_number,
    is_object,
    number,
    ordered_keys,
)

WHITESPACE: Final = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
"""What String.prototype.trim removes and `\\s` matches."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_SPLIT_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?")
_RADIX = re.compile(r"0(?:[xX](?P<x>[0-9a-fA-F]+)|[oO](?P<o>[0-7]+)|[bB](?P<b>[01]+))")
_BRACKET = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{]|[\]}]', re.DOTALL)

_MARK = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{,]', re.DOTALL)

MAX_JSON_MARK_COUNT: Final = 1_000_000
"""Brackets and commas of a JSON text: about the number of its values."""


def trim(text: str) -> str:
    """String.prototype.trim."""
    return text.strip(WHITESPACE)


def number_to_string(value: float) -> str:
    """Number.prototype.toString in base 10: shortest digits that read back the same."""
    if isinstance(value, int) and -MAX_EXACT_INTEGER <= value <= MAX_EXACT_INTEGER:
        return str(value)
    value = float(number(value))
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "0"
    text = repr(value)
    if "e" not in text:
        return text.removesuffix(".0")
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = text.removeprefix("-").partition("e")
    digits = mantissa.replace(".", "")
    return sign + _place_point(digits, int(exponent) + 1)


def _place_point(digits: str, point: int) -> str:
    """`digits` with the decimal point after `point` of them, as Number::toString lays it out.

    Only for what Python writes with an exponent: below 1e-4 and from 1e16 on.
    """
    count = len(digits)
    if 0 < point <= 21:
        return digits + "0" * (point - count)
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    exponent = point - 1
    mark = f"e{'+' if exponent >= 0 else '-'}{abs(exponent)}"
    return (digits if count == 1 else f"{digits[0]}.{digits[1:]}") + mark


def to_string(value: Value) -> str:
    """String(value): lists joined by commas with null as "", objects as [object Object].

    Raises FunctionError for what is binary, as `stringify` does.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_to_string(value)
    if is_list(value):
        return ",".join(_leaves(value))
    if value is None:
        return "null"
    refuse_text(value)
    return "undefined" if isinstance(value, Undefined) else "[object Object]"


def _leaves(items: list[Value]) -> list[str]:
    """The strings that String(items) joins, at every depth: a list inside a list adds its own."""
    texts: list[str] = []
    pending = items[::-1] or [None]
    while pending:
        item = pending.pop()
        if is_list(item) and item:
            pending.extend(reversed(item))
        else:
            texts.append("" if item is None or item is UNDEFINED else to_string(item))
    return texts


def join(items: Iterable[Value], separator: str) -> str:
    """Array.prototype.join: null and undefined join as "", lists inside by commas."""
    texts = ("" if item is None or item is UNDEFINED else to_string(item) for item in items)
    return pair_surrogates(separator.join(texts))


def to_number(value: Value) -> int | float:
    """Number(value): "" and null are 0, undefined and what is not numeric NaN, "0x1F" 31."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return number(value)
    if value is None:
        return 0
    if isinstance(value, Undefined):
        return math.nan
    if isinstance(value, str):
        return _parse_number(trim(value))
    return to_number(to_string(value))


def _parse_number(text: str) -> int | float:
    if not text:
        return 0
    radix = _RADIX.fullmatch(text)
    if radix:
        base = {"x": 16, "o": 8, "b": 2}[radix.lastgroup or "x"]
        return number(int(radix.group(radix.lastgroup or "x"), base))
    if text in ("Infinity", "+Infinity"):
        return math.inf
    if text == "-Infinity":
        return -math.inf
    return number(float(text)) if _DECIMAL.fullmatch(text) else math.nan


def stringify(value: Value, indent: int | None = None) -> str | Undefined:
    """JSON.stringify: undefined members dropped (null in lists), NaN as null, JS key order."""
    if value is UNDEFINED:
        return UNDEFINED
    out: list[str] = []
    if is_object(value):
        _write(value, out, "\n" if indent else "", " " * (indent or 0))
    else:
        out.append(_scalar(value))
    text = "".join(out)
    if text.isascii():
        return text
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", pair_surrogates(text))


def _write(value: Value, out: list[str], newline: str, step: str) -> None:
    """Appends the JSON of a list or an object to `out`; `newline` holds the indentation of its depth.

    Calls itself directly, so that a level costs one frame of Python's stack.
    """
    inner = newline + step
    brackets = "{}" if is_dict(value) else "[]"
    before = brackets[0] + inner
    for name, item in _members(value, ": " if step else ":"):
        out.append(before + name)
        if is_object(item):
            _write(item, out, inner, step)
        else:
            out.append(_scalar(item))
        before = "," + inner
    out.append(newline + brackets[1] if before[0] == "," else brackets)


def _members(value: Value, colon: str) -> Iterator[tuple[str, Value]]:
    """What is between the brackets, each item with the name written before it."""
    if not is_dict(value):
        for item in value:
            yield "", item
        return
    for key in ordered_keys(value):
        item = value[key]
        if item is not UNDEFINED:
            yield _quote(key) + colon, item


def _scalar(value: Value) -> str:
    if isinstance(value, str):
        return _quote(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_to_string(value) if math.isfinite(value) else "null"
    refuse_text(value)
    return "null"


def parse(text: str) -> Value:
    """JSON.parse, for at most MAX_DEPTH levels and MAX_JSON_MARK_COUNT values.

    Raises:
        ValueError: for what nests deeper, more values, NaN, trailing commas and everything else outside JSON.
    """
    if text.count("[") + text.count("{") + text.count(",") > MAX_JSON_MARK_COUNT:
        _refuse_count(text)
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _refuse_depth(text)
    return _DECODER.decode(text)


def _refuse_count(text: str) -> None:
    """Counts before anything is built: a list of lists takes forty times the room of its text."""
    marks = sum(match[0][0] != '"' for match in islice(_MARK.finditer(text), 2 * MAX_JSON_MARK_COUNT + 2))
    if marks > MAX_JSON_MARK_COUNT:
        raise ValueError(f"more than {MAX_JSON_MARK_COUNT:,} values")


def _refuse_depth(text: str) -> None:
    depth = 0
    for match in _BRACKET.finditer(text):
        mark = match[0]
        if mark in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise ValueError(f"nested deeper than {MAX_DEPTH} levels (char {match.start()})")
        elif mark in "]}":
            depth -= 1


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _read_int(text: str) -> int | float:
    """An integer of JSON text; -0 and what is too long for `int` go through float, as in JavaScript."""
    return int(text) if len(text) < 16 and text != "-0" else number(float(text))


def _read_float(text: str) -> int | float:
    return number(float(text))


_DECODER: Final = json.JSONDecoder(
    parse_int=_read_int, parse_float=_read_float, parse_constant=_refuse_constant, strict=True
)


def normalize_json(value: Any) -> Value:
    """Numbers of a tree that json.loads built, each in its one form."""
    if is_dict(value):
        return dict(zip(value, map(normalize_json, value.values()), strict=True))
    if is_list(value):
        return list(map(normalize_json, value))
    return number(value) if is_number(value) else value


def pair_surrogates(text: str) -> str:
    """`text` with halves of a pair that came to be side by side made one character again.

    Python keeps them apart, JavaScript cannot distinguish them from the character.
    """
    if text.isascii() or not _SPLIT_PAIR.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def utf16_length(text: str) -> int:
    """String.prototype.length: UTF-16 code units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def utf16_slice(text: str, start: int, end: int | None = None) -> str:
    """String.prototype.slice by UTF-16 code units; halves of a pair become lone surrogates."""
    if text.isascii():
        return text[slice(start, end)]
    units = text.encode("utf-16-le", "surrogatepass")
    count = len(units) // 2
    first, last, _ = slice(start, end).indices(count)
    return units[2 * first : 2 * max(first, last)].decode("utf-16-le", "surrogatepass")
