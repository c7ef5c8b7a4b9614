"""A worker in the foreground: until a signal, or until its server has gone."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta

from temporalio.service import RPCError

from perdure import server
from perdure.cli import hosting, output
from perdure.cli.graphs import Agents
from perdure.cli.health import served
from perdure.client import GraphClient
from perdure.errors import ConnectionFailed
from perdure.worker import serve

LOOK = 2.0
"""Seconds between two looks at the embedded server."""

HEALTH = timedelta(seconds=2)


async def serve_until_stopped(
    client: GraphClient, queues: Sequence[str], agents: Agents, ready: Callable[[], None]
) -> int:
    """Serves the queues. A signal lets what runs end, a second one ends at once: 0.

    Raises ConnectionFailed when the embedded server ends; another one is waited for, for ever.
    """
    output.reserve()
    stop, is_ready = asyncio.Event(), asyncio.Event()
    _on_signals(stop)

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
        await serve(client.temporal, queues, hosting.options(client.settings, agents), stop, begun)
    watching.cancel()
    if watching.done() and not watching.cancelled() and watching.exception() is not None:
        raise watching.exception() or AssertionError
    return 0


def _on_signals(stop: asyncio.Event) -> None:
    def on_signal(number: int) -> None:
        if stop.is_set():
            output.flush()
            os._exit(128 + number)
        output.note("stopping: waiting for the agents that run; a second signal ends at once")
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal, number)


async def _watch(client: GraphClient, stop: asyncio.Event) -> None:
    """Ends the worker with the embedded server: a new one would have another address."""
    while client.embedded is not None:
        await asyncio.sleep(LOOK)
        if server.status(client.settings) != client.embedded:
            stop.set()
            raise ConnectionFailed("the embedded server has ended; nothing is lost: start this command again")
