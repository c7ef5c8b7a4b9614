"""Changes one limit in a copy of the repository, and sees whether its tests notice."""

from __future__ import annotations

import ast
import resource
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.support import ROOT
from tests.support.cli import PATH

LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", ".hypothesis")
TIMEOUT_S = 120.0
MEMORY_BYTES = 4 << 30
"""For the tests of one limit: a limit that is gone may be one of memory."""


class Verdict(StrEnum):
    CAUGHT = "caught"
    MISSED = "MISSED"
    BROKEN = "BROKEN"
    HUNG = "HUNG"


@dataclass(frozen=True)
class Limit:
    """A constant by its dotted name, how it is changed, and the tests that must notice."""

    name: str
    tests: tuple[str, ...]
    change: str = "* 1000"

    @property
    def module(self) -> str:
        return self.name.rpartition(".")[0]

    @property
    def constant(self) -> str:
        return self.name.rpartition(".")[2]


@dataclass(frozen=True)
class Table:
    """What limits.toml says: the limits, and which constants are none although they are called so."""

    limits: tuple[Limit, ...]
    exempt: dict[str, str]


def table() -> Table:
    data: dict[str, Any] = tomllib.loads(Path(__file__).with_name("limits.toml").read_text(encoding="utf-8"))
    limits = [
        Limit(f"perdure.{name}", (tests,) if isinstance(tests, str) else tuple(tests), change)
        for change, named in data["limits"].items()
        for name, tests in named.items()
    ]
    return Table(tuple(limits), {f"perdure.{name}": reason for name, reason in data["exempt"].items()})


@contextmanager
def repository() -> Iterator[Path]:
    """A copy of this one, without what is only of this machine."""
    with TemporaryDirectory(prefix="perdure-limits-") as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
        yield copy


def probed(limit: Limit, copy: Path) -> Verdict:
    """What the tests of a limit say when it is changed in the copy, which is then as before."""
    path = file_of(limit.module, copy)
    before = path.read_text(encoding="utf-8")
    path.write_text(changed(before, limit.constant, limit.change), encoding="utf-8")
    try:
        return verdict(limit.tests, copy)
    finally:
        path.write_text(before, encoding="utf-8")


def file_of(module: str, copy: Path) -> Path:
    path = copy.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def changed(source: str, constant: str, change: str) -> str:
    """The source with another value for a constant of the module."""
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if any(isinstance(target, ast.Name) and target.id == constant for target in targets):
                value = ast.get_source_segment(source, statement.value)
                assert value is not None
                whole = ast.get_source_segment(source, statement)
                assert whole is not None
                return source.replace(whole, whole.replace(value, f"({value}) {change}"), 1)
    raise LookupError(f"no constant {constant}")


def verdict(tests: Sequence[str], copy: Path) -> Verdict:
    words = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    # No bytecode: two changes of a file within a second can leave it at the same size, and the first one's
    # bytecode would be taken for the second's.
    env = {"PATH": PATH, "HOME": str(copy), "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        ended = subprocess.run(
            words, cwd=copy, env=env, capture_output=True, timeout=TIMEOUT_S, preexec_fn=_bounded
        )
    except subprocess.TimeoutExpired:
        return Verdict.HUNG
    return {0: Verdict.MISSED, 1: Verdict.CAUGHT}.get(ended.returncode, Verdict.BROKEN)


def _bounded() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
