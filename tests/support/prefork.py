"""Processes that are forked from one that has loaded Temporal's client and the command line already.

Why
    Most of the processor time of a short command is its imports, and the tests call hundreds.

Invariants
    Every call has a process, an environment, a folder and streams of its own. The process that is forked has
    no thread, no connection, and nothing but modules in its memory. Processes that are forked, and call
    commands themselves, fork them from the same one.

Rejected
    Calls in the process of the tests: what a command leaves behind (streams, signals, loops, loggers) would
    be seen by the next one.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import io
import json
import os
import runpy
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

LOADED = (
    *("temporalio.worker", "perdure.cli.main", "perdure.client", "perdure.worker", "yaml"),
    *("perdure.cli.commands.worker", "perdure.cli.commands.run"),
)
START_LIMIT_S = 60.0
ADDRESS = "TESTS_PREFORK"
"""The variable by which processes that are forked know where to fork others."""


def forked(
    folder: Path, env: Mapping[str, str], module: str, words: Sequence[str], streams: Sequence[int]
) -> tuple[int, socket.socket]:
    """The id of a process that does what `python -m MODULE WORDS` does, and a socket for its exit code.

    `streams` are its stdin, stdout and stderr; a negative number for one that is closed.
    """
    address = _address()
    request = {"folder": str(folder), "env": {**env, ADDRESS: address}, "module": module}
    request |= {"words": list(words), "open": [stream >= 0 for stream in streams]}
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
    socket.send_fds(connection, [b"."], [stream for stream in streams if stream >= 0])
    connection.sendall(json.dumps(request).encode())
    connection.shutdown(socket.SHUT_WR)
    return int(_line(connection)), connection


def exit_code(connection: socket.socket) -> int:
    """Waits for the process, and closes the socket."""
    with connection:
        return int(_line(connection))


def _line(connection: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        byte = connection.recv(1)
        if not byte:
            raise RuntimeError("the process that commands are forked from has ended")
        line += byte
    return line


@cache
def _address() -> str:
    """Starts the process to fork from, once in this one, or finds that from which this one was forked."""
    if known := os.environ.get(ADDRESS):  # noqa: TID251 -- no setting of the product
        return known
    folder = tempfile.TemporaryDirectory(prefix="prefork-")
    address = f"{folder.name}/socket"
    command = [sys.executable, "-m", "tests.support.prefork", address]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)

    def end() -> None:
        process.communicate()  # closes its stdin, which ends it
        folder.cleanup()

    atexit.register(end)
    until = time.monotonic() + START_LIMIT_S
    while not os.path.exists(address):
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError("the process that commands are forked from has not started")
        time.sleep(0.02)
    return address


def serve(address: str) -> None:
    """Forks for each connection until stdin is closed."""
    for name in LOADED:
        import_module(name)
    gc.collect()
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{address}.new")
        listening.listen(64)
        os.rename(f"{address}.new", address)
        while sys.stdin not in select.select([listening, sys.stdin], [], [])[0]:
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                _supervise(connection)
            connection.close()
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG) != (0, 0):
                    pass


def _supervise(connection: socket.socket) -> NoReturn:
    """Forks the command, and says which process it is and how it ended."""
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    with connection.makefile() as asked:
        request = json.load(asked)
    process = os.fork()
    if process == 0:
        connection.close()
        _become(request, iter(streams))
    for stream in streams:
        os.close(stream)  # who reads a pipe sees its end
    connection.sendall(f"{process}\n".encode())
    _, status = os.waitpid(process, 0)
    with contextlib.suppress(OSError):  # the caller of a killed command has gone
        connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _become(request: Mapping[str, Any], streams: Iterator[int]) -> NoReturn:
    """What `python -m MODULE` is with these words."""
    for number, is_open in enumerate(request["open"]):
        os.close(number)
        if is_open:
            stream = next(streams)
            os.dup2(stream, number)
            os.close(stream)
    has_in, has_out, has_err = request["open"]
    stdin = open(0, encoding="utf-8", errors="surrogateescape", closefd=False) if has_in else None  # noqa: SIM115 -- for good
    stdout = _text(1, "surrogateescape") if has_out else None
    stderr = _text(2, "backslashreplace", line_buffering=True) if has_err else None
    sys.stdin, sys.stdout, sys.stderr = stdin, stdout, stderr  # type: ignore[assignment] -- as an interpreter has them
    os.chdir(request["folder"])
    os.environ.clear()  # noqa: TID251 -- nothing is read
    os.environ.update(request["env"])  # noqa: TID251 -- nothing is read
    more = request["env"].get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:1] = [request["folder"], *(folder for folder in more if folder and folder not in sys.path)]
    sys.argv = [request["module"], *request["words"]]
    code = 0
    try:
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    _end(code)


def _text(number: int, errors: str, *, line_buffering: bool = False) -> io.TextIOWrapper:
    binary = open(number, "wb", closefd=False)  # noqa: SIM115 -- for good
    return io.TextIOWrapper(binary, encoding="utf-8", errors=errors, line_buffering=line_buffering)


def _end(code: int) -> NoReturn:
    """What the interpreter does at its end."""
    threading._shutdown()  # type: ignore[attr-defined] -- waits for threads, but not for daemons
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
