"""Real processes for the tests of crashes: workers, clients, and what is left of them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
AGENTS = Path(__file__).with_name("journal_agents.py")

_WORKER = """
import asyncio, functools, sys
from perdure import local
from perdure.activities.catalog import catalog, load_agents
from perdure.client import connect
from perdure.worker import WorkerOptions, serve

async def main(agents, *queues):
    client = await connect()
    options = WorkerOptions(
        agents={**catalog(), **load_agents(agents)},
        settings=client.settings,
        local_models=functools.partial(local.ensure, client.settings),
    )
    await serve(client.temporal, queues or [client.settings.queue], options, asyncio.Event())

asyncio.run(main(*sys.argv[1:]))
"""

_CLIENT = """
import asyncio, json, sys
from perdure.client import connect

async def main(graph, id):
    client = await connect()
    run = await client.start(json.loads(graph), id=id)
    print("started", flush=True)
    print((await run.result()).results, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


@dataclass
class Crew:
    """The processes of one test, on one home. All of them are killed at its end."""

    home: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def worker(self, *queues: str) -> subprocess.Popen[bytes]:
        """A worker for `queues`, or for the default queue."""
        return self._start(sys.executable, "-c", _WORKER, str(AGENTS), *queues)

    def client(self, graph: Any, id: str) -> subprocess.Popen[bytes]:
        """A client that starts the run and waits for its result."""
        return self._start(sys.executable, "-c", _CLIENT, json.dumps(graph), id)

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        # Nothing of this process's environment: it may name another server, or another home.
        env = {"PERDURE_HOME": str(self.home), "PYTHONPATH": str(ROOT)}
        with self.log.open("ab") as log:
            process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
        self.started.append(process)
        return process

    @property
    def log(self) -> Path:
        """What the processes printed."""
        return self.home / "processes.log"

    def kill_all(self) -> None:
        for process in self.started:
            kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL: nothing is said goodbye to."""
    process.kill()
    process.wait()


def kill_server(supervisor: int) -> None:
    """SIGKILL for the embedded server and what watches over it."""
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    for pid in (supervisor, *map(int, children)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def until(check: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    """What `check` gives as soon as it is truthy. Fails after `seconds`."""
    for _ in range(int(seconds / 0.05)):
        found = check()
        if found:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")
