"""Which task queue a run goes to, and the worker that a command runs for it.

Workers of one queue must be alike: each may receive any call. So the name of a queue stands for the agents
and settings of those that serve it. Where no lasting worker with the same agents and settings serves it, a
command serves its run itself, on a queue of its own below that name. If two commands shared one, the
shorter would receive calls of the longer, and drop them when it ends. Workers in the foreground serve the
queues below their name too, and so continue what such a command left behind.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final

from perdure.cli import output
from perdure.cli.connection import CONNECT_NOTICE_DELAY_S, PASSING
from perdure.cli.inputs.graphs import Agents
from perdure.cli.running.local_models import local_models
from perdure.client import GraphClient
from perdure.errors import GraphError
from perdure.monitoring.descriptions import OPEN_RUNS_QUERY, executions
from perdure.settings import Settings
from perdure.temporal.command_queues import queue_of_one_command
from perdure.worker import WorkerOptions, build_worker

MAX_LEFT_RUN_COUNT: Final = 1_000
"""Open runs among which a worker in the foreground looks for those that commands have left behind."""

OTHERS_GRACE_S: Final = 3600.0
"""Seconds that calls of other runs have to finish when a command ends that has taken them from a queue."""

UNSHARED = frozenset(
    {"transient_attempts", "lost_attempts", "blocked_attempts", "agent_wait"}
    | {"home", "queue", "server_idle", "server_retention", "server_memory", "sqlite_synchronous"}
    | {"host", "labels", "health_host", "health_port", "concurrency", "grace", "deployment", "build_id"}
)
"""Settings that make no difference to what an agent does."""


@dataclass(frozen=True, slots=True)
class QueueChoice:
    """Where a run goes, and whether this command serves it."""

    queue: str
    host: bool


def own_queue(settings: Settings, modules: Sequence[str]) -> str:
    """The queue of commands with these settings and modules."""
    named = [str(Path(module).resolve()) if module.endswith(".py") else module for module in modules]
    same = [(item.name, getattr(settings, item.name)) for item in fields(settings)]
    parts = [repr(value) for name, value in same if name not in UNSHARED] + named
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]
    return f"{settings.queue}-{digest}"


def command_queue(settings: Settings, modules: Sequence[str]) -> str:
    """A queue for one command alone."""
    return queue_of_one_command(own_queue(settings, modules))


def is_of_commands(settings: Settings, agents: Agents, queue: str) -> bool:
    """Whether the queue is one that only commands like this one serve."""
    return queue.startswith(f"{own_queue(settings, agents.origins)}.")


async def served_queues(client: GraphClient, queues: Sequence[str], modules: Sequence[str]) -> list[str]:
    """The queues that a worker in the foreground serves."""
    if queues:
        return list(dict.fromkeys(queues))
    if client.embedded is None:
        return [client.settings.queue]
    own = own_queue(client.settings, modules)
    left_behind = {
        info.task_queue
        async for info in executions(client.temporal, OPEN_RUNS_QUERY, MAX_LEFT_RUN_COUNT)
        if info.task_queue.startswith(f"{own}.")
    }
    return [client.settings.queue, own, *sorted(left_behind)]


async def place_of(
    client: GraphClient, agents: Agents, queue: str | None, unknown: GraphError | None = None
) -> QueueChoice:
    """Where a new run goes. `unknown` are the findings of agents that this command does not have.

    It is raised if no other worker serves the queue, which might have them.
    """
    shared = queue or client.settings.queue
    if unknown is not None:
        if await is_served(client, shared):
            return QueueChoice(shared, host=False)
        if not all(problem.nested for problem in unknown.problems):
            raise unknown
    own = own_queue(client.settings, agents.origins)
    if queue is None and (client.embedded is not None or agents.origins):
        if await is_served(client, own):
            return QueueChoice(own, host=False)
        return QueueChoice(command_queue(client.settings, agents.origins), host=True)
    return QueueChoice(shared, host=bool(agents.origins) or not await is_served(client, shared))


async def detached_queue(client: GraphClient, agents: Agents, queue: str | None) -> str:
    """The queue of a detached run: that of workers like this command, else the shared one."""
    own = own_queue(client.settings, agents.origins)
    if queue is None and client.embedded is not None and await is_served(client, own):
        return own
    return queue or client.settings.queue


async def is_served(client: GraphClient, queue: str, *, lasting: bool = True) -> bool:
    """Whether a worker serves the queue: if `lasting`, one that does not end with the command that has it."""
    return any(not (lasting and identity.endswith(PASSING)) for identity in await client.workers(queue))


def options(settings: Settings, agents: Agents, *, versioned: bool = False) -> WorkerOptions:
    """How the workers of this process serve. Only `versioned` ones are of a build: what a command serves
    besides its own work must not wait until its build is made the current one.
    """
    return WorkerOptions(
        agents=agents.by_name,
        filters=agents.filters,
        settings=settings if versioned else replace(settings, deployment="", build_id=""),
        local_models=local_models(settings),
        concurrent_agents=settings.concurrency,
    )


@asynccontextmanager
async def hosted(client: GraphClient, queue: str, agents: Agents) -> AsyncGenerator[None]:
    """Serves the queue in this process.

    At the end, waits for what other runs have begun here: the grace period, and on a shared queue longer.
    """
    output.reserve()
    notice: asyncio.TimerHandle | None = None
    settings, is_own = client.settings, is_of_commands(client.settings, agents, queue)
    if not is_own:  # what it has taken of others is not to begin a second time
        settings = replace(settings, grace=max(settings.grace, OTHERS_GRACE_S))
    serves = replace(options(settings, agents), shares_slots=not is_own)
    try:
        async with build_worker(client.temporal, queue, serves):
            try:
                yield
            finally:
                loop = asyncio.get_running_loop()
                notice = loop.call_later(
                    CONNECT_NOTICE_DELAY_S,
                    output.note,
                    "finishing what other runs have begun here (Ctrl-C stops it) …",
                )
    finally:
        if notice is not None:
            notice.cancel()
