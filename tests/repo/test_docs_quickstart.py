"""docs/quickstart.md can be followed: its commands exist, its files run, and give what it shows."""

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

from perdure.activities.catalog import catalog, load_agents
from perdure.cli import main
from perdure.settings import Settings
from perdure.worker import WorkerOptions, build_worker
from tests.repo import documents
from tests.repo.documents import DOCS, Block
from tests.support import ROOT
from tests.support.durable import embedded

NAME = "quickstart.md"
BLOCKS = documents.blocks(NAME)


def commands(text: str) -> Iterator[str]:
    """The commands in a text of the shell, comments and what a program is told by variables left out."""
    for line in text.splitlines():
        line = re.sub(r"^(?:[A-Z_]+=\S+ +)+", "", line.partition(" #")[0].strip())
        if line.startswith("perdure "):
            yield line


def shown() -> list[Any]:
    """Every command line in the documents, in blocks and in sentences."""
    found = []
    for path in [*sorted(DOCS.glob("*.md")), ROOT / "README.md"]:
        text = path.read_text() if path.exists() else ""
        fenced = re.findall(r"^```sh[^\n]*\n(.*?)^```$", text, re.M | re.S)
        spoken = re.findall(r"`(perdure [^`]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S))
        lines = {line for part in (*fenced, *spoken) for line in commands(part)}
        found += [pytest.param(line, id=f"{path.name}: {line}") for line in sorted(lines)]
    return found


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


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files of the page, to be in."""
    for block in BLOCKS:
        if block.kind.startswith("file "):
            (tmp_path / block.kind.removeprefix("file ")).write_text(block.text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # for commands, which are processes of their own
    return tmp_path


def following(block: Block) -> Block:
    after = BLOCKS[BLOCKS.index(block) + 1]
    assert after.kind == "output"
    return after


def printed(line: str, folder: Path) -> str:
    """What a command writes to stdout."""
    argv = [sys.executable, "-m", "perdure", *shlex.split(line)[1:]]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=60).stdout


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.kind == "run"], ids=str)
def test_command(block: Block, folder: Path) -> None:
    (line,) = commands(block.text)
    assert printed(line, folder) == following(block).text


def test_what_is_said_to_be_printed(folder: Path) -> None:
    (block,) = [block for block in BLOCKS if (block.language, block.kind) == ("json", "")]
    assert printed("perdure run hello.yaml --in-memory", folder) == block.text


def test_the_tests(folder: Path) -> None:
    (block,) = [block for block in BLOCKS if block.kind == "file test_loud.py"]
    names: dict[str, Any] = {}
    exec(block.text, names)
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        test()


@pytest.mark.anyio
async def test_from_python(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (block,) = [block for block in BLOCKS if block.kind == "server"]
    names: dict[str, Any] = {}
    exec(block.text, names)
    home = folder / "home"
    monkeypatch.setenv("PERDURE_HOME", str(home))
    async with embedded(home) as client:
        monkeypatch.delenv("TEMPORAL_ADDRESS", raising=False)
        monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(home / "no-profiles.toml"))
        agents = {**catalog(), **load_agents("agents.py")}
        options = WorkerOptions(agents=agents, settings=client.settings)
        async with build_worker(client.temporal, Settings().queue, options):
            await names["main"]()
    assert capsys.readouterr().out == following(block).text
