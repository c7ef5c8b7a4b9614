"""Reaching the server: the embedded one starts in a thread while the SDK loads, which takes as long."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import socket
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from perdure import server
from perdure.cli import logs, output
from perdure.errors import ConnectionFailed
from perdure.settings import Settings, temporal_may_be_configured

if TYPE_CHECKING:
    from perdure.client import GraphClient

Outcome = TypeVar("Outcome")

PASSING = "+run"
"""Ends the identity of a worker that lives no longer than the command that needs it."""

CONNECT_NOTICE_DELAY_S = 1.5
"""Seconds without an answer before a notice says what the command waits for."""

COLLECTION_THRESHOLDS: Final = (100_000, 20, 100)
"""After how many new objects Python looks for cycles among them, and how often among older ones.

A run of a thousand nodes makes some 20,000 that are gone when it ends.
"""


class ServerStart:
    """The embedded server, which is being started where it is not up."""

    def __init__(self, settings: Settings) -> None:
        self._lease = server.lease(settings)
        self._lease.take()
        if server.status(settings) is None:
            output.note(f"starting the embedded Temporal server; its data is in {settings.home}")
        self._server: Future[server.EmbeddedServer] = Future()
        threading.Thread(target=self._start, args=(settings,), daemon=True).start()

    def _start(self, settings: Settings) -> None:
        try:
            self._server.set_result(server.ensure(settings))
        except BaseException as error:
            self._server.set_exception(error)

    async def ready(self) -> None:
        """Waits until it is up; keeps it up for as long as this process lives. Raises ConnectionFailed."""
        await asyncio.wrap_future(self._server)

    def close(self) -> None:
        """This process does not need it any more."""
        self._lease.give_back()


def begin(settings: Settings) -> ServerStart | None:
    """Starts the embedded server if it is certainly needed; call before loading the SDK."""
    return None if temporal_may_be_configured() else ServerStart(settings)


@asynccontextmanager
async def connected(
    settings: Settings, server_start: ServerStart | None = None, *, passing: bool = False
) -> AsyncGenerator[GraphClient]:
    """A client. `passing` marks the workers of this process as passing. Raises ConnectionFailed."""
    from perdure.client import connect  # noqa: PLC0415 -- loads the SDK, which the server's start hides

    logs.quiet_core()
    loop = asyncio.get_running_loop()
    notice = loop.call_later(
        CONNECT_NOTICE_DELAY_S, output.note, "waiting for the Temporal server to answer …"
    )
    identity = f"{os.getpid()}@{socket.gethostname()}{PASSING if passing else ''}"
    try:
        if server_start is not None:
            await server_start.ready()
        client = await connect(settings, identity=identity)
    finally:
        notice.cancel()
    try:
        yield client
    except ConnectionFailed:
        if client.embedded is not None:
            server.check_space(settings.home)  # a full disk explains more than "no answer"
        raise
    finally:
        client.close()


def with_client(
    command: Callable[[argparse.Namespace, GraphClient], Awaitable[int]], args: argparse.Namespace
) -> int:
    """Runs a command that needs a client and nothing else, to its exit code. Raises ConnectionFailed."""
    logs.configure(verbose=args.verbose)
    settings = Settings.from_env()
    server_start = begin(settings)

    async def connected_command() -> int:
        async with connected(settings, server_start) as client:
            return await command(args, client)

    return run(connected_command())


async def revived(client: GraphClient) -> None:
    """Brings back the embedded server that this process uses, if it has crashed. Raises ConnectionFailed."""
    embedded = client.embedded
    if embedded is not None and await asyncio.to_thread(server.again, client.settings, embedded):
        output.note("the embedded server had ended by itself, and is up again")


def run(main: Coroutine[Any, Any, Outcome]) -> Outcome:
    """Runs a command to its exit code, or to what it makes one of.

    The loop is left as it is: closing it would wait for agents in threads, which nothing can stop.
    """
    collect_seldom()
    return asyncio.Runner().run(main)


def collect_seldom() -> None:
    """Lets Python look for garbage less often: what is loaded stays, and so does much of a large run."""
    gc.freeze()
    gc.set_threshold(*COLLECTION_THRESHOLDS)
    gc.enable()
