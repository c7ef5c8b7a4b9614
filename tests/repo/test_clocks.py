"""Workflow code and the core read no clock: a replay would read another time.

Which modules they may not import is for import-linter; `datetime` they need, for durations.
"""

from __future__ import annotations

import ast
from collections.abc import Collection
from pathlib import Path

import pytest

from tests.support import ROOT

FILES = [
    path
    for folder in ("graph", "engine", "workflows")
    for path in sorted((ROOT / "perdure" / folder).glob("*.py"))
]
CLOCKS = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "loop.time"}


def clocks(source: str, names_of: Collection[str] = CLOCKS) -> list[str]:
    """The calls in `source` that read a clock, whatever they are qualified with."""
    calls = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    names = [".".join(ast.unparse(function).split(".")[-2:]) for function in calls]
    return [name for name in names if name in names_of]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_clock_is_read(path: Path) -> None:
    assert clocks(path.read_text()) == []


def test_the_time_of_a_workflow_is_asked_for_in_one_file() -> None:
    askers = {path.name for path in FILES if "workflow.now" in clocks(path.read_text(), {"workflow.now"})}
    assert askers == {"host.py"}


def test_a_clock_is_noticed() -> None:
    assert clocks("import datetime\nx = datetime.datetime.now(datetime.UTC)") == ["datetime.now"]
    assert clocks("workflow.now()") == []
