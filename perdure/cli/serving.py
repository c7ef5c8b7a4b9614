"""A worker in the foreground: until a signal, or until its server has gone."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta

from temporalio.service import RPCError

from perdure import server
from perdure.activities.watch import open_calls
from perdure.cli import hosting, output
from perdure.cli.graphs import Agents
from perdure.cli.health import served
from perdure.client import GraphClient
from perdure.errors import ConnectionFailed
from perdure.worker import serve

LOOK = 2.0
"""Seconds between two looks at the embedded server."""

HEALTH = timedelta(seconds=2)

LAST = 1.5
"""Seconds after the grace period, in which agents that are cancelled may clean up."""


async def serve_until_stopped(
    client: GraphClient,
    queues: Sequence[str],
    agents: Agents,
    ready: Callable[[], None],
    *,
    versioned: bool = False,
) -> int:
    """Serves the queues, as a build of a deployment if `versioned` and the settings name one: 0.

    A signal lets what runs end, for as long as the grace period. What has not ended then, even though it
    was cancelled, ends with the process: its exit code is 1. A second signal ends it at once.

    Raises ConnectionFailed when the embedded server ends; another one is waited for, for ever.
    """
    output.reserve()
    stop, is_ready, ended = asyncio.Event(), asyncio.Event(), threading.Event()
    _on_signals(stop, ended, client.settings.grace)

    def begun() -> None:
        is_ready.set()
        ready()

    async def is_serving() -> bool:
        if stop.is_set() or not is_ready.is_set():
            return False
        with suppress(RPCError):
            return await client.temporal.service_client.check_health(timeout=HEALTH)
        return False

    watching = asyncio.ensure_future(_watch(client, stop))
    async with served(client.settings, is_serving):
        options = hosting.options(client.settings, agents, versioned=versioned)
        await serve(client.temporal, queues, options, stop, begun)
    ended.set()
    watching.cancel()
    if watching.done() and not watching.cancelled() and watching.exception() is not None:
        raise watching.exception() or AssertionError
    return 0


def _on_signals(stop: asyncio.Event, ended: threading.Event, grace: float) -> None:
    """Handlers that need no event loop: an agent may block it, and the worker must end all the same."""
    told = threading.Event()
    loop = asyncio.get_running_loop()

    def begin() -> None:
        output.note("stopping: waiting for the agents that run; a second signal ends at once")
        stop.set()

    def on_signal(number: int, frame: object) -> None:
        del frame
        if told.is_set():
            os._exit(128 + number)  # every line was flushed as it was written
        told.set()
        loop.call_soon_threadsafe(begin)

    def at_last() -> None:
        told.wait()
        if not ended.wait(grace + LAST):
            output.note(f"agents that did not end go on elsewhere, from the beginning: {open_calls()}")
            os._exit(1)

    threading.Thread(target=at_last, name="perdure-deadline", daemon=True).start()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)


async def _watch(client: GraphClient, stop: asyncio.Event) -> None:
    """Ends the worker with the embedded server: a new one would have another address."""
    while client.embedded is not None:
        await asyncio.sleep(LOOK)
        if server.status(client.settings) != client.embedded:
            stop.set()
            raise ConnectionFailed("the embedded server has ended; nothing is lost: start this command again")
