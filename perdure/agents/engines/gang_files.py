"""The folder of a gang: what its processes receive, what they keep and return, and their logs.

It is named after the idempotency key of the call, so an attempt that follows the death of a worker, on the
same disk, continues at the last checkpoint. Files are written under another name and renamed: there is no
half of one.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from temporalio.api.common.v1 import Payload

from perdure.agents.invoke import normal
from perdure.protocol.numpy_arrays import with_arrays
from perdure.protocol.wire import from_payload, to_payload

_CHECKPOINT: Final = re.compile(r"checkpoint-(\d+)")

MAX_LOG_TAIL_CHARS: Final = 2_000
"""Characters of the log of a rank that the failure of a gang shows."""


@dataclass(frozen=True, slots=True)
class GangFiles:
    """The files of one gang in its folder."""

    folder: Path

    def begin(self, job: dict[str, Any]) -> None:
        """What all processes receive, for a new start of the gang. Checkpoints stay."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for stale in (*self.folder.glob("address-*"), *self.folder.glob("ready-*"), self.folder / "result"):
            stale.unlink(missing_ok=True)
        self._write("job", job)

    def job(self) -> dict[str, Any]:
        """What `begin` has written."""
        return self._read(self.folder / "job")

    def save(self, step: int, value: Any) -> None:
        """Keeps the state after a step, in place of earlier ones."""
        self._write(f"checkpoint-{step}", value)
        for other, path in self._checkpoints():
            if other < step:
                path.unlink(missing_ok=True)

    def checkpoint(self) -> tuple[int, Any]:
        """The last checkpoint and its step; 0 and None without one."""
        steps = self._checkpoints()
        return (steps[-1][0], self._read(steps[-1][1])) if steps else (0, None)

    def step(self) -> int:
        """The step of the last checkpoint."""
        steps = self._checkpoints()
        return steps[-1][0] if steps else 0

    def write_result(self, value: Any) -> None:
        """What rank 0 returns."""
        self._write("result", value)

    def result(self) -> Any:
        """The same."""
        return self._read(self.folder / "result")

    def write_ready(self, rank: int) -> None:
        """The process has loaded its function."""
        self._move(json.dumps(rank).encode(), f"ready-{rank}")

    def ready_count(self) -> int:
        """How many processes have."""
        return len([*self.folder.glob("ready-*")])

    def write_address(self, rank: int, host: str, port: int) -> None:
        """Where the rank listens."""
        self._move(json.dumps([host, port]).encode(), f"address-{rank}")

    def address(self, rank: int) -> tuple[str, int] | None:
        """The same, None as long as it is unknown."""
        path = self.folder / f"address-{rank}"
        if not path.exists():
            return None
        host, port = json.loads(path.read_bytes())
        return host, port

    def write_finished(self) -> None:
        """All parts of the gang, on all hosts, have ended well."""
        self._move(b"", "finished")

    def is_finished(self) -> bool:
        """The same."""
        return (self.folder / "finished").exists()

    def checkpoint_data(self) -> tuple[int, bytes]:
        """The last checkpoint as it is in its file, and its step; nothing and 0 without one."""
        steps = self._checkpoints()
        return (steps[-1][0], steps[-1][1].read_bytes()) if steps else (0, b"")

    def keep_checkpoint(self, step: int, data: bytes) -> None:
        """The checkpoint of another host, in place of all that are here."""
        for _, path in self._checkpoints():
            path.unlink(missing_ok=True)
        if step:
            self._move(data, f"checkpoint-{step}")

    def log(self, rank: int) -> Path:
        """What a process prints."""
        return self.folder / f"rank-{rank}.log"

    def log_tail(self, rank: int) -> str:
        """The end of it."""
        path = self.log(rank)
        return path.read_text(errors="replace")[-MAX_LOG_TAIL_CHARS:].strip() if path.exists() else ""

    def remove(self) -> None:
        """The gang is over: its logs stay, and on several hosts what another attempt of the call needs."""
        kept = ("finished", "result") if self.is_finished() else ()
        for path in self.folder.iterdir():
            if not path.name.endswith(".log") and path.name not in kept:
                path.unlink(missing_ok=True)

    def forget(self) -> None:
        """Removes everything."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _checkpoints(self) -> list[tuple[int, Path]]:
        matches = [
            (match, path)
            for path in self.folder.glob("checkpoint-*")
            if (match := _CHECKPOINT.fullmatch(path.name))
        ]
        return sorted((int(match[1]), path) for match, path in matches)

    def _write(self, name: str, value: Any) -> None:
        self._move(to_payload(normal("a gang", value), limited=False).SerializeToString(), name)

    def _move(self, data: bytes, name: str) -> None:
        part = self.folder / f"{name}.part"
        part.write_bytes(data)
        part.replace(self.folder / name)

    def _read(self, path: Path) -> Any:
        return with_arrays(from_payload(Payload.FromString(path.read_bytes())))
