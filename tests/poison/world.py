"""The surroundings of the corpus: a server, a hostile one, a worker of 1 GB, and a run next door."""

from __future__ import annotations

import asyncio
import os
import resource
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from perdure import server
from perdure.client import GraphClient
from perdure.settings import Settings
from tests.poison.case import graph
from tests.poison.hostile import hostile
from tests.support.durable import connected
from tests.support.forked import Process
from tests.support.processes import Crew, kill
from tests.support.waiting import until

MEMORY = 1_000_000_000
"""Bytes that the worker may allocate. Its address space is larger: threads reserve more than they use."""

NEIGHBOUR_S = 30.0
"""Seconds after which a run next door counts as one without a worker."""

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
    worker: Process | None = field(default=None)

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

    def worked(self) -> float:
        """Seconds of processor time that the worker has used."""
        if self.worker is None:
            return 0.0
        fields = Path(f"/proc/{self.worker.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> int:
        """Resident bytes of the worker and its children; 0 once it is gone."""
        return 0 if self.worker is None else _resident(self.worker.pid)


def p95(seconds: list[float]) -> float:
    """The time that 19 of 20 do not exceed."""
    return sorted(seconds)[int(len(seconds) * 0.95)] if seconds else 0.0


def _resident(pid: int) -> int:
    resident = 0
    with suppress(FileNotFoundError, ProcessLookupError):
        resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            resident += sum(map(_resident, map(int, children.read_text().split())))
    return resident


@asynccontextmanager
async def world(folder: Path, slots: int = 100) -> AsyncGenerator[World]:
    """One with a worker that serves this many calls at a time. All its processes end with it."""
    home = folder / "home"
    with hostile() as url:
        env = {
            "PERDURE_ALLOW_HOSTS": "127.0.0.1",
            "OPENAI_BASE_URL": f"{url}/operator/v1",
            "OPENAI_API_KEY": "none",
            "PERDURE_FILE_ROOT": str(folder),
            "PERDURE_QUEUES": "",
            "PERDURE_CODEC": "off",  # what strangers send is to be read, and not refused at once
            "PERDURE_CONCURRENCY": str(slots),
        }
        crew = Crew(home, env=env)
        try:
            async with connected(home, "off") as client:
                world = World(client, crew, url)
                await world.fresh()
                yield world
        finally:
            crew.kill_all()
            await asyncio.to_thread(server.stop, Settings(home=home))


async def settled(here: World, most: int, seconds: float) -> int:
    """The memory of the worker once it is at most `most`, or after the time."""
    with suppress(AssertionError):
        await until(lambda: here.memory() <= most, seconds=seconds)
    return here.memory()
