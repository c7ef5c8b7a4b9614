"""References: ``:node.key.$0.trim()`` and, in `output`, ``.key.$0``. Parsed once, then walked.

A reference reaches data and nothing else: the members of dictionaries, the items of lists, and
the registered functions. No Python attribute and no JavaScript prototype is ever looked at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from sys import intern
from typing import Final, TypeAlias

from perdure.errors import FunctionError
from perdure.graph.binary import Array
from perdure.graph.deferred import BlobRef, Composite, Deferred, Projection, deferred_in
from perdure.graph.functions import Bound, bind
from perdure.graph.values import UNDEFINED, Value, is_dict, is_list

SELF: Final = "self"
"""The node of a path in `output` and `repeatUntil`: the result of the node that has them."""

_LINE_END = re.compile("[\n\r\u2028\u2029]")
_DOT = re.compile(r"(?<!\()\.(?!\))")
_INDEX = re.compile(r"\$([0-9]+)")
_LAST: Final = "$last"

MAX_FUNCTIONS_COUNT: Final = 32
"""Functions that one reference calls. Each may walk through the whole value, so a long chain on a long
text would take the product of both: minutes, in a document of some kilobytes."""

TOO_LONG_HINT: Final = "let a node in between have a part of the functions, or use an agent"

SHOWN_REFERENCE_CHARS: Final = 500
"""Characters of a reference that a message repeats."""

MAX_CACHED_REFERENCE_CHARS: Final = 200
"""Characters of a reference, and of a step, that is kept for its next use: the checks and the plan have one
each. A longer one is parsed each time: thousands of a megabyte would fill the memory."""


@dataclass(frozen=True, slots=True)
class Key:
    """``.name``: a member of a dictionary, a fact of an array; undefined on all else, lists included."""

    prop: str

    def read(self, value: Value) -> Value:
        """The member of `value`, UNDEFINED where it has none."""
        if isinstance(value, Array):
            return value.facts().get(self.prop, UNDEFINED)
        return value.get(self.prop, UNDEFINED) if is_dict(value) else UNDEFINED


@dataclass(frozen=True, slots=True)
class Index:
    """``.$0`` and ``.$last`` (-1): an item of a list; in a dictionary a member of that name."""

    prop: str
    index: int

    def read(self, value: Value) -> Value:
        """The item of `value`, UNDEFINED where it has none."""
        if is_list(value):
            return value[self.index] if value and self.index < len(value) else UNDEFINED
        return value.get(self.prop, UNDEFINED) if is_dict(value) else UNDEFINED


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """``.name(argument)``: the functions that may be meant, else a member of that very name.

    `inside` says that one of them looks at the items of a list or the members of an object.
    """

    prop: str
    candidates: tuple[Bound, ...]
    inside: bool = False

    def read(self, value: Value) -> Value:
        """The first result that is neither None nor UNDEFINED.

        Raises:
            FunctionError: from a function that cannot give one.
        """
        for bound in self.candidates:
            if bound.function.accepts(value):
                result = bound.function.body(value, *bound.arguments)
                if result is not None and result is not UNDEFINED:
                    return result
        return value.get(self.prop, UNDEFINED) if is_dict(value) else UNDEFINED


Step: TypeAlias = Key | Index | FunctionCall


@dataclass(frozen=True, slots=True)
class Reference:
    """A place in the results of a graph.

    `node` is the id it starts from; "" for ``:`` and ``:.x``, which read UNDEFINED and depend on
    nothing. `text` is the reference as written.
    """

    node: str
    steps: tuple[Step, ...]
    text: str

    @property
    def props(self) -> tuple[str, ...]:
        """The steps as written, e.g. ``("items", "$0", "trim()")``."""
        return tuple(step.prop for step in self.steps)

    @property
    def too_long(self) -> str:
        """What is wrong with a reference that calls more functions than one may; "" for others."""
        count = sum(isinstance(step, FunctionCall) for step in self.steps)
        over = f"calls {count} functions, and a reference may call {MAX_FUNCTIONS_COUNT}"
        return over if count > MAX_FUNCTIONS_COUNT else ""

    def read(self, value: Value) -> Value:
        """What the steps make of `value`, the result of the node. Parts of `value` are not copied.

        Raises:
            FunctionError: from a function that has no result, such as jsonParse() of no JSON, and from
                one function more than MAX_FUNCTIONS_COUNT.
        """
        if not self.node:
            return UNDEFINED
        calls = 0
        try:
            for index, step in enumerate(self.steps):
                if value.__class__ is dict and step.__class__ is Key:  # what nearly all steps are
                    value = value.get(step.prop, UNDEFINED)
                    continue
                if isinstance(value, Deferred):
                    return self._later(value, index)
                if isinstance(step, FunctionCall):
                    calls += 1
                    if calls > MAX_FUNCTIONS_COUNT:
                        raise FunctionError(self.too_long, hint=TOO_LONG_HINT)
                    if step.inside and next(deferred_in(value), None) is not None:
                        return self._later(Composite(value), index)
                value = step.read(value)
        except (FunctionError, RecursionError) as error:
            raise FunctionError(f"{self.text[:SHOWN_REFERENCE_CHARS]}: {error}") from error
        return value

    def _later(self, source: Deferred, start: int) -> Value:
        """The steps from `start` on, to be taken when the source is available."""
        first = self.steps[start]
        keys = source.keys if isinstance(source, BlobRef) else None
        if keys is not None and not isinstance(first, FunctionCall) and first.prop not in keys:
            return Reference(self.node, self.steps[start + 1 :], self.text).read(UNDEFINED)
        steps = tuple((step.prop, not isinstance(step, Key)) for step in self.steps[start:])
        return Projection(source, steps)


def parse_reference(text: Value) -> Reference | None:
    """The reference that `text` is, None if it is a literal.

    A reference is a string that starts with ``:`` and holds no line end. It is split at every dot
    that neither follows ``(`` nor precedes ``)``, so that ``.join(.)`` is one step.
    """
    if not isinstance(text, str) or not text.startswith(":"):
        return None
    return _kept(text) if len(text) <= MAX_CACHED_REFERENCE_CHARS else _parsed(text)


def _parsed(text: str) -> Reference | None:
    if _LINE_END.search(text):
        return None
    node, *props = _DOT.split(text[1:])
    return Reference(intern(node), tuple(parse_step(prop) for prop in props), text)


_kept = lru_cache(maxsize=16_384)(_parsed)


def parse_path(text: Value, *, functions: bool = True) -> Reference | None:
    """The path into a node's own result that `text` is, None where it is a literal.

    A path starts with a dot and is split at every dot. In `output` and `console` a path may call
    functions, in `repeatUntil` it may not: there ``.a.trim()`` reads a member named ``trim()``.
    """
    if not isinstance(text, str) or not text.startswith("."):
        return None
    props = text.split(".")[1:]
    return Reference(SELF, tuple(parse_step(prop, functions=functions) for prop in props), text)


def parse_step(prop: str, *, functions: bool = True) -> Step:
    """One step as written: a call of a function where it may be one, an index, else a key."""
    is_cacheable = len(prop) <= MAX_CACHED_REFERENCE_CHARS
    return _kept_step(prop, functions) if is_cacheable else _parsed_step(prop, functions)


def _parsed_step(prop: str, functions: bool) -> Step:
    candidates = bind(prop) if functions else None
    if candidates is not None:
        return FunctionCall(prop, candidates, any(bound.function.inside for bound in candidates))
    if prop == _LAST:
        return Index(prop, -1)
    match = _INDEX.fullmatch(prop)
    return Index(prop, _item_index(match[1])) if match else Key(prop)


_kept_step = lru_cache(maxsize=4096)(_parsed_step)


def _item_index(digits: str) -> int:
    """Ten digits are beyond every list, and `int` refuses thousands of them."""
    significant = digits.lstrip("0")
    return int(significant[:10] or "0")
