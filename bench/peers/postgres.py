"""A PostgreSQL server of its own, as it comes: on a free port of the loopback, its data in a folder."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.processes import Missing
from perdure.daemon import free_port

PLACES = "/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin"


def program(name: str) -> str:
    """One of PostgreSQL's programs. Raises Missing when it is not installed."""
    path = shutil.which(name)
    if path:
        return str(Path(path).resolve())
    for place in PLACES:
        for folder in sorted(Path("/").glob(place[1:]), reverse=True):
            if (folder / name).exists():
                return str(folder / name)
    raise Missing("PostgreSQL is not installed")


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """A server with its data in `folder`; its URL. Raises Missing when there is none."""
    initdb, control = program("initdb"), program("pg_ctl")
    data, port = folder / "postgres", free_port("127.0.0.1")
    user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
    data.mkdir()
    if user is not None:
        shutil.chown(data, user)
        folder.chmod(0o711)

    def run(*words: str) -> None:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        try:
            subprocess.run(words, check=True, user=user, cwd=data, **quiet)
        except (OSError, subprocess.CalledProcessError, LookupError) as error:
            raise Missing(f"PostgreSQL does not start: {error}") from error

    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={data}"
    run(initdb, "-D", str(data), "-U", "bench", "--auth=trust", "--no-instructions")
    run(control, "-D", str(data), "-l", str(data / "log"), "-o", options, "-w", "start")
    try:
        yield f"postgresql+psycopg://bench@127.0.0.1:{port}/postgres"
    finally:
        run(control, "-D", str(data), "-m", "fast", "-w", "stop")
