"""No pattern of the package takes more than linear time, whatever the text.

`re` holds the interpreter's lock: while it searches, no heartbeat leaves a worker. Each pattern is tried on
hostile strings that are made of its own parts: as it begins, then one part repeated, then what cannot follow.
"""

import ast
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from perdure.graph.functions import FUNCTIONS
from tests.support import ROOT

PACKAGE = ROOT / "perdure"
METHODS = ("match", "fullmatch", "search", "finditer", "findall", "sub", "split")
AT_A_PLACE = ("match", "fullmatch")
TEXT_CHARS = 65_536
CPU_LIMIT_S = 0.5
"""Linear searches of such a string take some milliseconds, quadratic ones a minute."""


@dataclass(frozen=True)
class Use:
    """A pattern, and whether it is tried at one place of the text or at all of them."""

    pattern: "re.Pattern[str]"
    searched: bool
    where: str


def trees() -> Iterator[tuple[Path, ast.Module]]:
    """The modules that may use a pattern. To parse all would take seconds."""
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text()
        if "re.compile(" in text or any(f".{method}" in text for method in METHODS):
            yield path, ast.parse(text)


def module_of(path: Path) -> Any:
    return import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))


def uses() -> list[Use]:
    used: dict[str, set[str]] = {}
    parsed = list(trees())
    for path, tree in parsed:
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in METHODS:
                name = ast.unparse(node.value).rpartition(".")[2]
                used.setdefault(owned(name, path), set()).add(node.attr)
    listed = [
        Use(bound.argument, searched=False, where=f"function {bound.name}")
        for several in FUNCTIONS.values()
        for bound in several
    ]
    for path, tree in parsed:
        where = str(path.relative_to(ROOT))
        if "re.compile(" in path.read_text() and path.name != "__main__.py":
            for name, pattern in vars(module_of(path)).items():
                if isinstance(pattern, re.Pattern):
                    searched = not used.get(owned(name, path), set()) <= set(AT_A_PLACE)
                    listed.append(Use(pattern, searched, f"{where} {name}"))
        listed += direct(tree, where)
    return [one for one in listed if isinstance(one.pattern.pattern, str)]


def owned(name: str, path: Path) -> str:
    """A private name is its module's own; any other may be used elsewhere."""
    return f"{path} {name}" if name.startswith("_") else name


def direct(tree: ast.Module, where: str) -> Iterator[Use]:
    """Patterns that are passed to a function of `re` where they are used."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in [f"re.{method}" for method in METHODS]:
            pattern = node.args[0]
            if isinstance(pattern, ast.Constant) and isinstance(pattern.value, str):
                searched = ast.unparse(node.func).removeprefix("re.") not in AT_A_PLACE
                yield Use(re.compile(pattern.value), searched, f"{where} line {node.lineno}")


CANDIDATES = "a0 " + "".join(map(chr, [*range(0x250), 0x2028, 0xD800, 0xDC00, 0x10000]))

# Hostile strings: from the parsed pattern, an example of each of its parts.


def example(parts: Any) -> str:
    """A string that the parsed `parts` match, with each repeat once where it may be."""
    return "".join(example_of(str(kind), value) for kind, value in parts)


def example_of(kind: str, value: Any) -> str:
    match kind:
        case "LITERAL":
            return chr(value)
        case "NOT_LITERAL":
            return "a" if value != ord("a") else "b"
        case "ANY":
            return "a"
        case "IN":
            return member(value)
        case "BRANCH":
            return example(value[1][0])
        case "SUBPATTERN":
            return example(value[3])
        case "ATOMIC_GROUP":
            return example(value)
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            return example(value[2]) * max(1, min(value[0], 3))
        case _:
            return ""  # what looks around takes nothing


def member(options: Any) -> str:
    accepted = re.compile(character_class(options))
    return next(candidate for candidate in CANDIDATES if accepted.fullmatch(candidate))


def character_class(options: Any) -> str:
    names = {
        "CATEGORY_DIGIT": r"\d",
        "CATEGORY_WORD": r"\w",
        "CATEGORY_SPACE": r"\s",
        "CATEGORY_NOT_SPACE": r"\S",
    }
    text = ""
    for kind, value in options:
        match str(kind):
            case "NEGATE":
                text += "^"
            case "LITERAL":
                text += re.escape(chr(value))
            case "RANGE":
                text += re.escape(chr(value[0])) + "-" + re.escape(chr(value[1]))
            case _:
                text += names[str(value)]
    return f"[{text}]"


def repeated(parts: Any) -> Iterator[str]:
    """What the parts at every depth look like: each is repeated in a hostile text of its own."""
    for kind, value in parts:
        yield example_of(str(kind), value)
        inner = {"SUBPATTERN": lambda v: [v[3]], "BRANCH": lambda v: v[1], "ATOMIC_GROUP": lambda v: [v]}
        repeats = {name: (lambda v: [v[2]]) for name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")}
        for nested in (inner | repeats).get(str(kind), lambda _: [])(value):
            yield from repeated(nested)


def hostile(pattern: "re.Pattern[str]") -> Iterator[str]:
    parts = list(re._parser.parse(pattern.pattern, pattern.flags))  # type: ignore[attr-defined] -- no public one
    starts = [example(parts[:count]) for count in range(len(parts) + 1)]
    pieces = {*repeated(parts), *starts} - {""}
    for start in dict.fromkeys(starts):
        for piece in sorted(pieces):
            for end in ("", "\x01", "!"):
                yield start + piece * (TEXT_CHARS // len(piece)) + end


def expire(signum: int, frame: FrameType | None) -> None:
    raise TimeoutError


def is_slow(use: Use, text: str) -> bool:
    """Whether the search outlasts the limit of CPU time. `re` looks for signals while it works."""
    before = signal.signal(signal.SIGVTALRM, expire)
    signal.setitimer(signal.ITIMER_VIRTUAL, CPU_LIMIT_S)
    try:
        if use.searched:
            sum(1 for _ in use.pattern.finditer(text))
        else:
            use.pattern.match(text)
            use.pattern.fullmatch(text)
    except TimeoutError:
        return True
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    return False


def test_all_take_linear_time() -> None:
    listed = uses()  # not parameters: each process would collect them
    slow = {use.where: [text[:20] for text in hostile(use.pattern) if is_slow(use, text)] for use in listed}
    assert {where: texts for where, texts in slow.items() if texts} == {}
    assert len(listed) > 60


BEFORE = [
    r"\n```[a-zA-Z]*([\s\S]*?)\n```",
    r"```(?:\w+)?\s*([\s\S]*?)\s*```",
    r"\$\{[^}]*\}",
    r"(a+)+b",
    r"\s+$",
]


@pytest.mark.parametrize("pattern", BEFORE)
def test_slow_patterns_are_noticed(pattern: str) -> None:
    use = Use(re.compile(pattern), searched=True, where="")
    assert any(is_slow(use, text) for text in hostile(use.pattern))
