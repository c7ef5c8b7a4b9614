"""How a page is reached: the token of its home, the address, and links to it.

A page that is being served has a file `ui-PORT.page` in its home with its address, locked for as long as its
process lives. So a file that a crash has left behind is recognized, and no port has to be asked what listens
there.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from perdure.daemon import locks
from perdure.daemon.secret_files import secret_in
from perdure.errors import ConnectionFailed

PAGE_LOCK_TIMEOUT_S: Final = 1.0

WEB_PORT_ID: Final = 8321
"""The port of the page, if no other is asked for."""

TOKEN_FILE: Final = "ui.token"


def page_link(url: str, token: str, run: str = "") -> str:
    """A link that brings the token to the page at `url`, and opens this run there."""
    place = f"/run/{quote(run, safe='')}" if run else ""
    return f"{url}/#t={token}{place}"


def token_of(home: Path) -> str:
    """The token of this home, made at first use and readable by its user only."""
    return secret_in(home / TOKEN_FILE)


@contextmanager
def announced(home: Path, url: str, port: int) -> Generator[None]:
    """Other commands of this home find the page at `url` until the block ends."""
    file = home / f"ui-{port}.page"
    lock = _announce(file, url)
    try:
        yield
    finally:
        if lock is not None:
            file.unlink(missing_ok=True)
            os.close(lock)


def _announce(file: Path, url: str) -> int | None:
    """The lock; None where the file cannot be written: the page is served all the same."""
    try:
        lock = locks.open_lock(file)
    except ConnectionFailed:
        return None
    try:
        locks.acquire(lock, fcntl.LOCK_EX, PAGE_LOCK_TIMEOUT_S, f"{file} is in use")
        file.write_text(url, encoding="ascii")
    except (ConnectionFailed, OSError):
        os.close(lock)
        return None
    return lock


def served_page(home: Path) -> str | None:
    """The address of a page that is being served; None if there is none."""
    for file in sorted(home.glob("ui-*.page")):
        if locks.held(file):
            return file.read_text(encoding="ascii") or None
    return None
