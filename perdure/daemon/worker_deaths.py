"""The runs that were at work when a worker process died, counted from the journals that such processes leave.

See perdure.daemon.work_journal for why. The counts are in one file next to the journals, which all workers of
the folder share; the first that finds the journal of a dead process adds what is in it, and removes it.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from perdure.daemon.locks import held, locked
from perdure.errors import ConnectionFailed

LOG = logging.getLogger("perdure")

Item = TypeVar("Item")

TASK: Final = "task"
"""The kind of a mark: a workflow task. Its place is the history event up to which the run had come."""

CALLS: Final = "calls"
"""The kind of a mark: calls of agents next to the run. Its place is the call at work, "" before the first."""

MAX_DEATHS_COUNT: Final = 1_000
"""Runs, and calls, of which it is kept that a process died with them at work; the newest."""

DEATHS_CHECK_INTERVAL_S: Final = 1.0
"""Seconds between two looks for processes that have died: the server gives a task back after ten."""

DEATHS_LOCK_TIMEOUT_S: Final = 5.0
"""Seconds to wait for another process that counts."""

SUFFIX: Final = ".journal"


@dataclass(frozen=True, slots=True)
class Mark:
    """What was at work. `name` is the id of the run, or the beginning of it."""

    kind: str
    run: str
    name: str
    place: str


@dataclass(frozen=True, slots=True)
class TaskDeaths:
    """How many processes died with a run at work in its workflow tasks, which never came beyond `place`."""

    place: int
    count: int


@dataclass(slots=True)
class WorkerDeaths:
    """What is known of dead processes in `folder`; `read_marks` gives what was at work by the file of one."""

    folder: Path
    read_marks: Callable[[bytes], Iterable[Mark]]
    tasks: dict[str, TaskDeaths] = field(default_factory=dict[str, TaskDeaths])
    calls: dict[tuple[str, str], None] = field(default_factory=dict[tuple[str, str], None])
    _read_version: tuple[int, int] = (0, 0)
    _looked_at: float = -DEATHS_CHECK_INTERVAL_S

    def look(self, own: Path | None) -> None:
        """Counts the processes that have died. `own` is the journal of this one. Often called: cheap."""
        now = time.monotonic()
        if now - self._looked_at < DEATHS_CHECK_INTERVAL_S:
            return
        self._looked_at = now
        try:
            journals = [path for path in self.folder.iterdir() if path.suffix == SUFFIX and path != own]
            left = [path for path in journals if not held(path)]
            if left:
                self._count(left)
            else:
                self._read()
        except (OSError, ConnectionFailed) as error:
            LOG.warning("%s: processes that have died cannot be counted: %s", self.folder, error)

    def forget(self, run: str) -> None:
        """The run has come further than it was when a process died."""
        try:
            with self._locked():
                self._read()
                if self.tasks.pop(run, None) is not None:
                    self._write()
        except (OSError, ConnectionFailed) as error:
            LOG.warning("%s: cannot be written: %s", self._file, error)

    @property
    def _file(self) -> Path:
        return self.folder / "deaths.json"

    def _locked(self) -> Any:
        return locked(self.folder / "deaths.lock", DEATHS_LOCK_TIMEOUT_S, "another process counts deaths")

    def _count(self, journals: Iterable[Path]) -> None:
        with self._locked():
            self._read()
            for path in journals:
                try:
                    data = path.read_bytes()
                except FileNotFoundError:  # another process was faster
                    continue
                path.unlink(missing_ok=True)
                for mark in self.read_marks(data):
                    self._add(mark, path.stem.partition("-")[0])
            self._write()

    def _add(self, mark: Mark, pid: str) -> None:
        if mark.kind == CALLS:
            at = f"the call {mark.place}" if mark.place else "a segment"
            self.calls.pop((mark.run, mark.place), None)
            self.calls[mark.run, mark.place] = None
        else:
            place, deaths = int(mark.place), self.tasks.pop(mark.run, None)
            at = f"its workflow task after event {place}"
            if deaths is None or place > deaths.place:
                deaths = TaskDeaths(place, 0)
            self.tasks[mark.run] = TaskDeaths(deaths.place, deaths.count + 1)
        LOG.warning("process %s ended while run %s was at work in %s", pid, mark.name, at)

    def _read(self) -> None:
        try:
            version = self._version()
            if version == self._read_version:
                return
            record = json.loads(self._file.read_bytes())
            self.tasks = {
                str(run): TaskDeaths(int(place), int(count)) for run, place, count in record["tasks"]
            }
            self.calls = {(str(run), str(place)): None for run, place in record["calls"]}
            self._read_version = version
        except FileNotFoundError:
            self.tasks, self.calls = {}, {}
        except (ValueError, TypeError, KeyError) as error:
            LOG.warning("%s is damaged, and begun again: %s", self._file, error)
            self.tasks, self.calls = {}, {}

    def _write(self) -> None:
        self.tasks, self.calls = dict(_newest(self.tasks.items())), dict(_newest(self.calls.items()))
        record = {
            "tasks": [(run, deaths.place, deaths.count) for run, deaths in self.tasks.items()],
            "calls": list(self.calls),
        }
        part = self._file.with_suffix(".part")
        part.write_text(json.dumps(record))
        part.replace(self._file)
        self._read_version = self._version()

    def _version(self) -> tuple[int, int]:
        """Another one each time that the file is written: within a tick of the clock it is another file."""
        stat = self._file.stat()
        return stat.st_mtime_ns, stat.st_ino


def _newest(items: Iterable[Item]) -> Iterator[Item]:
    return iter(list(items)[-MAX_DEATHS_COUNT:])
