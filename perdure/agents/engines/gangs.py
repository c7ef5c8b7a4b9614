"""Gangs: the processes of one call, which begin together, end together, and are begun again together.

Why
    Ranks of a collective wait for each other. One that is missing keeps all others waiting forever, and one
    that is replaced alone finds no peers. So they are one thing: none runs its function before all are ready,
    and where one ends badly, all are ended and begun again at the last checkpoint.

Invariants
    No process of a gang outlives its worker: each ends when its standard input does. A start has a port of
    its own, so that it meets nothing of an earlier one.

    On several hosts, each has a part of the gang, whose processes are one thing with those of the others
    (perdure.agents.engines.meeting).

Rejected
    An activity for each rank, on any worker: the server offers them one by one, and two gangs that each have
    half of the slots wait for each other.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from perdure.agents.engines.gang_files import GangFiles
from perdure.agents.engines.meeting import Meeting
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
    meeting: Meeting | None = None
    _processes: dict[int, asyncio.subprocess.Process] = field(
        default_factory=dict[int, asyncio.subprocess.Process]
    )

    @property
    def size(self) -> int:
        """How many processes it has on all hosts."""
        return int(self.job["size"])

    @property
    def ranks(self) -> Sequence[int]:
        """Those that are here."""
        return range(self.size) if self.meeting is None else [self.meeting.rank]

    async def run(self) -> Any:
        """The result of rank 0, None on other hosts.

        Raises AgentError where the gang ends badly too often without progress.
        """
        left = self.restarts
        while True:
            step = self.files.step()
            failed = None if self.files.is_finished() else await self._attempt()
            if failed is None:
                return self.files.result() if 0 in self.ranks else None
            if self.files.step() > step:
                left = self.restarts
            if left == 0:
                raise AgentError(failed)
            left -= 1
            self.log(f"{failed.splitlines()[0]}; all ranks begin again after step {self.files.step()}")

    async def _attempt(self) -> str | None:
        """Begins all processes and waits for their end: None, or why one ended badly."""
        self.files.begin({"port": _free_port(), **self.job})
        try:
            for rank in self.ranks:
                self._processes[rank] = await self._begin(rank)
            failed = await self._gather()
            if failed is not None or self.meeting is None:
                return failed or await self._let_go()
            async with self.meeting.met():
                return await self._together(self.meeting)
        finally:
            await self._end()

    async def _let_go(self) -> str | None:
        for process in self._processes.values():
            assert process.stdin is not None
            with suppress(ConnectionError):
                process.stdin.write(b"go\n")
                await process.stdin.drain()
        return await self._finish()

    async def _together(self, meeting: Meeting) -> str | None:
        """As the others, until all have ended well, or one is lost."""
        others = asyncio.create_task(meeting.lost())
        here = asyncio.create_task(self._let_go())
        try:
            await asyncio.wait({others, here}, return_when=asyncio.FIRST_COMPLETED)
            if not here.done() and not others.exception():
                await here  # the others were faster
            if not here.done():
                return str(others.exception())
            failed = here.result()
            if failed is None:
                await meeting.finish(others)
            return failed
        except ConnectionError as error:
            return str(error)
        finally:
            for task in (others, here):
                task.cancel()
            await asyncio.gather(others, here, return_exceptions=True)

    async def _begin(self, rank: int) -> asyncio.subprocess.Process:
        words = (sys.executable, "-m", "perdure.agents.engines.rank", str(self.files.folder), str(rank))
        with self.files.log(rank).open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *words, stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log
            )

    async def _gather(self) -> str | None:
        """Waits until all that are here are ready."""
        limit = float(self.job["gather"])
        with suppress(TimeoutError):
            async with asyncio.timeout(limit):
                while self.files.ready_count() < len(self.ranks):
                    for rank, process in self._processes.items():
                        if process.returncode is not None:
                            return self._finding(rank, process.returncode)
                    await asyncio.sleep(LOOK_INTERVAL_S)
                return None
        ready = self.files.ready_count()
        raise TransientError(f"{ready} of {len(self.ranks)} ranks are ready after {limit:g} s: all are ended")

    async def _finish(self) -> str | None:
        """Waits for all, or for the first that ends badly."""
        waits = {asyncio.create_task(process.wait()): rank for rank, process in self._processes.items()}
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
        processes = [*self._processes.values()]
        self._processes.clear()
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
