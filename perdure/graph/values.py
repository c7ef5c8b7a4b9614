"""Values of the language: JSON's, plus what JavaScript lets a graph observe.

A value is None, bool, int, float, str, list, dict with str keys, UNDEFINED, or binary (binary.py). Numbers
are doubles: `number` gives the one Python form of each, so that 1 and 1.0 never differ in text.
See docs/language.md, "Values".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias, TypeGuard, cast

Value: TypeAlias = Any
"""None | bool | int | float | str | list[Value] | dict[str, Value] | Undefined | Array | bytes"""

MAX_EXACT_INTEGER: Final = 2**53
"""Integers beyond this magnitude are not all doubles."""

MAX_DEPTH: Final = 400
"""How deep lists and objects may nest in a value that enters a graph.

Fixed, because Python's own limit depends on the depth of the caller: the same value would pass
in one place and fail in another.
"""

UNREADABLE: Final = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""What reading data of strangers raises."""


class Undefined:
    """The type of UNDEFINED: JavaScript's `undefined`, which is never JSON's null."""

    _only: Undefined | None = None

    def __new__(cls) -> Undefined:  # noqa: D102 -- part of the data model, as in D105
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

_AS_IT_IS: Final = frozenset({type(None), bool, str, Undefined})
_FLAT: Final = frozenset({str, int, float, bool, type(None)})
_OBJECTS: Final = (dict, list)


def is_number(value: Value) -> bool:
    """Whether `value` is a number; True and False are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_dict(value: Value) -> TypeGuard[dict[str, Value]]:
    """Whether `value` is an object of the language; lists are not."""
    return isinstance(value, dict)


def is_list(value: Value) -> TypeGuard[list[Value]]:
    """Whether `value` is a list."""
    return isinstance(value, list)


def is_flat(members: Mapping[str, Value]) -> bool:
    """Whether all members of an object are strings, numbers, true, false or null: nothing is inside them."""
    return _FLAT.issuperset(map(type, members.values()))


def is_object(value: Value) -> bool:
    """What GraphAI's isObject says: dictionaries and lists, not null."""
    return isinstance(value, _OBJECTS)


def number(value: float) -> int | float:
    """The one Python form of a double: int where it is integral, below 1e21 and not -0, else float."""
    if isinstance(value, int):
        if -MAX_EXACT_INTEGER <= value <= MAX_EXACT_INTEGER:
            return value
        try:
            value = float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    if value.is_integer() and abs(value) < 1e21 and not (value == 0 and math.copysign(1, value) < 0):
        return int(value)
    return value


def normalize(value: Any, foreign: Callable[[Any], Value] | None = None) -> Value:
    """`value` as the language holds it: tuples become lists, keys strings, numbers doubles.

    Subclasses (an IntEnum, a numpy.float64, an OrderedDict) become the plain type. `foreign` gives the values
    of what is not JSON's, such as numpy's arrays; without it, byte strings and arrays are refused.

    Raises:
        TypeError: for what has no place in a graph (sets, objects), naming the type, and for
            what nests deeper than MAX_DEPTH, such as a list that contains itself.
    """
    return _normalize(value, 0, foreign)


def _normalize(value: Any, depth: int, foreign: Callable[[Any], Value] | None) -> Value:
    # Loops, not comprehensions: those take a second frame of the stack per level before Python 3.12.
    kind = value.__class__
    if kind in _AS_IT_IS or (kind is int and -MAX_EXACT_INTEGER <= value <= MAX_EXACT_INTEGER):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return number(int(value))
    if isinstance(value, float):
        return number(float(value))
    if depth == MAX_DEPTH:
        raise TypeError(f"a value nests deeper than {MAX_DEPTH} levels, or contains itself")
    if kind is dict or isinstance(value, Mapping):
        members: dict[str, Value] = {}
        for key, item in cast("Mapping[Any, Any]", value).items():
            name = key if key.__class__ is str else _normalize_key(key)
            members[name] = item if item.__class__ in _AS_IT_IS else _normalize(item, depth + 1, foreign)
        return members
    if isinstance(value, list | tuple):
        items: list[Value] = []
        for item in cast("Iterable[Any]", value):
            items.append(_normalize(item, depth + 1, foreign))
        return items
    return (foreign or refused)(value)


def refused(value: Any) -> Value:
    """Raises TypeError, for a value that has no place in a graph."""
    raise TypeError(f"a value of type {type(value).__name__} cannot pass through a graph")


def _normalize_key(key: Any) -> str:
    """The member name that JSON writers of Python give `key`: 1 is "1", True "true", None "null"."""
    if isinstance(key, str):
        return str.__str__(key)
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]
    if isinstance(key, int | float):
        return str(number(key))
    raise TypeError(f"a key of type {type(key).__name__} cannot pass through a graph")


def js_truthy(value: Value) -> bool:
    """JavaScript's truthiness: [] and {} are true, 0, NaN, "", null and undefined false."""
    if isinstance(value, _OBJECTS):
        return True
    if isinstance(value, float) and math.isnan(value):
        return False
    return bool(value)


def truthy(value: Value) -> bool:
    """Truthiness in `if`, `unless` and `while`: JavaScript's, but an empty list is false."""
    return value != [] and js_truthy(value)


def strict_equal(left: Value, right: Value) -> bool:
    """JavaScript's ===: true differs from 1, 1 equals 1.0, objects are equal by identity only."""
    if isinstance(left, _OBJECTS) or isinstance(right, _OBJECTS):
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
    indexes = [key for key in listed if "0" <= key[:1] <= "9" and is_array_index(key)]
    if not indexes:
        return listed
    indexes.sort(key=int)
    return indexes + [key for key in listed if not is_array_index(key)]


def ordered(mapping: Mapping[str, Value]) -> dict[str, Value]:
    """A copy of `mapping` in JavaScript's key order."""
    return {key: mapping[key] for key in ordered_keys(mapping)}
