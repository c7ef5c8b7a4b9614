"""Other processes: what they have used of the machine, and those that answer in lines of JSON."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parents[1]
PROC = Path("/proc")
_PROCESS_CLOCK = 2
"""Of the clocks that Linux has for each process, that of the time it has been executed, in nanoseconds."""
LINE = 64 << 20
"""Bytes that one answer may have."""


class Failed(Exception):
    """A side could not do its work; the message says why."""


class Missing(Failed):
    """Something that this comparison needs is not there."""


def cpu(pids: Sequence[int]) -> float | None:
    """Seconds of processor time that the processes have used; None where the system does not say."""
    if sys.platform != "linux":
        return None
    return sum(time.clock_gettime(~pid << 3 | _PROCESS_CLOCK) for pid in pids)


def _stat(pid: int) -> list[str]:
    return PROC.joinpath(str(pid), "stat").read_text().rpartition(")")[2].split()


def children(pid: int) -> list[int]:
    """The processes that this one has started."""
    pids: list[int] = []
    for path in PROC.glob("[0-9]*"):
        try:
            if int(_stat(int(path.name))[1]) == pid:
                pids.append(int(path.name))
        except (OSError, IndexError):
            continue  # it has ended meanwhile
    return pids


def memory(pid: int, what: str = "VmRSS") -> float | None:
    """MiB that a process has in memory; VmHWM for the most that it had. None where unknown."""
    path = PROC / str(pid) / "status"
    if not path.exists():
        return None
    for line in path.read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) / 1024
    return None


def is_setting(name: str) -> bool:
    """Whether this variable could make a difference to what is measured."""
    return name.startswith(("TEMPORAL_", "PERDURE_")) and name != "PERDURE_BENCH_CACHE"


def environment(**more: str) -> dict[str, str]:
    """The environment of a process that finds this checkout and no server but the one it is passed."""
    kept = {name: text for name, text in os.environ.items() if not is_setting(name)}
    return {**kept, "PYTHONPATH": str(ROOT), "TEMPORAL_CONFIG_FILE": str(ROOT / "no-profiles.toml"), **more}


@dataclass
class Talker:
    """A process that answers each line of JSON on stdin with one on stdout."""

    process: asyncio.subprocess.Process
    complaints: IO[bytes]
    about: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What it said when it was ready: its `versions` and its `durability`."""

    @classmethod
    async def start(cls, words: Sequence[str], env: Mapping[str, str], **more: Any) -> Talker:
        """Starts it and waits until it is ready. Raises Missing with its reason when it cannot serve."""
        pipe = asyncio.subprocess.PIPE
        complaints = tempfile.TemporaryFile()  # noqa: SIM115 -- the talker keeps it, and closes it
        try:
            process = await asyncio.create_subprocess_exec(
                *words, env=env, stdin=pipe, stdout=pipe, stderr=complaints, limit=LINE, **more
            )
        except FileNotFoundError as error:
            raise Missing(f"no program {words[0]!r}") from error
        talker = cls(process, complaints)
        try:
            talker.about = await talker.heard()
        except Failed as error:
            raise Missing(str(error)) from error
        return talker

    async def ask(self, **request: Any) -> Mapping[str, Any]:
        """The answer to a request. Raises Failed with what went wrong."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        await self.process.stdin.drain()
        return await self.heard()

    async def heard(self) -> Mapping[str, Any]:
        """The next line. Raises Failed when it reports an error, or the process has ended."""
        assert self.process.stdout is not None
        while (line := await self.process.stdout.readline()) and not line.startswith(b"{"):
            pass  # a library that prints
        if not line:
            self.complaints.seek(0)
            said = self.complaints.read().decode(errors="replace").strip()
            raise Failed(said.splitlines()[-1] if said else "the process ended without a word")
        answer = json.loads(line)
        if "error" in answer:
            raise Failed(answer["error"])
        return answer

    async def stop(self) -> None:
        """Ends it."""
        if self.process.returncode is None:
            self.process.terminate()
            await self.process.wait()
        self.complaints.close()
