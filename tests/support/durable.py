"""The durable shell for tests: an embedded server of their own, and workers in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from temporalio.service import RPCError

from perdure import server
from perdure.agents.agent import Agent
from perdure.client import GraphClient, connect
from perdure.runs import Run
from perdure.settings import Settings
from perdure.worker import WorkerOptions, build_worker
from tests.support.detector import stuck_runs


@asynccontextmanager
async def connected(home: Path, codec: str = "mac") -> AsyncIterator[GraphClient]:
    """A client of a server with its data in `home`, whatever server the environment names.

    Payloads are signed, as they are by default; with "off", clients and workers without keys can take part.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TEMPORAL_ADDRESS", raising=False)
        patch.setenv("TEMPORAL_CONFIG_FILE", str(home / "no-profiles.toml"))
        client = await connect(Settings(home=home, queues=("*",), codec=codec))
    try:
        yield client
    finally:
        client.close()


@asynccontextmanager
async def embedded(home: Path, codec: str = "mac") -> AsyncIterator[GraphClient]:
    """The same, of a server that ends with it. Then no run may be stuck: one that nothing will ever move."""
    try:
        async with connected(home, codec) as client:
            yield client
            with suppress(RPCError):  # some tests take the server away
                stuck = await stuck_runs(client)
                assert stuck == [], stuck
    finally:
        server.stop(Settings(home=home))


@asynccontextmanager
async def started(
    client: GraphClient,
    name: str,
    document: Any,
    agents: Mapping[str, Agent],
    settings: Settings,
    local_models: Callable[[], Awaitable[str]] | None = None,
) -> AsyncIterator[Run]:
    """A run of `document`, and a worker for it in this process on a queue of its own."""
    queue = f"test-{name}"
    options = WorkerOptions(agents=agents, settings=settings, local_models=local_models)
    async with build_worker(client.temporal, queue, options):
        yield await client.start(document, name=name, queue=queue)
