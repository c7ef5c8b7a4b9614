"""Processes with the interface of `subprocess.Popen`, at a fraction of its price: see `prefork`."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any, Literal

from tests.support import ROOT, prefork

PIPE, DEVNULL = subprocess.PIPE, subprocess.DEVNULL

Stream = int | IO[Any] | Literal["closed"]
"""PIPE, DEVNULL, a file or its number; or a stream that is closed when the process begins."""


class Forked:
    """A forked process. Its streams are binary, or text in UTF-8."""

    def __init__(
        self,
        folder: Path,
        env: Mapping[str, str],
        words: Sequence[str],
        *,
        module: str = "perdure",
        stdin: Stream = DEVNULL,
        stdout: Stream = PIPE,
        stderr: Stream = PIPE,
        text: bool = False,
    ) -> None:
        self.args = [module, *words]
        self.returncode: int | None = None
        with ExitStack() as opened:
            stdin_number = _number(stdin) if stdin != DEVNULL else _nothing(os.O_RDONLY, opened)
            self.stdout, out = _opened(stdout, text, opened)
            self.stderr, err = _opened(stderr, text, opened)
            self.pid, connection = prefork.forked(folder, env, module, words, [stdin_number, out, err])
        self._ended = threading.Event()
        threading.Thread(target=self._watch, args=(connection,), daemon=True).start()

    def _watch(self, connection: socket.socket) -> None:
        try:
            self.returncode = prefork.exit_code(connection)
        finally:
            self._ended.set()

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        assert self.returncode is not None
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[Any, Any]:
        """What it wrote to its pipes until its end."""
        written: dict[str, Any] = {"out": None, "err": None}

        def read(name: str, stream: IO[Any]) -> None:
            with stream:
                written[name] = stream.read()

        readers = [
            threading.Thread(target=read, args=(name, pipe), daemon=True)
            for name, pipe in (("out", self.stdout), ("err", self.stderr))
            if pipe is not None and not pipe.closed
        ]
        for reader in readers:
            reader.start()
        self.wait(timeout)
        for reader in readers:
            reader.join()
        return written["out"], written["err"]

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


Process = subprocess.Popen[Any] | Forked


def started(
    folder: Path,
    env: Mapping[str, str],
    words: Sequence[str],
    *,
    stdin: Stream = DEVNULL,
    stdout: Stream = PIPE,
    stderr: Stream = PIPE,
    text: bool = False,
    prefix: Sequence[str] = (),
) -> Process:
    """`perdure` with these words; in an interpreter of its own where the environment says how that begins.

    `prefix` is the command that starts that interpreter, where it is to run somewhere else.
    """
    if not prefix and not any(name.startswith("PYTHON") and name != "PYTHONPATH" for name in env):
        return Forked(folder, env, words, stdin=stdin, stdout=stdout, stderr=stderr, text=text)
    assert "closed" not in (stdin, stdout, stderr)
    streams: dict[str, Any] = {"stdin": stdin, "stdout": stdout, "stderr": stderr}
    command = [*prefix, sys.executable, "-m", "perdure", *words]
    return subprocess.Popen(command, cwd=folder, env=dict(env), text=text, **streams)


Ended = subprocess.CompletedProcess[str]


def ended_module(module: str, *words: str, timeout: float = 300) -> Ended:
    """What `python -m MODULE WORDS` wrote, in the folder of the repository and with this environment."""
    process = Forked(ROOT, os.environ, words, module=module, text=True)  # noqa: TID251 -- handed on
    try:
        out, err = process.communicate(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return Ended(process.args, process.wait(), out, err)


def _opened(stream: Stream, text: bool, opened: ExitStack) -> tuple[IO[Any] | None, int]:
    """The end of a pipe for this process, and the number of the stream for the other one."""
    if stream == PIPE:
        read, write = os.pipe()
        opened.callback(os.close, write)
        return (open(read, encoding="utf-8") if text else open(read, "rb")), write
    if stream == DEVNULL:
        return None, _nothing(os.O_WRONLY, opened)
    return None, _number(stream)


def _nothing(flags: int, opened: ExitStack) -> int:
    number = os.open(os.devnull, flags)
    opened.callback(os.close, number)
    return number


def _number(stream: Stream) -> int:
    if stream == "closed":
        return -1
    return stream if isinstance(stream, int) else stream.fileno()
