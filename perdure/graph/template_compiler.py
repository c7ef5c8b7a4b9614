"""Templates compiled: references, strings and utilities of `inputs`, `passThrough` and `output`.

What a document says once is taken apart once, before the run; template.py renders it many times.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from perdure.graph.javascript import to_string
from perdure.graph.reference import Key, Reference, parse_path, parse_reference
from perdure.graph.template import Literal, Mapping, Ref, Refusal, Sequence, Template, Text, Utility
from perdure.graph.values import UNDEFINED, Value, is_dict, is_list, ordered_keys

Leaf = Callable[[str], Template]

_OPENING = re.compile(r"\$\{[:@]")
_REFERENCE_OPENING = re.compile(r"\$\{:")
_UTILITIES: Final = ("@now", "@now_ms", "@now_s", "@loop")
_UTILITY = re.compile("@[^\n\r\u2028\u2029]*")


def compile_inputs(value: Value) -> Template:
    """The template of `inputs` or `passThrough`: references, strings and utilities at any depth.

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
    """The Text of `parts`, literal neighbours joined; a Literal if nothing depends on the scope."""
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

    It finds some inside what it then reads as a utility, ``${@x ${:y}``, and it searches a string that
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
    """Where each ``${x}`` starts and where its ``}`` is, x being two characters or more.

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
