"""A server and workers, as processes that can be killed and brought back.

The server is the embedded one: after a kill it comes back on the same file and the same port, so that
clients and workers find it again by themselves. Workers get its address, and stay when it goes.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from perdure import server
from perdure.client import GraphClient
from perdure.settings import Settings
from tests.chaos.effects import Book, book_in
from tests.support import ROOT
from tests.support.durable import embedded
from tests.support.forked import Process, started
from tests.support.processes import kill, kill_server
from tests.support.waiting import until

AGENTS = Path(__file__).with_name("agents.py")


@dataclass
class World:
    """One server with its workers. `env` are more variables of the workers, `logs` what all of them wrote."""

    home: Path
    client: GraphClient
    book: Book
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    workers: list[Process] = field(default_factory=list[Process])
    _started: int = 0

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    async def worker(
        self,
        *queues: str,
        filters: Path | None = None,
        agents: Path = AGENTS,
        options: Sequence[str] = (),
        prefix: Sequence[str] = (),
        address: str = "",
    ) -> Process:
        """A worker for the default queue, or for `queues`. It is ready when this returns.

        `prefix` starts its command where the server has another `address`.
        """
        options = [*options, *(word for queue in queues for word in ("--queue", queue))]
        options += [] if filters is None else ["--filters", str(filters)]
        env = {
            "PERDURE_HOME": str(self.home),
            "PERDURE_QUEUES": "*",
            "PYTHONPATH": str(ROOT),
            "TEMPORAL_ADDRESS": address or self.client.temporal.service_client.config.target_host,
            "TEMPORAL_CONFIG_FILE": str(self.home / "none.toml"),
            "PERDURE_CODEC": "mac",
            **self.env,
        }
        self._started += 1
        path = self.logs / f"worker-{self._started}.log"
        with path.open("ab") as log:
            words = ["worker", "--agents", str(agents), *options]
            process = started(ROOT, env, words, stdout=log, stderr=log, prefix=prefix)
        self.workers.append(process)
        await until(lambda: b"worker ready" in path.read_bytes() or process.poll() is not None, path.name)
        return process

    def kill_server(self) -> None:
        """SIGKILL for the server and its supervisor; what they logged is kept."""
        up = server.status(self.client.settings)
        if up is not None:
            kill_server(up.pid)

    async def restart_server(self) -> float:
        """Brings the server back, and gives the seconds that this took."""
        began = time.monotonic()
        self._keep_log()
        was = self.client.temporal.service_client.config.target_host
        embedded = await asyncio.to_thread(server.ensure, self.client.settings)
        assert embedded.address == was, f"the server came back at {embedded.address}, and not at {was}"
        return time.monotonic() - began

    def kill_worker(self, process: Process) -> None:
        """SIGKILL for a worker."""
        self.workers.remove(process)
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)  # one that was stopped would not be reaped
        kill(process)

    async def keep(self, *queues: str, filters: Path | None = None) -> None:
        """Keeps one worker alive: whenever it dies, another one is started."""
        while True:
            process = await self.worker(*queues, filters=filters)
            while process.poll() is None:
                await asyncio.sleep(0.05)
            self.workers.remove(process)

    def _keep_log(self) -> None:
        log = self.home / "temporal.log"
        if log.exists():
            shutil.copy(log, self.logs / f"server-{time.time_ns()}.log")

    def close(self) -> None:
        for process in list(self.workers):
            self.kill_worker(process)
        self._keep_log()


@asynccontextmanager
async def world_in(home: Path, **env: str) -> AsyncGenerator[World]:
    """A new world in a folder of its own. All of its processes end with it."""
    book = book_in(home)
    (home / "logs").mkdir()
    async with embedded(home) as client:
        world = World(home, client, book, env)
        try:
            yield world
        finally:
            world.close()


def integrity(settings: Settings) -> str:
    """What SQLite says about the file of a server that has ended: "ok", or what is broken."""
    with closing(sqlite3.connect(settings.home / f"{server.SERVER_NAME}.db")) as file:
        return "; ".join(row[0] for row in file.execute("PRAGMA integrity_check"))
