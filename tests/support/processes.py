"""Real processes for the tests of crashes: workers, clients, and what is left of them."""

from __future__ import annotations

import os
import signal
from abc import ABC, abstractmethod
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perdure import server
from perdure.settings import Settings
from tests.support import ROOT
from tests.support.forked import Process, started

AGENTS = Path(__file__).with_name("journal_agents.py")


@dataclass
class Crew:
    """The processes of one test, on one home. All of them are killed at its end."""

    home: Path
    env: dict[str, str] = field(default_factory=dict[str, str])
    """What the processes find in their environment besides their home."""
    logs: Path | None = None
    """Where their log goes, if not in their home."""
    prefix: tuple[str, ...] = ()
    """The command that starts them, where they are to run somewhere else."""
    started: list[Process] = field(default_factory=list[Process])

    def worker(self, *queues: str, agents: Path = AGENTS, **env: str) -> Process:
        """A worker for `queues`, or for the default queue, with more variables in its environment."""
        options = [word for queue in queues for word in ("--queue", queue)]
        return self._start("worker", *options, "--agents", str(agents), **env)

    def host(self, name: str, agents: Path = AGENTS) -> Process:
        """A worker of a host with this name, for what is to be done there."""
        return self._start("worker", "--host", name, "--agents", str(agents))

    def run(self, graph: Path, id: str, *more: str) -> Process:
        """A command that starts the run, or attaches to it, and waits for its results."""
        return self._start("run", str(graph), "--agents", str(AGENTS), "--id", id, *more)

    def _start(self, *words: str, **more: str) -> Process:
        # Nothing of this process's environment: it may name another server, or another home.
        env = {
            "PERDURE_HOME": str(self.home),
            "PERDURE_QUEUES": "*",
            "PYTHONPATH": str(ROOT),
            **self.env,
            **more,
        }
        self.home.mkdir(exist_ok=True)
        with self.log.open("ab") as log:
            process = started(ROOT, env, words, stderr=log, prefix=self.prefix)
        self.started.append(process)
        return process

    @property
    def log(self) -> Path:
        """What the processes wrote to stderr."""
        return (self.logs or self.home) / "processes.log"

    def kill_all(self) -> None:
        for process in self.started:
            kill(process)


def kill(process: Process) -> None:
    """SIGKILL: nothing is said goodbye to."""
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def kill_server(supervisor: int) -> None:
    """SIGKILL for the embedded server and what watches over it."""
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    for pid in (supervisor, *map(int, children)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@dataclass
class Parts(ABC):
    """The parts of an installation by name: processes of one folder, which are killed and started again."""

    folder: Path
    processes: dict[str, Process] = field(default_factory=dict[str, Any], kw_only=True)
    kills: Counter[str] = field(default_factory=Counter[str], kw_only=True)

    @abstractmethod
    def start(self, name: str) -> None:
        """Starts a part, which is then in `processes`."""

    def perdure(self, name: str, home: Path, *words: str) -> Process:
        """The command line as a part, with a log of its name."""
        environment = {"PERDURE_HOME": str(home), "PYTHONPATH": str(ROOT), "PATH": os.defpath}
        home.mkdir(exist_ok=True)
        with (self.folder / f"{name}.log").open("ab") as log:
            return started(self.folder, environment, words, stdout=log, stderr=log)

    def kill_part(self, name: str, ending: signal.Signals = signal.SIGKILL) -> None:
        """Ends a process, and starts it again."""
        self.kills[name] += 1
        self.processes[name].send_signal(ending)
        self.processes[name].wait()
        self.start(name)

    def kill_server_of(self, name: str, home: Path) -> None:
        """SIGKILL for the embedded server of `home`, and another one; its clients may be faster."""
        self.kills[name] += 1
        running = server.status(Settings(home=home))
        with suppress(ProcessLookupError):
            if running is not None:
                os.kill(running.pid, signal.SIGKILL)
        server.ensure(Settings(home=home))

    def end(self, *homes: Path) -> None:
        """Kills all, and stops the servers of these homes."""
        for process in self.processes.values():
            process.kill()
            process.wait()
        for home in homes:
            server.stop(Settings(home=home))
