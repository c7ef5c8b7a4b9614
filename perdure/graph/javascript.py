"""JavaScript's conversions, where a graph can observe them: text, numbers, JSON, UTF-16.

Source: ECMA-262 (ToString, ToNumber, JSON.stringify, JSON.parse); checked against recordings of
GraphAI 2.0.18 in tests/conformance.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

from perdure.graph.values import UNDEFINED, Undefined, Value, number, ordered_keys

WHITESPACE: Final = "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
"""What String.prototype.trim removes and `\\s` matches."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)", re.ASCII)
_RADIX = re.compile(r"0(?:[xX](?P<x>[0-9a-fA-F]+)|[oO](?P<o>[0-7]+)|[bB](?P<b>[01]+))")


def trim(text: str) -> str:
    """String.prototype.trim."""
    return text.strip(WHITESPACE)


def number_to_string(value: float) -> str:
    """Number.prototype.toString in base 10: shortest digits that read back the same."""
    if isinstance(value, int):
        value = float(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent_text = f"{abs(value)!r}e0".partition("e")
    exponent = int(exponent_text.split("e")[0])
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + exponent - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    return sign + _place_point(digits, point)


def _place_point(digits: str, point: int) -> str:
    """`digits` with the decimal point after `point` of them, as Number::toString lays it out."""
    count = len(digits)
    if count <= point <= 21:
        return digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    exponent = point - 1
    mark = f"e{'+' if exponent >= 0 else '-'}{abs(exponent)}"
    return (digits if count == 1 else f"{digits[0]}.{digits[1:]}") + mark


def to_string(value: Value) -> str:
    """String(value): lists joined by commas with null as "", objects as [object Object]."""
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    if isinstance(value, Undefined):
        return "undefined"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_to_string(value)
    if isinstance(value, list):
        return ",".join("" if item is None or item is UNDEFINED else to_string(item) for item in value)
    return "[object Object]"


def to_number(value: Value) -> int | float:
    """Number(value): "" and null are 0, undefined and what is no number NaN, "0x1F" 31."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return value
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
    separators = (",", ": ") if indent else (",", ":")
    text = json.dumps(_jsonable(value), indent=indent or None, separators=separators, ensure_ascii=False)
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _jsonable(value: Value) -> Any:
    if isinstance(value, dict):
        return {
            key: _jsonable(value[key]) for key in ordered_keys(value) if value[key] is not UNDEFINED
        }
    if isinstance(value, list):
        return [_jsonable(item) for item in value]
    if value is UNDEFINED:
        return None
    if isinstance(value, float):
        return _json_float(value)
    return value


def _json_float(value: float) -> float | None:
    """What JSON shows for a float: null where it is not finite, 0 for -0."""
    if not math.isfinite(value):
        return None
    return 0 if value == 0 else number(value)


def parse(text: str) -> Value:
    """JSON.parse. Raises ValueError for NaN, trailing commas and everything else outside JSON."""
    return normalize_json(json.loads(text, parse_constant=_refuse_constant, strict=True))


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def normalize_json(value: Any) -> Value:
    """Numbers of a tree that json.loads built, each in its one form."""
    if isinstance(value, dict):
        return {key: normalize_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [normalize_json(item) for item in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number(value)
    return value


def utf16_length(text: str) -> int:
    """String.prototype.length: UTF-16 code units."""
    return len(text) + sum(1 for char in text if char > "\uffff")


def utf16_slice(text: str, start: int, end: int | None = None) -> str:
    """String.prototype.slice by UTF-16 code units; halves of a pair become lone surrogates."""
    if text.isascii():
        return text[slice(start, end)]
    units = text.encode("utf-16-le", "surrogatepass")
    count = len(units) // 2
    first, last, _ = slice(start, end).indices(count)
    return units[2 * first : 2 * max(first, last)].decode("utf-16-le", "surrogatepass")
