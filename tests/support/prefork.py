"""Commands in processes that are forked from one that has loaded Temporal's client already.

Why
    Most of the processor time of a short command is the import of that client, and the tests call hundreds.

Invariants
    Every call has a process, an environment, a folder and streams of its own. The process that is forked has
    no thread, no connection, and nothing but modules in its memory.

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
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import NoReturn

LOADED = ("temporalio.worker", "perdure.cli.main", "perdure.client", "yaml")
START_LIMIT_S = 60.0


def call(
    folder: Path, env: Mapping[str, str], words: Sequence[str], seconds: float
) -> tuple[int, bytes, bytes]:
    """How `perdure` with these words ended, and what it wrote.

    A command that takes longer is killed, and raises TimeoutError.
    """
    request = json.dumps({"folder": str(folder), "env": dict(env), "words": list(words)})
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        code = _ended(request, [out.fileno(), err.fileno()], seconds)
        for stream in (out, err):
            stream.seek(0)
        return code, out.read(), err.read()


def _ended(request: str, streams: Sequence[int], seconds: float) -> int:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(_address())
        socket.send_fds(connection, [b"."], streams)
        connection.sendall(request.encode())
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile() as said:
            process = int(said.readline())
            connection.settimeout(seconds)
            try:
                return int(said.readline())
            except TimeoutError:
                os.kill(process, signal.SIGKILL)
                raise


@cache
def _address() -> str:
    """Starts the process to fork from, once in this one."""
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
    _, streams, _, _ = socket.recv_fds(connection, 1, 2)
    with connection.makefile() as asked:
        request = json.load(asked)
    process = os.fork()
    if process == 0:
        connection.close()
        _become(Path(request["folder"]), request["env"], request["words"], streams)
    connection.sendall(f"{process}\n".encode())
    _, status = os.waitpid(process, 0)
    with contextlib.suppress(OSError):  # the caller of a killed command has gone
        connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _become(folder: Path, env: Mapping[str, str], words: Sequence[str], streams: Sequence[int]) -> NoReturn:
    """What `python -m perdure` is with these words."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for stream, number in zip([nothing, *streams], (0, 1, 2), strict=True):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115 -- for good
    sys.stdout = _text(1, "surrogateescape")
    sys.stderr = _text(2, "backslashreplace", line_buffering=True)
    os.chdir(folder)
    os.environ.clear()  # noqa: TID251 -- nothing is read
    os.environ.update(env)  # noqa: TID251 -- nothing is read
    sys.path[0] = str(folder)
    sys.argv = ["perdure", *words]
    code = 0
    try:
        runpy.run_module("perdure", run_name="__main__", alter_sys=True)
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
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
