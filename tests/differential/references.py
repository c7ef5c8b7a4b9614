"""References and templates that mostly reach something, because results are foreseen roughly."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from perdure.errors import FunctionError
from perdure.graph.reference import parse_reference
from perdure.graph.values import UNDEFINED
from tests.differential.draw import Draw

FUNCTIONS = {
    list: (
        *("length()", "isEmpty()", "flat()", "toJSON()", "sum()", "average()", "mean()", "max()", "min()"),
        *("join(,)", "join(-)", "join()", "join( )", "join(.)", "keys()", "values()"),
    ),
    dict: ("keys()", "values()", "toJSON()"),
    str: (
        *("toNumber()", "trim()", "toLowerCase()", "toUpperCase()", "codeBlock()", "codeBlockOrRaw()"),
        *("equal(abc)", "equal(2)", "slice(1)", "slice(1,3)", "slice(-2)", "slice(0, 1)", "slice()"),
        *("split(,)", "split(-)", "split( )", "split(.)", "length()"),
    ),
    int: ("toString()", "add(1)", "add(-2)", "add(1.5)", "equal(1)", "equal(x)"),
    bool: ("not()", "toString()"),
    type(None): ("default(5)", "isEmpty()"),
    type(UNDEFINED): ("default(5)", "default(abc)", "default(1-2)", "default(a_b)"),
}
STRANGE_STEPS = (
    "zz",
    "$9",
    "$last",
    "$00",
    "length",
    "0",
    "",
    "k()",
    "nope(1)",
    "not()",
    "$x",
    "default(none)",
)
PROTOTYPE = ("toString", "constructor", "hasOwnProperty", "valueOf", "isPrototypeOf", "__proto__")
UTILITIES = ("@loop", "@loop", "@loop", "@someone", "@", "@loop x")
STRANGE_REFERENCES = (":", ":.x", ":absent", ":absent.k", ":-)", ":a\nb", "::a", ": a", "::", ":$0")


@dataclass
class Scope:
    """The nodes that may be referred to, each with a guess of its result."""

    examples: dict[str, Any] = field(default_factory=dict)
    paths: list[tuple[str, Any]] = field(default_factory=list)

    def add(self, name: str, example: Any) -> None:
        self.examples[name] = example
        if "." in name:
            return  # nothing can refer to it
        self.paths += walk(f":{name}", example, 2)


def walk(text: str, value: Any, depth: int) -> list[tuple[str, Any]]:
    """Every path into `value`, to some depth."""
    paths = [(text, value)]
    if depth and isinstance(value, list):
        for index, item in enumerate(value[:3]):
            paths += walk(f"{text}.${index}", item, depth - 1)
        if value:
            paths += walk(f"{text}.$last", value[-1], 0)
    if depth and isinstance(value, dict):
        for key, item in value.items():
            if "." not in key:
                paths += walk(f"{text}.{key}", item, depth - 1)
    return paths


class References:
    """References into one scope."""

    def __init__(self, draw: Draw, scope: Scope) -> None:
        self.draw, self.scope = draw, scope

    def any(self, functions: bool = True) -> tuple[str, Any]:
        """A reference, and what it may give."""
        draw = self.draw
        if not self.scope.paths or draw.chance(0.004):
            return draw.pick(STRANGE_REFERENCES), UNDEFINED
        text, example = draw.pick(self.scope.paths)
        if functions and draw.chance(0.25):
            kind = int if isinstance(example, float) else type(example)
            kind = kind if draw.chance(0.9) else draw.pick(list(FUNCTIONS))
            text += f".{draw.pick(FUNCTIONS.get(kind, FUNCTIONS[str]))}"
        if draw.chance(0.05):
            text += f".{draw.pick(STRANGE_STEPS)}"
            if draw.chance(0.3):
                text += f".{draw.pick(('default(7)', 'default(x)', 'length()', 'k'))}"
        if draw.chance(0.002):
            text += f".{draw.pick(PROTOTYPE)}"
        if draw.chance(0.015):
            text += ".jsonParse()"
        return text, read(text, self.scope)

    def typed(self, kind: type) -> tuple[str, Any] | None:
        """A reference that may return a value of this kind, or None."""
        candidates = [(text, example) for text, example in self.scope.paths if type(example) is kind]
        return self.draw.pick(candidates) if candidates else None

    def template(self) -> tuple[str, Any]:
        """A string with one to three placeholders."""
        draw, parts = self.draw, []
        for _ in range(draw.count(1, 3)):
            kind = draw.weighted({"reference": 8, "utility": 0.7, "other": 0.4, "plain": 2})
            if kind == "reference":
                parts.append("${" + self.any()[0] + "}")
            elif kind == "utility":
                parts.append("${" + draw.pick(UTILITIES) + "}")
            elif kind == "other":
                parts.append(draw.pick(("${x}", "${:}", "${}", "${", "}", "$", "{:a}")))
            else:
                parts.append(draw.pick((" ", "and ", "-", ": ", "日本", "\n")))
        return "".join(parts), "text"

    def leaf(self) -> tuple[Any, Any]:
        """What may be at a leaf of `inputs`."""
        draw = self.draw
        kind = draw.weighted({"reference": 7, "template": 1.5, "value": 3, "utility": 0.3})
        if kind == "reference":
            return self.any()
        if kind == "template":
            return self.template()
        if kind == "utility":
            return draw.pick(UTILITIES), 0
        value = draw.value(1)
        return value, value

    def inputs(self, depth: int = 2) -> tuple[Any, Any]:
        """A leaf, or a list or an object of leaves."""
        draw = self.draw
        if depth == 0 or draw.chance(0.75):
            return self.leaf()
        parts = [self.inputs(depth - 1) for _ in range(draw.count(0, 3))]
        if draw.chance(0.5):
            return [part for part, _ in parts], [example for _, example in parts]
        keys = [draw.pick(("k", "n", "x", "1", "é", "params")) for _ in parts]
        return (
            {key: part for key, (part, _) in zip(keys, parts, strict=True)},
            {key: example for key, (_, example) in zip(keys, parts, strict=True)},
        )


def read(text: str, scope: Scope) -> Any:
    """What a reference would give, going by the guesses."""
    reference = parse_reference(text)
    if reference is None:
        return text
    try:
        return reference.read(scope.examples.get(reference.node, UNDEFINED))
    except FunctionError:
        return UNDEFINED
