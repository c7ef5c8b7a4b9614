"""The real command line in processes of its own, and the graphs that it is called with."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perdure import server
from perdure.errors import ConnectionFailed
from tests.support import ROOT
from tests.support.forked import Process, started

PATH = os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()])

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
    """How a command ended, and after how many seconds."""

    code: int
    out: str
    err: str
    seconds: float = 0.0


@dataclass(frozen=True)
class Cli:
    """Calls `perdure` in a folder of its own."""

    folder: Path
    env: dict[str, str]

    def write(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text)
        return name

    def start(self, *words: str, stdout: int = subprocess.PIPE, **env: str) -> Process:
        return start(self.folder, {**self.env, **env}, words, stdout=stdout)

    def __call__(self, *words: str, **env: str) -> Done:
        done = ended(self.folder, {**self.env, **env}, words, 180)
        assert "Traceback" not in done.err
        return done


def environment(home: Path, **more: str) -> dict[str, str]:
    """What a command needs, and nothing of the machine's configuration."""
    return {
        "PATH": PATH,
        "HOME": str(home),
        "PERDURE_HOME": str(home),
        "PERDURE_QUEUES": "*",
        "PYTHONPATH": str(ROOT),
        **more,
    }


def start(
    folder: Path,
    env: Mapping[str, str],
    words: Sequence[str],
    *,
    stdout: int = subprocess.PIPE,
    preexec: Callable[[], None] | None = None,
) -> Process:
    """The command line in a process of its own, without a terminal."""
    if preexec is None:
        return started(folder, env, words, stdout=stdout, text=True)
    return subprocess.Popen(
        [sys.executable, "-m", "perdure", *words],
        cwd=folder,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=preexec,
    )


def ended(folder: Path, env: Mapping[str, str], words: Sequence[str], seconds: float) -> Done:
    """How a command ended that runs undisturbed."""
    return finished(start(folder, env, words), seconds)


def finished(process: Process, seconds: float) -> Done:
    """How it ended. One that takes longer is killed, and fails the test."""
    began = time.monotonic()
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return Done(process.returncode, out, err, time.monotonic() - began)


def snapshot(folder: Path) -> dict[str, Any]:
    """All that a look could change, but the time of access."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.stat().st_size, path.stat().st_mtime_ns)
        for path in [folder, *folder.rglob("*")]
    }


def lacks_program() -> str:
    """Why no server can be started here, if so."""
    try:
        server.find()
    except ConnectionFailed:
        return "no `temporal` program: pip install '.[server]'"
    return ""
