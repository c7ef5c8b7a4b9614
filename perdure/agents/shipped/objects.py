"""JavaScript's operations on values where agents show them: members, `+`, flat, spread, merge.

Members of prototypes (`toString`, `constructor`) do not exist here: keys of those names are data.
Source: ECMA-262, and deepmerge 4 for `deep_merge`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from perdure.errors import AgentError
from perdure.graph.javascript import pair_surrogates, to_number, to_string, utf16_length, utf16_slice
from perdure.graph.values import (
    UNDEFINED,
    Value,
    is_array_index,
    is_dict,
    is_list,
    is_number,
    is_object,
    js_truthy,
    number,
    ordered,
)

MAX_LIST_LENGTH_COUNT: Final = 10_000_000
"""The most elements that an agent makes a list of: JavaScript allows more than a worker can hold."""


def is_null(value: Value) -> bool:
    """Whether `value` is null or undefined."""
    return value is None or value is UNDEFINED


def option(mapping: Mapping[str, Value], key: str, default: Value) -> Value:
    """`mapping[key] ?? default`."""
    value = mapping.get(key, UNDEFINED)
    return default if is_null(value) else value


def require_inputs(agent: str, inputs: Mapping[str, Value], hint: str = "") -> None:
    """Raises AgentError if there are no inputs at all."""
    if not inputs:
        raise AgentError(f"{agent}: namedInputs is UNDEFINED!{hint}")


def require_array(agent: str, inputs: Mapping[str, Value], hint: str = "") -> list[Value]:
    """The input `array`. Raises AgentError where it is missing, falsy or not a list."""
    require_inputs(agent, inputs, hint)
    array = inputs.get("array", UNDEFINED)
    if is_list(array):
        return array
    finding = "is not Array." if js_truthy(array) else "is UNDEFINED!"
    raise AgentError(f"{agent}: namedInputs.array {finding}{hint}")


def require_list(value: Value, place: str) -> list[Value]:
    """`value`, or AgentError where JavaScript would miss a method of arrays."""
    if is_list(value):
        return value
    raise AgentError(f"{place} is {kind(value)}, not a list")


def kind(value: Value) -> str:
    """What to call the type of `value` in a message."""
    if is_null(value):
        return "null" if value is None else "UNDEFINED"
    names = ((bool, "a boolean"), (str, "a string"), (list, "a list"), (dict, "an object"))
    return next((name for kind, name in names if isinstance(value, kind)), "a number")


def spread(value: Value) -> dict[str, Value]:
    """`{...value}`: own members in JavaScript's order; strings by UTF-16 unit, null has none."""
    if is_dict(value):
        return ordered(value)
    if isinstance(value, str):
        return {str(index): unit for index, unit in enumerate(utf16_units(value))}
    if is_list(value):
        return {str(index): item for index, item in enumerate(value)}
    return {}


def members(value: Value, place: str) -> dict[str, Value]:
    """Like `spread`, but raises AgentError for null, as Object.keys does."""
    if is_null(value):
        raise AgentError(f"{place} is {kind(value)}, which has no members")
    return spread(value)


def member(value: Value, key: Value, place: str) -> Value:
    """`value[key]`, UNDEFINED if there is none. Raises AgentError for null."""
    if is_null(value):
        raise AgentError(f"{place} is {kind(value)}, which has no member {to_string(key)!r}")
    name = to_string(key)
    if is_dict(value):
        return value.get(name, UNDEFINED)
    if isinstance(value, str):
        if name == "length":
            return utf16_length(value)
        return (utf16_slice(value, int(name), int(name) + 1) if is_array_index(name) else "") or UNDEFINED
    if is_list(value):
        if name == "length":
            return len(value)
        return value[int(name)] if is_array_index(name) and int(name) < len(value) else UNDEFINED
    return UNDEFINED


def utf16_units(text: str) -> list[str]:
    """`text.split("")`: halves of a pair become lone surrogates."""
    if text.isascii() or max(text) <= "\uffff":
        return list(text)
    coded = text.encode("utf-16-le", "surrogatepass")
    return [coded[at : at + 2].decode("utf-16-le", "surrogatepass") for at in range(0, len(coded), 2)]


def plus(left: Value, right: Value) -> Value:
    """`left + right`: text where either side is text or an object, else the sum of both as doubles."""
    left, right = (to_string(side) if is_object(side) else side for side in (left, right))
    if isinstance(left, str) or isinstance(right, str):
        return pair_surrogates(to_string(left) + to_string(right))
    return number(float(to_number(left)) + float(to_number(right)))


class Sum:
    """`first + second + ...`, from the left. Text is joined at the end: each `+` would copy it all."""

    def __init__(self, value: Value) -> None:
        self._value = value
        self._texts: list[str] = []

    def __bool__(self) -> bool:
        return bool(self._texts) or js_truthy(self._value)

    def add(self, value: Value) -> None:
        """Adds `value` as `plus` does."""
        if self._texts:
            self._texts.append(to_string(value))
            return
        self._value = plus(self._value, value)
        if isinstance(self._value, str) and self._value:
            self._texts = [self._value]

    def value(self) -> Value:
        """The sum so far."""
        return pair_surrogates("".join(self._texts)) if self._texts else self._value


def array_length(count: Value, place: str) -> int:
    """The length of `new Array(count)`: 1 unless `count` is a number. Raises AgentError if it is invalid."""
    if not is_number(count):
        return 1
    if not (0 <= count < 2**32 and count == math.floor(count)):
        raise AgentError(f"{place} is {to_string(count)}: the length of a list is an integer from 0")
    if count > MAX_LIST_LENGTH_COUNT:
        raise AgentError(
            f"{place} is {to_string(count)}: at most {MAX_LIST_LENGTH_COUNT} elements can be made at once"
        )
    return int(count)


def flat(array: list[Value], depth: Value) -> list[Value]:
    """`array.flat(depth)`."""
    levels = to_number(depth)
    levels = 0 if math.isnan(levels) else levels
    result: list[Value] = []
    open_lists: list[Iterator[Value]] = [iter(array)]
    while open_lists:
        for item in open_lists[-1]:
            if is_list(item) and len(open_lists) <= levels:
                open_lists.append(iter(item))
                break
            result.append(item)
        else:
            open_lists.pop()
    return result


def first(value: Value, place: str) -> Value:
    """`const [first] = value`. Raises AgentError for what cannot be iterated."""
    if is_list(value) or isinstance(value, str):
        return value[0] if value else UNDEFINED
    raise AgentError(f"{place} is {kind(value)}, not a list")


def deep_merge(target: Value, sources: Iterable[Value]) -> Value:
    """Deepmerge of all: objects by key, lists one after the other, else the later one. A new value.

    Merged into one copy: a copy for each step would take the square of their number.
    Raises AgentError where a source is null.
    """
    merged = _clone(target)
    for source in sources:
        merged = _merge_into(merged, source)
    return merged


def _merge_into(merged: Value, source: Value) -> Value:
    if is_list(source):
        if not is_list(merged):
            return _clone(source)
        merged.extend(map(_clone, source))
        return merged
    if is_list(merged):
        return _clone(source)
    target = merged if is_dict(merged) else {}
    for key, item in members(source, "what is to be merged").items():
        target[key] = _merge_into(target[key], item) if key in target and is_object(item) else _clone(item)
    return target


def _clone(value: Value) -> Value:
    if is_list(value):
        return [_clone(item) for item in value]
    if is_dict(value):
        return {key: _clone(item) for key, item in value.items()}
    return value
