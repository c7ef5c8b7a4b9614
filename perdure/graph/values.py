"""Values of the language: JSON's, plus what JavaScript lets a graph observe.

A value is None, bool, int, float, str, list, dict with str keys, or UNDEFINED. Numbers are
doubles: `number` gives the one Python form of each, so that 1 and 1.0 never differ in text.
See docs/language.md, "Values".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

Value: TypeAlias = Any  # None | bool | int | float | str | list[Value] | dict[str, Value] | Undefined

MAX_EXACT: Final = 2**53
"""Integers beyond this magnitude are not all doubles."""


class Undefined:
    """The type of UNDEFINED: JavaScript's `undefined`, which is never JSON's null."""

    _only: Undefined | None = None

    def __new__(cls) -> Undefined:
        if cls._only is None:
            cls._only = super().__new__(cls)
        return cls._only

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "UNDEFINED"

    def __copy__(self) -> Undefined:
        return self

    def __deepcopy__(self, memo: object) -> Undefined:
        return self

    def __reduce__(self) -> tuple[type[Undefined], tuple[()]]:
        return (Undefined, ())


UNDEFINED: Final = Undefined()


def is_number(value: Value) -> bool:
    """Whether `value` is a number; True and False are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_object(value: Value) -> bool:
    """What GraphAI's isObject says: dictionaries and lists, not null."""
    return isinstance(value, dict | list)


def number(value: float) -> int | float:
    """The one Python form of a double: int where it is integral and not -0, else float."""
    if isinstance(value, int):
        if -MAX_EXACT <= value <= MAX_EXACT:
            return value
        try:
            value = float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    if value.is_integer() and abs(value) < 1e21 and not (value == 0 and math.copysign(1, value) < 0):
        return int(value)
    return value


def normalize(value: Any) -> Value:
    """`value` as the language holds it: tuples become lists, keys strings, numbers doubles.

    Raises TypeError, naming the type, for what has no place in a graph (bytes, sets, objects).
    """
    if value is None or isinstance(value, bool | str | Undefined):
        return value
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, Mapping):
        return {str(key): normalize(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [normalize(item) for item in value]
    raise TypeError(f"a value of type {type(value).__name__} cannot pass through a graph")


def js_truthy(value: Value) -> bool:
    """JavaScript's truthiness: [] and {} are true, 0, NaN, "", null and undefined false."""
    if isinstance(value, list | dict):
        return True
    if isinstance(value, float) and math.isnan(value):
        return False
    return bool(value)


def truthy(value: Value) -> bool:
    """Truthiness in `if`, `unless` and `while`: JavaScript's, but an empty list is false."""
    return len(value) > 0 if isinstance(value, list) else js_truthy(value)


def strict_equal(left: Value, right: Value) -> bool:
    """JavaScript's ===: true differs from 1, 1 equals 1.0, objects are equal by identity only."""
    if isinstance(left, list | dict) or isinstance(right, list | dict):
        return left is right
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if is_number(left) and is_number(right):
        return left == right
    return type(left) is type(right) and left == right


def is_array_index(key: str) -> bool:
    """Whether JavaScript sorts this key before all others (canonical integer below 2**32-1)."""
    if not key.isascii() or not key.isdigit() or (len(key) > 1 and key[0] == "0"):
        return False
    return len(key) <= 10 and int(key) < 2**32 - 1


def ordered_keys(keys: Iterable[str]) -> list[str]:
    """`keys` in the order JavaScript enumerates them: integer-like ascending, then as inserted."""
    listed = list(keys)
    indexes = [key for key in listed if is_array_index(key)]
    if not indexes:
        return listed
    indexes.sort(key=int)
    return indexes + [key for key in listed if not is_array_index(key)]


def ordered(mapping: Mapping[str, Value]) -> dict[str, Value]:
    """A copy of `mapping` in JavaScript's key order."""
    return {key: mapping[key] for key in ordered_keys(mapping)}
