"""Gangs: the processes of one call, which begin together, end together, and are begun again together.

Why
    Ranks of a collective wait for each other. One that is missing keeps all others waiting forever, and one
    that is replaced alone finds no peers. So they are one thing: none runs its function before all are ready,
    and where one ends badly, all are ended and begun again at the last checkpoint.

Invariants
    No process of a gang outlives its worker: each ends when its standard input does. A start has a port of
    its own, so that it meets nothing of an earlier one.

Rejected
    An activity for each rank, on any worker: the server offers them one by one, and two gangs that each have
    half of the slots wait for each other.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from perdure.agents.engines.gang_files import GangFiles
from perdure.errors import AgentError, TransientError

LOOK_INTERVAL_S: Final = 0.02
"""Seconds between two looks at whether all processes are ready."""


@dataclass(slots=True)
class Gang:
    """One gang: its files, what its processes receive, how often it may begin again without progress."""

    files: GangFiles
    job: dict[str, Any]
    restarts: int
    log: Callable[[str], None]
    _processes: list[asyncio.subprocess.Process]

    @classmethod
    def of(cls, files: GangFiles, job: dict[str, Any], restarts: int, log: Callable[[str], None]) -> Gang:
        """A gang that has not begun."""
        return cls(files, job, restarts, log, [])

    @property
    def size(self) -> int:
        """How many processes it has."""
        return int(self.job["size"])

    async def run(self) -> Any:
        """The result of rank 0. Raises AgentError where the gang ends badly too often without progress."""
        left = self.restarts
        while True:
            step = self.files.step()
            failed = await self._attempt()
            if failed is None:
                return self.files.result()
            if self.files.step() > step:
                left = self.restarts
            if left == 0:
                raise AgentError(failed)
            left -= 1
            self.log(f"{failed.splitlines()[0]}; all ranks begin again after step {self.files.step()}")

    async def _attempt(self) -> str | None:
        """Begins all processes and waits for their end: None, or why one ended badly."""
        self.files.begin({**self.job, "port": _free_port()})
        try:
            for rank in range(self.size):
                self._processes.append(await self._begin(rank))
            failed = await self._gather()
            return failed if failed is not None else await self._finish()
        finally:
            await self._end()

    async def _begin(self, rank: int) -> asyncio.subprocess.Process:
        words = (sys.executable, "-m", "perdure.agents.engines.rank", str(self.files.folder), str(rank))
        with self.files.log(rank).open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *words, stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log
            )

    async def _gather(self) -> str | None:
        """Waits until all are ready, then lets all go."""
        limit = float(self.job["gather"])
        with suppress(TimeoutError):
            async with asyncio.timeout(limit):
                while self.files.ready_count() < self.size:
                    for rank, process in enumerate(self._processes):
                        if process.returncode is not None:
                            return self._finding(rank, process.returncode)
                    await asyncio.sleep(LOOK_INTERVAL_S)
                for process in self._processes:
                    assert process.stdin is not None
                    with suppress(ConnectionError):
                        process.stdin.write(b"go\n")
                        await process.stdin.drain()
                return None
        ready = self.files.ready_count()
        raise TransientError(f"{ready} of {self.size} ranks are ready after {limit:g} s: all are ended")

    async def _finish(self) -> str | None:
        """Waits for all, or for the first that ends badly."""
        waits = {asyncio.create_task(process.wait()): rank for rank, process in enumerate(self._processes)}
        try:
            left = set(waits)
            while left:
                done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
                for task in sorted(done, key=lambda task: waits[task]):
                    if task.result() != 0:
                        return self._finding(waits[task], task.result())
            return None
        finally:
            for task in waits:
                task.cancel()

    async def _end(self) -> None:
        """Ends what still runs. Nothing of it is needed: what counts is in a checkpoint."""
        processes, self._processes = self._processes, []
        for process in processes:
            with suppress(ProcessLookupError):
                process.kill()
            if process.stdin is not None:
                process.stdin.close()
        for process in processes:
            await process.wait()

    def _finding(self, rank: int, code: int) -> str:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        tail = self.files.log_tail(rank)
        return f"rank {rank} of {self.size} {how}" + (f"\n{tail}" if tail and code > 0 else "")


def _free_port() -> int:
    """A port that was free: where it is taken before rank 0 listens, the gang begins again with another."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
