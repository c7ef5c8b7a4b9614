"""Every command that the documents show exists, and so do the extras that they install."""

import contextlib
import io
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from perdure.cli import main
from tests.repo import documents
from tests.repo.documents import DOCS
from tests.support import ROOT

NAME = "quickstart.md"
BLOCKS = documents.blocks(NAME)


def commands(text: str) -> Iterator[str]:
    """The commands in lines of the shell, without comments and the variables in front of a program."""
    for line in text.splitlines():
        line = re.sub(r"^(?:[A-Z_]+=\S+ +)+", "", line.partition(" #")[0].strip())
        if line.startswith("perdure "):
            yield line


def shown() -> list[Any]:
    """Every command line in the documents, in blocks and in sentences."""
    params = []
    for path in [*sorted(DOCS.glob("*.md")), ROOT / "README.md"]:
        text = path.read_text() if path.exists() else ""
        fenced = re.findall(r"^```sh[^\n]*\n(.*?)^```$", text, re.M | re.S)
        spoken = re.findall(r"`(perdure [^`]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S))
        lines = {line for part in (*fenced, *spoken) for line in commands(part)}
        params += [pytest.param(line, id=f"{path.name}: {line}") for line in sorted(lines)]
    return params


@pytest.mark.parametrize("line", shown())
def test_command_exists(line: str) -> None:
    argv = shlex.split(line)[1:]
    parser, command = main._parser(argv[0])
    assert command is not None, f"there is no command {argv[0]!r}"
    needed = placeholders(argv)
    with contextlib.redirect_stderr(io.StringIO()) as said:
        try:
            parser.parse_args(needed)
        except SystemExit:
            pytest.fail(said.getvalue())


def placeholders(argv: list[str]) -> list[str]:
    """A command that is only named in a sentence gets an argument, where it needs one."""
    return (
        [*argv, "x"] if argv in (["run"], ["check"], ["show"], ["status"], ["result"], ["cancel"]) else argv
    )


def test_extras_exist() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = set(re.findall(r"(?:perdure|'\.)\[(\w+)\]", documents.text_of(NAME)))
    assert named
    assert named <= set(extras)


SAID = [
    *(path for kind in ("*.py", "*.md", "*.yaml", "*.toml") for path in (ROOT / "perdure").rglob(kind)),
    *DOCS.rglob("*.md"),
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
]
INSTALLED = re.compile(r"pip install\s(?:-\S+\s+)*'?(?:\.|perdure)\[(\w+)\]")


def test_extras_are_installed_from_a_clone() -> None:
    """The package is on no index: a command that names it there fails."""
    texts = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in SAID}
    shown = [(name, match) for name, text in texts.items() for match in INSTALLED.finditer(text)]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {match[1] for _, match in shown} <= set(extras)
    assert [name for name, match in shown if "perdure[" in match[0]] == []
    assert len(shown) >= 3


def test_what_is_said_to_be_printed(tmp_path: Path) -> None:
    (said,) = [block for block in BLOCKS if (block.language, block.kind) == ("json", "")]
    (graph,) = [block for block in BLOCKS if block.kind == "file hello.yaml"]
    path = tmp_path / "hello.yaml"
    path.write_text(graph.text)
    argv = [sys.executable, "-m", "perdure", "run", str(path), "--in-memory"]
    assert subprocess.run(argv, capture_output=True, text=True, timeout=60).stdout == said.text
