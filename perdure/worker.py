"""The worker: serves agents, and the workflow that calls them, on one or more task queues."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta

from temporalio.client import Client
from temporalio.worker import Worker

from perdure.activities.activity import AgentActivities
from perdure.activities.agent import Agent
from perdure.activities.filters import AgentFilter
from perdure.activities.invoke import close_clients
from perdure.claims import Claims
from perdure.settings import Settings

GRACE = timedelta(seconds=10)
"""How long running agents may go on after the worker was told to stop."""

STREAM_INTERVAL = timedelta(milliseconds=100)
"""Heartbeats carry what agents stream: the SDK must not hold them back for long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """How a worker serves. `cached_runs` open runs are kept in memory, others are replayed.

    All workers that may begin a run, and that may serve its agents, are to have the same `filters`.
    """

    agents: Mapping[str, Agent]
    settings: Settings = field(default_factory=Settings.from_env)
    local_models: Callable[[], Awaitable[str]] | None = None
    filters: Sequence[AgentFilter] = ()
    concurrent_agents: int = 100
    cached_runs: int = 1000
    grace: timedelta = GRACE


def build_worker(client: Client, queue: str, options: WorkerOptions) -> Worker:
    """A worker for one task queue. `client` was connected with GraphPlugin, which it inherits."""
    activities = AgentActivities(
        agents=options.agents,
        settings=options.settings,
        claims=Claims.of(options.settings, client.data_converter.payload_codec),
        local_models=options.local_models,
        filters=options.filters,
    )
    return Worker(
        client,
        task_queue=queue,
        activities=activities.all(),
        max_concurrent_activities=options.concurrent_agents,
        max_cached_workflows=options.cached_runs,
        max_heartbeat_throttle_interval=STREAM_INTERVAL,
        graceful_shutdown_timeout=options.grace,
    )


async def serve(
    client: Client,
    queues: Sequence[str],
    options: WorkerOptions,
    stop: asyncio.Event,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Serves `queues` until `stop` is set, then lets running agents end within the grace period."""
    async with AsyncExitStack() as stack:
        stack.push_async_callback(close_clients)
        for queue in queues:
            await stack.enter_async_context(build_worker(client, queue, options))
        ready()
        await stop.wait()
