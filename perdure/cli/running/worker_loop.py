"""A worker in the foreground: until a signal, whatever becomes of its server."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.service import RPCError

from perdure.agents.loop_watchdog import open_calls
from perdure.cli import output
from perdure.cli.connection import revived
from perdure.cli.inputs.graphs import Agents
from perdure.cli.running import queue_choice
from perdure.cli.running.health import served
from perdure.cli.running.memory_return import return_memory, share_arenas, spare_collector
from perdure.client import GraphClient
from perdure.errors import ConnectionFailed, StoreUnavailable
from perdure.storage.owners import other_owners
from perdure.temporal.rpc_errors import RPC_TIMEOUT, rpc_error, short
from perdure.worker import serve

SERVER_POLL_INTERVAL_S = 2.0
"""Seconds between two looks at the embedded server."""

HEALTH_RPC_TIMEOUT = timedelta(seconds=2)

AGENT_CLEANUP_S = 1.5
"""Seconds after the grace period, in which agents that are cancelled may clean up."""

FIRST, SLOWEST = 1.0, 10.0
"""Seconds until a server that did not answer is asked again: at first, and at most."""

REPEATED_NOTICE_INTERVAL_S = 60.0
"""Seconds after which the same notice is shown again."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Whether a signal has asked for the end, and whether all that it concerns has ended."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    done: threading.Event = field(default_factory=threading.Event)


async def serve_patiently(
    serve_once: Callable[[Stop], Awaitable[int]], may_come: Callable[[], bool], grace: float
) -> int:
    """Serves until a signal: the server may come later, or go and come back.

    `serve_once` serves until the stop that it is passed; it ends early by raising ConnectionFailed,
    which is passed on only where no server `may_come`. `grace` is that of `serve_until_stopped`.
    """
    stop = Stop()
    _on_signals(stop, grace)
    delay, last_notice, when = FIRST, "", 0.0
    try:
        while not stop.asked.is_set():
            began = time.monotonic()
            try:
                return await serve_once(stop)
            except ConnectionFailed as error:
                if stop.asked.is_set() or not may_come():
                    raise
                if str(error) != last_notice or began - when > REPEATED_NOTICE_INTERVAL_S:
                    last_notice, when = str(error), time.monotonic()
                    output.note(f"perdure: {last_notice}\n  the worker keeps trying")
            delay = (
                FIRST if time.monotonic() - began > REPEATED_NOTICE_INTERVAL_S else min(delay * 2, SLOWEST)
            )
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.asked.wait(), delay)
    finally:
        stop.done.set()
    return 0


async def serve_until_stopped(
    client: GraphClient,
    queues: Sequence[str],
    agents: Agents,
    ready: Callable[[], None],
    stop: Stop | None = None,
    *,
    versioned: bool = False,
) -> int:
    """Serves the queues, as a build of a deployment if `versioned` and the settings name one: 0.

    A signal, or `stop` if it is passed, lets what runs end, for as long as the grace period. What has
    not ended then, even though it was cancelled, ends with the process: its exit code is 1. A second
    signal ends it at once.

    Raises ConnectionFailed when the server is gone for good: an embedded one that was stopped, one
    that has lost the namespace or rejects the credentials. It waits for any other without a limit.
    """
    output.reserve()
    own = stop is None
    if stop is None:
        stop = Stop()
        _on_signals(stop, client.settings.grace)
    try:
        await _check_namespace(client)
        await _serve(client, queues, agents, ready, stop, versioned)
    finally:
        if own:
            stop.done.set()
    return 0


async def _serve(
    client: GraphClient,
    queues: Sequence[str],
    agents: Agents,
    ready: Callable[[], None],
    stop: Stop,
    versioned: bool,
) -> None:
    is_ready, over = asyncio.Event(), asyncio.Event()

    def begun() -> None:
        is_ready.set()
        ready()

    async def is_serving() -> bool:
        if over.is_set() or stop.asked.is_set() or not is_ready.is_set():
            return False
        with suppress(RPCError):
            return await client.temporal.service_client.check_health(timeout=HEALTH_RPC_TIMEOUT)
        return False

    share_arenas()
    spare_collector()
    watching = asyncio.ensure_future(_watch(client, stop.asked, over))
    returning = asyncio.ensure_future(return_memory())
    try:
        async with served(client.settings, is_serving):
            options = queue_choice.options(client.settings, agents, versioned=versioned)
            await serve(client.temporal, queues, options, over, begun)
    except RuntimeError as error:
        if "failed" not in str(error):  # what the SDK says when its polls or its validation are refused
            raise
        raise ConnectionFailed(f"the server does not let the worker continue: {short(error)}") from error
    finally:
        watching.cancel()
        returning.cancel()
        (failed,) = await asyncio.gather(watching, return_exceptions=True)
    if isinstance(failed, ConnectionFailed):
        raise failed


async def _check_namespace(client: GraphClient) -> None:
    request = DescribeNamespaceRequest(namespace=client.temporal.namespace)
    try:
        await client.temporal.workflow_service.describe_namespace(request, timeout=RPC_TIMEOUT)
        store = client.claims.store
        others = [] if store is None else await other_owners(client.temporal, store, RPC_TIMEOUT)
    except StoreUnavailable:
        return  # calls that need it wait for it
    except RPCError as error:
        raise rpc_error(error, f"namespace {client.temporal.namespace!r}") from error
    if others:
        output.note(
            f"the store {client.settings.store} is also used by another namespace: {', '.join(others)}; "
            "`perdure store gc` removes nothing there"
        )


def _on_signals(stop: Stop, grace: float) -> None:
    """Handlers that need no event loop: an agent may block it, and the worker must end all the same."""
    signalled = threading.Event()
    loop = asyncio.get_running_loop()

    def begin() -> None:
        output.note("stopping: waiting for the agents that run; a second signal ends at once")
        stop.asked.set()

    def on_signal(number: int, frame: object) -> None:
        del frame
        if signalled.is_set():
            os._exit(128 + number)  # every line was flushed as it was written
        signalled.set()
        loop.call_soon_threadsafe(begin)

    def at_last() -> None:
        signalled.wait()
        if not stop.done.wait(grace + AGENT_CLEANUP_S):
            output.note(f"agents that did not end are executed elsewhere, from the beginning: {open_calls()}")
            os._exit(1)

    threading.Thread(target=at_last, name="perdure-deadline", daemon=True).start()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)


async def _watch(client: GraphClient, asked: asyncio.Event, over: asyncio.Event) -> None:
    """Sets `over` when the worker is to end; brings an embedded server back that has crashed."""
    try:
        while not asked.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(asked.wait(), SERVER_POLL_INTERVAL_S)
            if client.embedded is not None and not asked.is_set():
                await revived(client)
    finally:
        over.set()
