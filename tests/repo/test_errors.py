"""Exceptions live in one module, drawn as a tree; what they say is kept in parts and never parsed back."""

from __future__ import annotations

import copy
import pickle
import re
from importlib import import_module
from pathlib import Path

import pytest

import perdure
from perdure import errors
from perdure.errors import PerdureError, QuotaExceeded, TransientError, UsageError
from tests.support.constants import modules

ROOT = Path(perdure.__file__).parent


def kinds(root: type[PerdureError]) -> list[type[PerdureError]]:
    """The exceptions of the package below `root`, each before its own, as the tree is drawn."""
    below = [kind for kind in root.__subclasses__() if kind.__module__.startswith("perdure.")]
    return [each for kind in below for each in (kind, *kinds(kind))]


def test_every_exception_is_in_errors_and_in_the_drawn_tree() -> None:
    for name, _ in modules():
        import_module(name)
    actual_depths = {kind.__name__: len(kind.__mro__) for kind in kinds(PerdureError)}
    assert {kind.__module__ for kind in kinds(PerdureError)} == {"perdure.errors"}
    drawn = re.findall(r"^    ([| ]*)\+-- (\w+)", errors.__doc__ or "", re.MULTILINE)
    depths = {name: len(indent) // 4 + len(PerdureError.__mro__) + 1 for indent, name in drawn}
    assert depths == actual_depths


PARSED = re.compile(r"""partition\(\s*f?["'](?:; |\\n  hint: |  hint: |: )["']""")


def test_no_message_is_parsed_back() -> None:
    guilty = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in ROOT.rglob("*.py")
        for line in path.read_text("utf-8").splitlines()
        if PARSED.search(line)
    ]
    assert guilty == []


def test_hints_are_joined_to_findings_in_one_place() -> None:
    guilty = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in ROOT.rglob("*.py")
        for line in path.read_text("utf-8").splitlines()
        if re.search(r"\bcure\b", line)
        or (('"  hint: ' in line or "\\n  hint: " in line) and path.name != "errors.py")
    ]
    assert guilty == []


@pytest.mark.parametrize(
    ("error", "finding", "hint"),
    [
        (PerdureError("x is wrong"), "x is wrong", ""),
        (PerdureError("x is wrong; or so", hint="fix x"), "x is wrong; or so", "fix x"),
        (UsageError("V: no", hint="set V", variable="V"), "V: no", "set V"),
        (TransientError("later", 3, hint="wait"), "later", "wait"),
    ],
)
def test_finding_and_hint(error: PerdureError, finding: str, hint: str) -> None:
    assert (error.finding, error.hint) == (finding, hint)
    assert str(error) == (f"{finding}\n  hint: {hint}" if hint else finding)
    for same in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (type(same), str(same), vars(same)) == (type(error), str(error), vars(error))


def test_a_quota_has_its_hint() -> None:
    error = QuotaExceeded("calls", 5, "calls of agents")
    assert error.hint == "start it with a larger one where that is meant: --quota calls=50"
