"""The tests themselves: what they may import."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT, TESTS, drive

FILES = sorted(path for path in TESTS.rglob("*.py") if "found" not in path.parts)


def imports(path: Path) -> Iterator[str]:
    """The modules of the tests that a file imports, by dotted name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (item.name for item in node.names if item.name.startswith("tests."))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "tests":
            for item in node.names:
                name = f"{node.module}.{item.name}"
                yield name if is_module(name) else str(node.module)


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or path.is_dir()


def is_allowed(path: Path, name: str) -> bool:
    """Support may be imported by all; helpers by the files of their own folder; tests by none."""
    folder, *rest = name.split(".")[1:]
    if folder == "support":
        return True
    is_test = bool(rest) and (rest[-1].startswith("test_") or rest[-1] == "conftest")
    return path.relative_to(TESTS).parts[0] == folder and not is_test


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TESTS)))
def test_imports(path: Path) -> None:
    assert [name for name in imports(path) if not is_allowed(path, name)] == []


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("tests.support.cli", True),
        ("tests.cli.helper", True),
        ("tests.cli.test_run", False),
        ("tests.cli.conftest", False),
        ("tests.engine.helper", False),
        ("tests.test_server", False),
    ],
)
def test_the_rule(name: str, allowed: bool) -> None:
    assert is_allowed(TESTS / "cli" / "test_new.py", name) == allowed


def test_benchmarks_and_the_package_know_no_tests() -> None:
    files = [*ROOT.glob("bench/**/*.py"), *ROOT.glob("perdure/**/*.py")]
    assert {str(path) for path in files if any(imports(path))} == set()


def test_the_example_of_the_language_of_the_engines_tests() -> None:
    assert drive.__doc__
    lines = [line for line in drive.__doc__.splitlines() if line.startswith("    ") or not line]
    exec(textwrap.dedent("\n".join(lines)), vars(drive).copy())
