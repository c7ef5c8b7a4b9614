"""Gates that keep the house tidy: sizes, reasons, names. Exceptions are in exceptions.toml, with reasons."""

from __future__ import annotations

import ast
import re
import tokenize
import tomllib
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.constants import constants, modules, numbers

FILE_LINES = 300
FUNCTION_LINES = 40
FOLDER_FILES = 25

EXCEPTIONS = tomllib.loads(Path(__file__).with_name("exceptions.toml").read_text(encoding="utf-8"))
PACKAGE = sorted((ROOT / "perdure").rglob("*.py"))
SOURCES = [*PACKAGE, *sorted(path for folder in ("tests", "bench") for path in (ROOT / folder).rglob("*.py"))]

SUPPRESSION = re.compile(r"#.*?\b(?:noqa|type: ignore|pyright: ignore)\b")
WITH_REASON = re.compile(
    r"# (?:(?:ruff: )?noqa: [A-Z]+\d+(?:, [A-Z]+\d+)*|type: ignore\[[\w, -]+\]|pyright: ignore\[\w+\]) -- \S"
)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def compare(kind: str, actual: dict[str, int]) -> None:
    """What was found is what is excepted: nothing more, and nothing that is in order again."""
    assert sorted(actual) == sorted(EXCEPTIONS[kind]), actual
    assert all(EXCEPTIONS[kind].values()), "an exception needs a reason"


def test_files_are_short() -> None:
    lines = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in PACKAGE}
    compare("files", {name: count for name, count in lines.items() if count > FILE_LINES})


def test_functions_are_short() -> None:
    compare("functions", {name: lines for path in PACKAGE for name, lines in long_functions(path)})


def long_functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield f"{name_of(path)}:{node.name}", lines


def test_folders_are_small() -> None:
    files = Counter(name_of(path.parent) for path in PACKAGE if path.name != "__init__.py")
    compare("folders", {folder: count for folder, count in files.items() if count > FOLDER_FILES})


def comments(path: Path) -> Iterator[tuple[int, str]]:
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_suppressions_have_a_reason(path: Path) -> None:
    """In one style: `# noqa: CODE -- reason`."""
    assert unreasoned(list(comments(path))) == []


def unreasoned(comments: list[tuple[int, str]]) -> list[tuple[int, str]]:
    return [
        (line, text) for line, text in comments if SUPPRESSION.search(text) and not WITH_REASON.search(text)
    ]


@pytest.mark.parametrize(
    ("comment", "reasoned"),
    [
        ("# noqa: E501 -- a table", True),
        ("# type: ignore[index] -- either kind", True),
        ("# noqa: E501", False),
        ("# noqa", False),
        ("# type: ignore", False),
        ("# noqa: E501  # a table", False),
    ],
)
def test_the_style_of_reasons(comment: str, reasoned: bool) -> None:
    assert (unreasoned([(1, comment)]) == []) == reasoned


UNIT = re.compile(r"_(?:S|MS|DAYS|BYTES|CHARS|TOKENS|COUNT|DEPTH|FACTOR|INTEGER|SIZE|ID|FORMAT|CODE|PX)$")


def test_numbers_say_their_unit() -> None:
    """Durations have theirs in their type."""
    names = [
        f"{module}.{name}"
        for module, name, value in numbers()
        if not isinstance(value, timedelta) and not UNIT.search(name)
    ]
    compare("constants without a unit", dict.fromkeys(names, 1))


def test_constants_have_names_of_their_own() -> None:
    """One that other modules may import is not called as another one is."""
    names = Counter(name for _, path in modules() for name in set(constants(path)) if name[0] != "_")
    compare("constants of one name", {name: count for name, count in names.items() if count > 1})
