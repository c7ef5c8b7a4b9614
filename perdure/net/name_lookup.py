"""Looking up host names, so that names which nothing answers keep no other call waiting.

Why
    The event loop looks names up in its pool of threads, which the store and the encoding of values need as
    well. A name server decides how long it takes to answer, and graphs name its hosts: a few dozen names
    that never resolve took the pool for minutes.

Invariants
    A look-up takes LOOKUP_TIMEOUT_S seconds at most. Its thread may take longer, as nothing can stop it, and
    is counted until it ends.
    The names of one domain have a part of the threads, so that one that does not answer leaves the rest.

Rejected
    A pool of threads: those that hang are its workers, and the process waits for them when it ends.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from contextlib import suppress
from typing import Any, Final

LOOKUP_TIMEOUT_S: Final = 5.0
"""Seconds that a look-up may take."""

MAX_LOOKUPS_COUNT: Final = 256
"""Look-ups of one process at a time."""

MAX_DOMAIN_LOOKUPS_COUNT: Final = 32
"""Those of names in one domain: they have the last two labels in common."""

_open: Counter[str] = Counter()
"""Threads at work, by domain: of this process, as threads are."""

_lock = threading.Lock()


async def look_up(host: str, port: int) -> list[str]:
    """The addresses of `host`, best first.

    Raises what socket.getaddrinfo raises, and TimeoutError for a name that does not resolve in time, or while
    too many others are being looked up.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[list[str]] = loop.create_future()
    domain = ".".join(host.split(".")[-2:])
    with _lock:
        if _open[domain] >= MAX_DOMAIN_LOOKUPS_COUNT or _open.total() >= MAX_LOOKUPS_COUNT:
            raise TimeoutError(f"{_open[domain]} names of {domain} are being looked up already")
        _open[domain] += 1
    thread = threading.Thread(
        target=_work, args=(loop, future, host, port, domain), name=f"look-up of {host}", daemon=True
    )
    try:
        thread.start()
    except RuntimeError as error:
        _ended(domain)
        raise TimeoutError(f"no thread for it: {error}") from error
    async with asyncio.timeout(LOOKUP_TIMEOUT_S):
        return await future


def _work(
    loop: asyncio.AbstractEventLoop, future: asyncio.Future[list[str]], host: str, port: int, domain: str
) -> None:
    addresses: list[str] = []
    failure: Exception | None = None
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
    except Exception as error:
        failure = error
    _ended(domain)
    with suppress(RuntimeError):  # the loop is closed: no caller is left
        loop.call_soon_threadsafe(_settle, future, addresses, failure)


def _ended(domain: str) -> None:
    with _lock:
        _open[domain] -= 1
        if not _open[domain]:
            del _open[domain]


def _settle(future: asyncio.Future[Any], addresses: list[str], failure: Exception | None) -> None:
    if future.done():
        return
    if failure is None:
        future.set_result(addresses)
    else:
        future.set_exception(failure)
