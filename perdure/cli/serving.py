"""A worker in the foreground: until a signal, whatever becomes of its server."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.service import RPCError

from perdure.cli import hosting, output
from perdure.cli.connection import revived
from perdure.cli.graphs import Agents
from perdure.cli.health import served
from perdure.client import GraphClient
from perdure.errors import ConnectionFailed
from perdure.reports import RPC_TIMEOUT, rpc_error, short
from perdure.worker import serve

LOOK = 2.0
"""Seconds between two looks at the embedded server."""

HEALTH = timedelta(seconds=2)

FIRST, SLOWEST = 1.0, 10.0
"""Seconds until a server that did not answer is asked again: at first, and at most."""

REPEAT = 60.0
"""Seconds after which people are told the same thing again."""


async def serve_patiently(
    serve_once: Callable[[asyncio.Event], Awaitable[int]], may_come: Callable[[], bool]
) -> int:
    """Serves until a signal: the server may come later, or go and come back.

    `serve_once` serves until the event that it is given; it ends early by raising ConnectionFailed,
    which is passed on only where no server `may_come`.
    """
    stop = asyncio.Event()
    _on_signals(stop)
    delay, told, when = FIRST, "", 0.0
    while not stop.is_set():
        began = time.monotonic()
        try:
            return await serve_once(stop)
        except ConnectionFailed as error:
            if stop.is_set() or not may_come():
                raise
            if str(error) != told or began - when > REPEAT:
                told, when = str(error), time.monotonic()
                output.note(f"perdure: {told}\n  the worker keeps trying")
        delay = FIRST if time.monotonic() - began > REPEAT else min(delay * 2, SLOWEST)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), delay)
    return 0


async def serve_until_stopped(
    client: GraphClient,
    queues: Sequence[str],
    agents: Agents,
    ready: Callable[[], None],
    stop: asyncio.Event | None = None,
) -> int:
    """Serves the queues until `stop`, else until a signal lets what runs end; a second one ends at once: 0.

    Raises ConnectionFailed when the server is gone for good: an embedded one that was stopped, one
    that has lost the namespace or takes the credentials no more. Any other is waited for, for ever.
    """
    output.reserve()
    is_ready = asyncio.Event()
    if stop is None:
        stop = asyncio.Event()
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

    await _check_namespace(client)
    ended = asyncio.Event()
    watching = asyncio.ensure_future(_watch(client, stop, ended))
    try:
        async with served(client.settings, is_serving):
            await serve(client.temporal, queues, hosting.options(client.settings, agents), ended, begun)
    except RuntimeError as error:
        if "failed" not in str(error):
            raise
        raise ConnectionFailed(f"the server does not let the worker go on: {short(error)}") from error
    finally:
        watching.cancel()
        (failed,) = await asyncio.gather(watching, return_exceptions=True)
    if isinstance(failed, ConnectionFailed):
        raise failed
    return 0


async def _check_namespace(client: GraphClient) -> None:
    request = DescribeNamespaceRequest(namespace=client.temporal.namespace)
    try:
        await client.temporal.workflow_service.describe_namespace(request, timeout=RPC_TIMEOUT)
    except RPCError as error:
        raise rpc_error(error, f"namespace {client.temporal.namespace!r}") from error


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


async def _watch(client: GraphClient, stop: asyncio.Event, ended: asyncio.Event) -> None:
    """Sets `ended` when the worker is to end; brings an embedded server back that has crashed."""
    try:
        while not stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK)
            if client.embedded is not None and not stop.is_set():
                await revived(client)
    finally:
        ended.set()
