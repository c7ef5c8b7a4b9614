"""How functions of references are registered: by name, by the kind of value, with their arguments."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from perdure.graph.values import UNDEFINED, Value, is_list, is_number, is_object

Body = Callable[..., Value]


def _is_string(value: Value) -> bool:
    return isinstance(value, str)


def _is_finite(value: Value) -> bool:
    return is_number(value) and math.isfinite(value)


def _is_boolean(value: Value) -> bool:
    return isinstance(value, bool)


def _is_undefined(value: Value) -> bool:
    return value is UNDEFINED


KINDS: Final[dict[str, Callable[[Value], bool]]] = {
    "array": is_list,
    "object": is_object,  # lists too: their keys are "0", "1", ...
    "string": _is_string,
    "number": _is_finite,
    "boolean": _is_boolean,
    "undefined": _is_undefined,
}
"""The kinds of values that functions belong to, in the order in which they are tried."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function of one kind of value. `argument` matches the whole text between its parentheses.

    One that looks `inside` needs the items or members of the value, not only the value.
    """

    name: str
    on: str
    argument: re.Pattern[str]
    body: Body
    inside: bool = False

    def accepts(self, value: Value) -> bool:
        """Whether `value` is of the function's kind."""
        return KINDS[self.on](value)


@dataclass(frozen=True, slots=True)
class Bound:
    """A function with its arguments as strings; None for one that is left out."""

    function: Function
    arguments: tuple[str | None, ...]


FUNCTIONS: Final[dict[str, tuple[Function, ...]]] = {}
"""Every function by name, in the order of KINDS."""


def function(name: str, *, on: str, argument: str = "", inside: bool = False) -> Callable[[Body], Body]:
    """Registers a function under `name`. The groups of the pattern `argument` are its arguments."""

    def register(body: Body) -> Body:
        kinds = list(KINDS)
        functions = (*FUNCTIONS.get(name, ()), Function(name, on, re.compile(argument), body, inside))
        FUNCTIONS[name] = tuple(sorted(functions, key=lambda item: kinds.index(item.on)))
        return body

    return register
