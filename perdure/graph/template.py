"""Templates: `inputs`, `passThrough` and `output` as template_compiler.py compiles them, to be rendered.

Rendered values share structure with the document and with the results that they refer to: a part
without references is returned as it is. The receiver must not change it.

Strings are filled in one pass. What a reference brings in is never evaluated again, so a value that
reads ``${:secret}`` or ``$&`` stays what it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from perdure.errors import FunctionError
from perdure.graph.deferred import Composite, Concat, Deferred, Projection, deferred_in
from perdure.graph.javascript import pair_surrogates, to_string
from perdure.graph.reference import Reference
from perdure.graph.sizes import joined_text
from perdure.graph.values import UNDEFINED, Value, is_dict, is_list, is_object


class Scope(Protocol):
    """What rendering may ask for. Times are milliseconds since 1970."""

    @property
    def now_ms(self) -> int:
        """The time that ``@now``, ``@now_ms`` and ``@now_s`` give."""
        ...

    @property
    def loop(self) -> int:
        """The number of the loop's iteration, from 0: ``@loop``."""
        ...

    def result(self, node: str, /) -> Value:
        """The result of a node, UNDEFINED where it has none (yet)."""
        ...


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that holds no reference at any depth."""

    value: Value
    references: tuple[Reference, ...] = ()

    def render(self, scope: Scope) -> Value:
        """The value itself, not a copy."""
        del scope
        return self.value


@dataclass(frozen=True, slots=True)
class Ref:
    """``:node.prop`` as a whole value. `key` is the member that it names, where that is all it names."""

    reference: Reference
    references: tuple[Reference, ...]
    key: str | None = None

    def render(self, scope: Scope) -> Value:
        """What the reference reads, UNDEFINED if there is nothing."""
        reference = self.reference
        value = scope.result(reference.node)
        if value.__class__ is dict and self.key is not None:
            return value.get(self.key, UNDEFINED)
        return reference.read(value)


@dataclass(frozen=True, slots=True)
class Utility:
    """``@now``, ``@now_ms``, ``@now_s`` or ``@loop``."""

    name: str
    references: tuple[Reference, ...] = ()

    def render(self, scope: Scope) -> Value:
        """A number: milliseconds, seconds, or the number of the iteration."""
        if self.name == "@loop":
            return scope.loop
        return scope.now_ms // 1000 if self.name == "@now_s" else scope.now_ms


@dataclass(frozen=True, slots=True)
class Refusal:
    """What GraphAI cannot evaluate in its position: it fails the node, not the graph."""

    finding: str
    hint: str = ""
    references: tuple[Reference, ...] = ()

    def render(self, scope: Scope) -> Value:
        """Raises FunctionError, always."""
        del scope
        raise FunctionError(self.finding, hint=self.hint)


@dataclass(frozen=True, slots=True)
class Text:
    """Text around ``${...}``: always a string, whatever the parts are."""

    parts: tuple[str | Template, ...]
    references: tuple[Reference, ...]

    def render(self, scope: Scope) -> Value:
        """The parts, each as String(part) of JavaScript, in one pass."""
        parts = [part if isinstance(part, str) else part.render(scope) for part in self.parts]
        return joined(parts)


@dataclass(frozen=True, slots=True)
class Mapping:
    """A dictionary with a reference somewhere in it, its members in JavaScript's order."""

    members: tuple[tuple[str, Template], ...]
    references: tuple[Reference, ...]

    def render(self, scope: Scope) -> dict[str, Value]:
        """Every key, UNDEFINED under those whose reference reads nothing."""
        rendered: dict[str, Value] = {}
        for key, member in self.members:  # faster than a comprehension, for a few members
            rendered[key] = member.render(scope)
        return rendered


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list with a reference somewhere in it."""

    items: tuple[Template, ...]
    references: tuple[Reference, ...]

    def render(self, scope: Scope) -> list[Value]:
        """Every item, UNDEFINED where a reference reads nothing."""
        return [item.render(scope) for item in self.items]


Template: TypeAlias = Literal | Ref | Utility | Refusal | Text | Mapping | Sequence
"""What `render` makes a value of; it raises FunctionError where a function has no result.

`references` are those to nodes, in GraphAI's order, repeated where they are repeated; a template
that has none depends on no result.
"""


def joined(parts: Iterable[Value]) -> Value:
    """The text of `parts`, each as String(part) of JavaScript; Concat while one of them is not here."""
    values = list(parts)
    if any(not isinstance(part, str) and _is_deferred(part) for part in values):
        return Concat(tuple(values))
    return pair_surrogates(joined_text(map(to_string, values)))


def _is_deferred(value: Value) -> bool:
    return isinstance(value, Deferred) or (is_list(value) and next(deferred_in(value), None) is not None)


def clean(value: Value) -> Value:
    """`value` as an anyInput node sees it: without null and undefined, at every depth.

    What becomes empty by it stays: ``{"a": [null]}`` is ``{"a": []}``.
    """
    if isinstance(value, Deferred):
        return Projection(value, cleaned=True)
    if is_object(value) and any(isinstance(item, Projection) for item in _items(value)):
        return Projection(Composite(value), cleaned=True)  # whether a part is null is not known here
    if is_list(value):
        return list(filter(_is_data, map(clean, value)))
    if not is_dict(value):
        return value
    cleaned = dict(zip(value, map(clean, value.values()), strict=True))
    return {key: item for key, item in cleaned.items() if _is_data(item)}


def _items(value: Value) -> Iterable[Value]:
    return value.values() if is_dict(value) else value


def _is_data(value: Value) -> bool:
    return value is not None and value is not UNDEFINED
