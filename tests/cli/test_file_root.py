"""`perdure run` gives file agents the folder of the graph, and nothing around it."""

from __future__ import annotations

import json

import pytest

from tests.support.cli import Cli

READ = """\
nodes:
  name: {{value: ""}}
  read:
    agent: fileReadAgent
    params: {{baseDir: {folder}, outputType: text}}
    inputs: {{file: ":name"}}
    isResult: true
"""

# folder, name of the file, what it holds, or what the error says
FILES = [
    (".", "mine.txt", "mine"),
    (".", "deep/mine.txt", "deeper"),
    (".", "secret.txt", "ENOENT: no such file or directory"),
    (".", "../secret.txt", "is not inside the folder for files"),
    ("..", "secret.txt", "is not inside the folder for files"),
    (".", ".env", "is hidden"),
]


@pytest.fixture
def folder(perdure: Cli) -> Cli:
    """A working folder with a graph in a folder of its own, and files in both."""
    for name, content in {
        "secret.txt": "secret",
        "graphs/mine.txt": "mine",
        "graphs/deep/mine.txt": "deeper",
        "graphs/.env": "KEY=1",
    }.items():
        path = perdure.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return perdure


def ran(perdure: Cli, *words: str, folder: str = ".", **env: str) -> str:
    """What the graph has read, or how the run failed."""
    (perdure.folder / "graphs/read.yaml").write_text(READ.format(folder=folder))
    done = perdure("run", "graphs/read.yaml", *words, **env)
    return json.loads(done.out)["read"]["data"] if done.code == 0 else done.err


@pytest.mark.parametrize(("base", "name", "expected"), FILES)
def test_in_memory(folder: Cli, base: str, name: str, expected: str) -> None:
    assert expected in ran(folder, "-i", f"name={name}", "--in-memory", folder=base)


def test_on_the_embedded_server(folder: Cli) -> None:
    assert ran(folder, "-i", "name=mine.txt") == "mine"
    assert "ENOENT" in ran(folder, "-i", "name=secret.txt")


def test_a_folder_in_the_environment_goes_first(folder: Cli) -> None:
    env = {"PERDURE_FILE_ROOT": str(folder.folder)}
    assert ran(folder, "-i", "name=secret.txt", "--in-memory", **env) == "secret"


def test_an_input_from_a_file_is_read_by_the_command(folder: Cli) -> None:
    graph = "nodes: {document: {value: ''}, a: {agent: copyAgent, inputs: {x: ':document'}, isResult: true}}"
    (folder.folder / "graphs/copy.yaml").write_text(graph)
    done = folder("run", "graphs/copy.yaml", "-I", "document=secret.txt", "--in-memory")
    assert json.loads(done.out) == {"a": {"x": "secret"}}


def test_a_home_is_no_folder_for_files(folder: Cli) -> None:
    env = {"HOME": str(folder.folder / "graphs")}
    assert "a home, or a folder of the system" in ran(folder, "-i", "name=mine.txt", "--in-memory", **env)


def test_a_map_reads_there_too(folder: Cli) -> None:
    (folder.folder / "graphs/read.yaml").write_text(READ.format(folder="."))
    (folder.folder / "rows.json").write_text('[{"name": "mine.txt"}]')
    done = folder("map", "graphs/read.yaml", "--rows", "rows.json", "--out", "out.jsonl")
    assert done.code == 0, done
    assert "mine" in (folder.folder / "out.jsonl").read_text()
