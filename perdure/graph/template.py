"""Templates: what stands in `inputs`, `passThrough` and `output`, compiled once, then rendered.

Rendered values share structure with the document and with the results that they refer to: a part
without references is returned as it is. Whoever receives one must not change it.

Texts are filled in one pass. What a reference brings in is never looked at again, so a value that
reads ``${:secret}`` or ``$&`` stays what it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from perdure.errors import FunctionError
from perdure.graph.deferred import Composite, Concat, Deferred, Projection, deferred_in
from perdure.graph.javascript import pair_surrogates, to_string
from perdure.graph.reference import Key, Reference, parse_path, parse_reference
from perdure.graph.values import UNDEFINED, Value, is_dict, is_list, is_object, ordered_keys

_OPENING = re.compile(r"\$\{[:@]")
_REFERENCE_OPENING = re.compile(r"\$\{:")
_UTILITIES: Final = ("@now", "@now_ms", "@now_s", "@loop")
_UTILITY = re.compile("@[^\n\r\u2028\u2029]*")


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
        """What the reference reads, UNDEFINED where there is nothing."""
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
    """What GraphAI cannot evaluate where it stands: it fails the node, not the graph."""

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
        return {key: member.render(scope) for key, member in self.members}


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

Leaf = Callable[[str], Template]


def joined(parts: Iterable[Value]) -> Value:
    """The text of `parts`, each as String(part) of JavaScript; Concat while one of them is not here."""
    values = list(parts)
    if any(not isinstance(part, str) and _is_distant(part) for part in values):
        return Concat(tuple(values))
    return pair_surrogates("".join(map(to_string, values)))


def _is_distant(value: Value) -> bool:
    return isinstance(value, Deferred) or (is_list(value) and next(deferred_in(value), None) is not None)


def compile_inputs(value: Value) -> Template:
    """The template of `inputs` or `passThrough`: references, texts and utilities at any depth.

    Keys are never looked at. A string in place of the whole, which only one with a ``${...}`` can
    be, is taken apart into its UTF-16 units as GraphAI does: ``{"0": "$", "1": "{", ...}``.
    """
    if not isinstance(value, str):
        return _compile(value, _input_leaf)
    data = value.encode("utf-16-le", "surrogatepass")
    units = [data[index : index + 2].decode("utf-16-le", "surrogatepass") for index in range(0, len(data), 2)]
    members = tuple((str(index), _input_leaf(unit)) for index, unit in enumerate(units))
    return Mapping(members, _input_leaf(value).references)


def references_in(value: Value) -> list[Reference]:
    """The references of ``compile_inputs(value)``, which takes longer."""
    if isinstance(value, str):
        return _references_of(value)
    if is_dict(value):
        return [reference for key in ordered_keys(value) for reference in references_in(value[key])]
    return [reference for item in value for reference in references_in(item)] if is_list(value) else []


def _references_of(text: str) -> list[Reference]:
    if any(_placeholders(text, _OPENING)):
        return list(_text_references(text))
    reference = parse_reference(text)
    return [reference] if reference is not None and reference.node else []


def compile_output(value: Value) -> Template:
    """The template of `output` or `console.after`: paths into the node's own result.

    Its references are to the node "self". ``:node`` is a literal here, ``${:node}`` becomes its own
    text, ``@now`` is a literal, ``${@now}`` is not, and ``${@loop}`` fails the node.
    """
    return _compile(value, _output_leaf)


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


def _compile(value: Value, leaf: Leaf) -> Template:
    if isinstance(value, str):
        return leaf(value)
    if is_dict(value):
        members = tuple((key, _compile(value[key], leaf)) for key in ordered_keys(value))
        if not all(_stays(member, value[key]) for key, member in members):
            return Mapping(members, _references(member for _, member in members))
    elif is_list(value):
        items = tuple(_compile(item, leaf) for item in value)
        if not all(map(_stays, items, value)):
            return Sequence(items, _references(items))
    return Literal(value)


def _stays(template: Template, value: Value) -> bool:
    """Whether `template`, compiled from `value`, always renders `value` itself."""
    return isinstance(template, Literal) and template.value is value


def _references(templates: Iterable[Template]) -> tuple[Reference, ...]:
    return tuple(reference for template in templates for reference in template.references)


def _input_leaf(text: str) -> Template:
    parts = _parts(text, _input_placeholder)
    if parts:
        return _text(parts, _text_references(text))
    return _utility(text) if _UTILITY.fullmatch(text) else _reference(text)


def _input_placeholder(key: str) -> Template:
    return _utility(key) if key.startswith("@") else _reference(key)


def _output_leaf(text: str) -> Template:
    parts = _parts(text, _output_placeholder)
    if parts:
        return _text(parts, ())
    path = parse_path(text)
    return _ref(path) if path else Literal(text)


def _output_placeholder(key: str) -> Template:
    if key == "@loop":
        return Refusal("${@loop} has no value in `output`", hint="pass '@loop' on with `passThrough`")
    return _utility(key) if key.startswith("@") else Literal(key)


def _reference(text: str) -> Template:
    reference = parse_reference(text)
    if reference is None:
        return Literal(text)
    return _ref(reference) if reference.node else Literal(UNDEFINED)


def _ref(reference: Reference) -> Ref:
    only = reference.steps[0] if len(reference.steps) == 1 else None
    return Ref(reference, (reference,), only.prop if isinstance(only, Key) else None)


def _utility(text: str) -> Template:
    return Utility(text) if text in _UTILITIES else Literal("")


def _text(parts: Iterable[Template], references: tuple[Reference, ...]) -> Template:
    """A Text of `parts`, literal neighbours joined; a Literal where nothing depends on the scope."""
    joined: list[str | Template] = []
    for part in parts:
        fixed = to_string(part.value) if isinstance(part, Literal) else part
        if isinstance(fixed, str) and joined and isinstance(joined[-1], str):
            joined[-1] += fixed
        elif fixed != "":
            joined.append(fixed)
    if not references and all(isinstance(part, str) for part in joined):
        return Literal("".join(map(str, joined)))
    return Text(tuple(joined), references)


def _text_references(text: str) -> tuple[Reference, ...]:
    """The references that GraphAI waits for, which are not quite those that it fills in.

    It finds some inside what it then reads as a utility, ``${@x ${:y}``, and it takes a text that
    has utilities only for a reference as a whole, ``:a ${@now}``.
    """
    keys = [text[start + 2 : end] for start, end in _placeholders(text, _REFERENCE_OPENING)]
    references = [parse_reference(key) for key in keys or [text]]
    return tuple(reference for reference in references if reference and reference.node)


def _parts(text: str, placeholder: Leaf) -> list[Template]:
    """`text` taken apart at its placeholders; empty where it has none."""
    parts: list[Template] = []
    done = 0
    for start, end in _placeholders(text, _OPENING):
        parts += (Literal(text[done:start]), placeholder(text[start + 2 : end]))
        done = end + 1
    return [*parts, Literal(text[done:])] if parts else []


def _placeholders(text: str, opening: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """Where each ``${x}`` starts and where its ``}`` stands, x being two characters or more.

    Searched step by step: one pattern would need quadratic time for ``${:${:${:``.
    """
    match = opening.search(text) if "${" in text else None
    while match:
        end = text.find("}", match.end())
        if end < 0:
            return
        if end > match.end():
            yield match.start(), end
        match = opening.search(text, end)
