"""The world of the corpus: a server, a hostile one beside it, a worker of 1 GB, and a run next door."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from perdure import server
from perdure.client import GraphClient
from perdure.settings import Settings
from tests.poison.case import graph
from tests.poison.hostile import hostile
from tests.support.durable import connected
from tests.support.processes import Crew, kill
from tests.support.waiting import until

MEMORY = 1_000_000_000
"""Bytes that the worker may allocate. Its address space is larger: threads reserve more than they use."""

NEIGHBOUR_S = 30.0
"""Seconds after which a run next door counts as one that nobody serves."""

NEIGHBOUR = graph(
    a={"agent": "copyAgent", "inputs": {"x": 1}},
    b={"agent": "sleeperAgent", "params": {"duration": 1}, "inputs": {"x": ":a.x"}, "isResult": True},
)


@dataclass
class World:
    """What the cases share. A worker that came to harm is replaced by `fresh`."""

    client: GraphClient
    crew: Crew
    hostile: str
    alone: float = 0.0
    """Seconds that 19 of 20 runs of the neighbour take while nothing else runs."""
    worker: subprocess.Popen[bytes] | None = field(default=None)

    async def fresh(self) -> None:
        """A new worker under the limit, and how long a neighbour takes with it."""
        if self.worker is not None:
            kill(self.worker)
        self.worker = self.crew.worker()
        resource.prlimit(self.worker.pid, resource.RLIMIT_DATA, (MEMORY, MEMORY))
        await self.neighbour(60)
        self.alone = p95([await self.neighbour() for _ in range(12)])

    def alive(self) -> bool:
        """Whether the worker is still there."""
        return self.worker is not None and self.worker.poll() is None

    async def neighbour(self, limit_s: float = NEIGHBOUR_S) -> float:
        """Seconds that one run of the neighbour takes, at most the limit."""
        began = time.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await (await self.client.start(NEIGHBOUR)).result()
        return time.monotonic() - began

    def memory(self) -> int:
        """Resident bytes of the worker and its children; 0 once it is gone."""
        return 0 if self.worker is None else _resident(self.worker.pid)


def p95(seconds: list[float]) -> float:
    """The time that 19 of 20 do not exceed."""
    return sorted(seconds)[int(len(seconds) * 0.95)] if seconds else 0.0


def _resident(pid: int) -> int:
    found = 0
    with suppress(FileNotFoundError, ProcessLookupError):
        found = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            found += sum(map(_resident, map(int, children.read_text().split())))
    return found


@asynccontextmanager
async def world(folder: Path, slots: int = 100) -> AsyncIterator[World]:
    """One with a worker that serves so many calls at a time. All its processes end with it."""
    home = folder / "home"
    with hostile() as url:
        env = {
            "PERDURE_ALLOW_HOSTS": "127.0.0.1",
            "OPENAI_BASE_URL": f"{url}/operator/v1",
            "OPENAI_API_KEY": "none",
            "PERDURE_FILE_ROOT": str(folder),
            "PERDURE_QUEUES": "",
            "PERDURE_CONCURRENCY": str(slots),
        }
        crew = Crew(home, env=env)
        try:
            async with connected(home) as client:
                found = World(client, crew, url)
                await found.fresh()
                yield found
        finally:
            crew.kill_all()
            await asyncio.to_thread(server.stop, Settings(home=home))


async def settled(here: World, most: int, seconds: float) -> int:
    """The memory of the worker once it is at most `most`, or after the time."""
    with suppress(AssertionError):
        await until(lambda: here.memory() <= most, seconds=seconds)
    return here.memory()
