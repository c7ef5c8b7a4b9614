"""The worker: serves agents, and the workflow that calls them, on one or more task queues."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import uuid4

from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import Worker, WorkerDeploymentConfig

from perdure.activities.activity import AgentActivities
from perdure.activities.gate import Gate
from perdure.activities.slot_shares import SlotShares
from perdure.agents.agent import Agent
from perdure.agents.catalog import Agents, agents_by_name, catalog
from perdure.agents.filters import AgentFilter
from perdure.agents.held_sessions import HeldSessions
from perdure.agents.invoke import close_clients
from perdure.agents.loop_watchdog import watched
from perdure.client import GraphClient
from perdure.daemon.work_journal import WorkJournal
from perdure.engine.placing.sessions import SESSION_QUEUE_PREFIX
from perdure.errors import UsageError
from perdure.protocol.payload_codec import KeyedCodec
from perdure.settings import Settings
from perdure.settings.policy_file import PolicyFile
from perdure.storage.claim_check import ClaimCheck
from perdure.temporal.hosts import presence
from perdure.version import VERSION

STREAM_INTERVAL = timedelta(milliseconds=100)
"""Heartbeats carry what agents stream: the SDK must not hold them back for long."""

STICKY_TIMEOUT = timedelta(seconds=5)
"""How long a workflow task waits for the worker that has its run in memory, before any worker may take it.

A run whose worker was killed waits for as long. Temporal's SDKs for Go and Java wait 5 seconds, the
one for Python 10. A busy worker takes such a task from the shared queue, which costs it a longer history.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """How a worker serves. `cached_runs` open runs are kept in memory, others are replayed. With
    `shares_slots`, no run has all of the `concurrent_agents` calls that it makes at a time on each queue.

    All workers that may begin a run, and that may serve its agents, are to have the same `filters`.
    The settings say how long agents may continue after the worker was stopped, and which build of which
    deployment it is, if it is one: then runs stay with the build that began them until they continue as
    new, and continue with the build that is current then.

    Raises UsageError for an agent that is not an Agent.
    """

    agents: Mapping[str, Agent]
    settings: Settings = field(default_factory=Settings.from_env)
    local_models: Callable[[], Awaitable[str]] | None = None
    filters: Sequence[AgentFilter] = ()
    concurrent_agents: int = 100
    shares_slots: bool = True
    cached_runs: int = 1000

    def __post_init__(self) -> None:
        agents_by_name(self.agents)

    @property
    def versioning(self) -> WorkerDeploymentConfig | None:
        """How Temporal distinguishes builds; None if the settings name none."""
        if not self.settings.deployment:
            return None
        return WorkerDeploymentConfig(
            version=WorkerDeploymentVersion(self.settings.deployment, self.settings.build_id),
            use_worker_versioning=True,
            default_versioning_behavior=VersioningBehavior.PINNED,
        )

    @property
    def build_id(self) -> str | None:
        """The build of a worker without a deployment: the version of Perdure.

        The SDK would read and hash the code of all loaded modules, which takes half a second of each start.
        """
        return None if self.settings.deployment else VERSION


def agent_activities(client: Client, options: WorkerOptions) -> list[Callable[..., object]]:
    """The activities of a worker of your own that serves graphs in addition to your workflows and activities.

    One of them is dynamic and serves the agents, by their names; an activity of yours that has the name of
    an agent comes before it. Of the options, those that say how a worker polls are left to you.

    Raises GraphError for a policy file that is wrong.
    """
    return _activities(client, options, SlotShares(), HeldSessions())


def _check_keys(client: Client) -> None:
    """Raises UsageError for a client whose key starts runs only: workers could not read what it signs."""
    codec = client.data_converter.payload_codec
    if isinstance(codec, KeyedCodec) and codec.ring.is_of_principal:
        hint = "set PERDURE_CODEC_KEYS to the keys of the workers, or let lasting workers serve the runs"
        raise UsageError("the keys of this process start runs only, and a worker needs others", hint=hint)


def _activities(
    client: Client, options: WorkerOptions, slots: SlotShares, sessions: HeldSessions
) -> list[Callable[..., object]]:
    _check_keys(client)
    file = PolicyFile(options.settings.policy)
    file.current()
    file.current()
    pure = frozenset(agent.name for agent in options.agents.values() if agent.pure)
    codec = client.data_converter.payload_codec
    activities = AgentActivities(
        agents=options.agents,
        settings=options.settings,
        claims=ClaimCheck.of(options.settings, codec),
        local_models=options.local_models,
        filters=options.filters,
        slots=slots,
        sessions=sessions,
        journal=WorkJournal(options.settings.home / "workers", options.settings.lost_attempts),
        gate=Gate(file, pure, signs=isinstance(codec, KeyedCodec)),
    )
    return activities.all()


def build_worker(
    client: Client, queue: str, options: WorkerOptions, sessions: HeldSessions | None = None
) -> Worker:
    """A worker for one task queue. `client` was connected with GraphPlugin, which it inherits.

    `sessions` are those that all workers of the process hold; without any, it restores a session for each of
    its calls.
    """
    slots = SlotShares(options.concurrent_agents if options.shares_slots else None)
    return Worker(
        client,
        task_queue=queue,
        activities=_activities(client, options, slots, sessions or HeldSessions()),
        max_concurrent_activities=options.concurrent_agents,
        max_cached_workflows=options.cached_runs,
        sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
        max_heartbeat_throttle_interval=STREAM_INTERVAL,
        graceful_shutdown_timeout=timedelta(seconds=options.settings.grace),
        deployment_config=options.versioning,
        build_id=options.build_id,
    )


@asynccontextmanager
async def serving(
    client: GraphClient,
    agents: Agents = (),
    *,
    queue: str | None = None,
    filters: Sequence[AgentFilter] = (),
) -> AsyncGenerator[None]:
    """Serves runs in this process as long as the context lasts: the shipped agents, and `agents` of your own.

        async with await connect() as client, serving(client, [shout]):
            run = await client.start(graph)
            result = await run.result()

    `queue` is that of runs which name none. At the end, agents that run may finish within the grace period.
    """
    options = WorkerOptions(
        agents={**catalog(), **agents_by_name(agents)}, settings=client.settings, filters=filters
    )
    async with (
        SessionWorker(client.temporal, options) as sessions,
        build_worker(client.temporal, queue or client.settings.queue, options, sessions.held),
    ):
        yield


class SessionWorker:
    """The worker of a process that takes the calls of the sessions that it holds, from a queue of its own.

    It begins with the first session: a process without any polls for none. At the end it throws them away.
    """

    def __init__(self, client: Client, options: WorkerOptions) -> None:
        self.held = HeldSessions(self._queue)
        self._client, self._options = client, options
        self._worker: Worker | None = None
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> SessionWorker:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.shutdown()
        if self._running is not None:
            await asyncio.gather(self._running, return_exceptions=True)
        await self.held.close()

    async def shutdown(self) -> None:
        """Lets calls end within the grace period; no new ones are taken."""
        if self._worker is not None:
            await self._worker.shutdown()

    async def _queue(self) -> str:
        """The task queue, "" where its worker has failed: then each call restores its session."""
        if self._worker is None:
            queue = f"{SESSION_QUEUE_PREFIX}{uuid4().hex}"
            self._worker = build_worker(self._client, queue, self._options, self.held)
            self._running = asyncio.create_task(self._worker.run())
        is_running = self._running is not None and not self._running.done()
        return self._worker.task_queue if is_running else ""


async def serve(
    client: Client,
    queues: Sequence[str],
    options: WorkerOptions,
    stop: asyncio.Event,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Serves `queues` until `stop` is set, then lets running agents end within the grace period.

    Those that take longer are cancelled, and repeated by another worker.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(watched())
        stack.push_async_callback(close_clients)
        sessions = await stack.enter_async_context(SessionWorker(client, options))
        workers = [build_worker(client, queue, options, sessions.held) for queue in queues]
        if host := options.settings.host:
            workers.append(presence(client, host, options.settings.labels, options.settings.data))
        for worker in workers:
            await stack.enter_async_context(worker)
        ready()
        await stop.wait()
        # All at once: one after another, each would have a grace period of its own.
        await asyncio.gather(sessions.shutdown(), *(worker.shutdown() for worker in workers))
