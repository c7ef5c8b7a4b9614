"""The functions of references: ``:node.text.trim()``. One function of this file each.

A function belongs to a kind of value. Several may share a name; they are tried in the order of
`KINDS`, and the first result that is neither null nor undefined is taken. See docs/language.md,
"Functions".
"""

from __future__ import annotations

import math
import re
from typing import Final

from perdure.errors import FunctionError, SizeExceeded
from perdure.graph.function_registry import FUNCTIONS, Bound, function
from perdure.graph.javascript import (
    WHITESPACE,
    join,
    number_to_string,
    pair_surrogates,
    parse,
    to_number,
    to_string,
    trim,
    utf16_slice,
)
from perdure.graph.sizes import indented
from perdure.graph.values import (
    MAX_EXACT_INTEGER,
    UNDEFINED,
    Value,
    is_dict,
    is_list,
    is_object,
    number,
    ordered_keys,
)

MAX_SPLIT_COUNT: Final = 1_000_000
"""Parts of a string."""

_CALL = re.compile(r"([a-zA-Z]+)\(([^)]*)\)")
_SPACE = f"[{WHITESPACE}]"
_WORD = r"[A-Za-z0-9!#$%&()*+,\-/:;<=>?@"


def bind(prop: str) -> tuple[Bound, ...] | None:
    """The functions that a step like ``slice(0,3)`` may mean; None if it is not a call at all.

    An unregistered name, and an argument that no pattern takes, bind nothing: the step then
    reads as a key, in most cases undefined.
    """
    call = _CALL.fullmatch(prop)
    if call is None:
        return None
    matches = ((item, item.argument.fullmatch(call[2])) for item in FUNCTIONS.get(call[1], ()))
    return tuple(Bound(item, match.groups()) for item, match in matches if match)


@function("length", on="array")
def _length(items: list[Value]) -> Value:
    return len(items)


@function("isEmpty", on="array")
def _is_empty(items: list[Value]) -> Value:
    return not items


@function("flat", on="array", inside=True)
def _flat(items: list[Value]) -> Value:
    flat: list[Value] = []
    for item in items:
        if is_list(item):
            flat.extend(item)
        else:
            flat.append(item)
    return flat


@function("sum", on="array", inside=True)
def _sum(items: list[Value]) -> Value:
    """What ``a + b`` makes of 0 and the items: a string from the first string, list or object on."""
    total = 0.0
    for index, item in enumerate(items):
        if isinstance(item, str) or is_object(item):
            texts = [number_to_string(total), *map(to_string, items[index:])]
            return pair_surrogates("".join(texts))
        total += to_number(item)
    return number(total)


@function("average", on="array", inside=True)
@function("mean", on="array", inside=True)
def _average(items: list[Value]) -> Value:
    return number(to_number(_sum(items)) / len(items)) if items else 0


@function("max", on="array", inside=True)
def _max(items: list[Value]) -> Value:
    return _extreme(items, 1)


@function("min", on="array", inside=True)
def _min(items: list[Value]) -> Value:
    return _extreme(items, -1)


def _extreme(items: list[Value], sign: int) -> Value:
    """Math.max for sign 1, Math.min for -1: NaN wins over all, and -0 is less than 0."""
    numbers = [to_number(item) for item in items]
    if any(math.isnan(item) for item in numbers):
        return math.nan
    return max(numbers, key=lambda item: (sign * item, sign * math.copysign(1, item)), default=0)


@function("join", on="array", inside=True, argument=f"([,-]|{_SPACE}|)")
def _join(items: list[Value], separator: str) -> Value:
    return join(items, separator)


@function("keys", on="object")
def _keys(value: Value) -> Value:
    return ordered_keys(value) if is_dict(value) else [str(index) for index in range(len(value))]


@function("values", on="object")
def _values(value: Value) -> Value:
    return [value[key] for key in ordered_keys(value)] if is_dict(value) else list(value)


@function("toJSON", on="object", inside=True)
def _to_json(value: Value) -> Value:
    try:
        return indented(value)
    except SizeExceeded as error:
        raise FunctionError(f"toJSON(): {error}") from error


@function("jsonParse", on="string")
def _json_parse(text: str) -> Value:
    try:
        return parse(text)
    except ValueError as error:
        start = text if len(text) <= 40 else text[:40] + "..."
        finding = f"jsonParse() of text that is not JSON: {error}; the text is {start!r}"
        hint = (
            "ask the agent for bare JSON, or take it out of a code block first: .codeBlockOrRaw().jsonParse()"
        )
        raise FunctionError(finding, hint=hint) from error


@function("toNumber", on="string")
def _to_number(text: str) -> Value:
    value = to_number(text)
    return UNDEFINED if math.isnan(value) else value


@function("trim", on="string")
def _trim(text: str) -> Value:
    return trim(text)


@function("toLowerCase", on="string")
def _to_lower_case(text: str) -> Value:
    return text.lower()


@function("toUpperCase", on="string")
def _to_upper_case(text: str) -> Value:
    return text.upper()


_FENCE: Final = "\n```"
_LANGUAGE = re.compile(r"[a-zA-Z]*")


@function("codeBlock", on="string")
def code_block(text: str) -> Value:
    """What the first Markdown code block of `text` holds, its leading line end included.

    UNDEFINED if it has none. Searched step by step: a single pattern would need
    quadratic time for a block that is never closed.
    """
    lines = "\n" + text
    start = lines.find(_FENCE)
    inside = _LANGUAGE.match(lines, start + len(_FENCE)) if start >= 0 else None
    end = lines.find(_FENCE, inside.end()) if inside else -1
    return lines[inside.end() : end] if inside and end >= 0 else UNDEFINED


@function("codeBlockOrRaw", on="string")
def _code_block_or_raw(text: str) -> Value:
    block = code_block(text)
    return text if block is UNDEFINED else block


@function("equal", on="string", argument=f"({_WORD}.]+)")
def _equal_text(text: str, other: str) -> Value:
    return text == other


@function("slice", on="string", argument=rf"(-?[0-9]+)(?:,{_SPACE}*(-?[0-9]+))?")
def _slice(text: str, start: str, end: str | None) -> Value:
    return utf16_slice(text, _offset(start), None if end is None else _offset(end))


def _offset(digits: str) -> int:
    """Through float, because `int` refuses thousands of digits."""
    return int(max(-MAX_EXACT_INTEGER, min(MAX_EXACT_INTEGER, float(digits))))


@function("split", on="string", argument=f"([-_:;.,{WHITESPACE}]+)")
def _split(text: str, separator: str) -> Value:
    if text.count(separator) >= MAX_SPLIT_COUNT:
        raise FunctionError(f"split() into more than {MAX_SPLIT_COUNT:,} parts")
    return text.split(separator)


@function("toString", on="number")
def _to_string(value: float) -> Value:
    return number_to_string(value)


@function("add", on="number", argument=r"(-?[0-9]+)")
def _add(value: float, other: str) -> Value:
    return number(float(number(value)) + float(other))


@function("equal", on="number", argument=f"({_WORD}]+)")
def _equal_number(value: float, other: str) -> Value:
    return value == to_number(other)


@function("not", on="boolean")
def _not(value: bool) -> Value:
    return not value


@function("default", on="undefined", argument=f"({_WORD}]+)")
def _default(_: Value, other: str) -> Value:
    return to_number(other) if re.fullmatch("[0-9-]+", other) else other
