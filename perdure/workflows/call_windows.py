"""How many calls are in flight: those of activities elsewhere, and those of local activities."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from perdure.engine.messages import RunAgent

MAX_KEPT_INPUT_BYTES: Final = 8_000_000
"""Bytes of inputs on their way to the store, except a single larger one: the worker holds copies of each."""


@dataclass(slots=True)
class RemoteWindow:
    """Activities on task queues, each with its bytes of input; a batch is one, under its first call.

    An input that is brought to the store first is in a local activity meanwhile, and is copied several times
    on its way there: in runs that keep inputs in turn, MAX_KEPT_INPUT_BYTES are on this way at a time.
    """

    max_count: int
    max_bytes: int
    keeps_in_turn: bool = False
    _sizes: dict[int, int] = field(default_factory=dict[int, int])
    _bytes: int = 0
    _kept: dict[int, int] = field(default_factory=dict[int, int])
    _kept_bytes: int = 0

    def has_room(self) -> bool:
        """Whether another may begin: it may be larger than the room that is left."""
        return len(self._sizes) < self.max_count and self._bytes < self.max_bytes

    def may_keep(self) -> bool:
        """Whether another input may be brought to the store, if the next call has a large one."""
        return self._kept_bytes < MAX_KEPT_INPUT_BYTES or not self.keeps_in_turn

    def add(self, call: int, size: int) -> None:
        """One begins; of `size` 0 while its input is brought to the store."""
        self._sizes[call] = size
        self._bytes += size

    def keep(self, call: int, size: int) -> None:
        """One begins whose input of `size` bytes is brought to the store first."""
        self.add(call, 0)
        self._kept[call] = size
        self._kept_bytes += size

    def remove(self, call: int) -> None:
        """One is over, or its input is in the store."""
        self._bytes -= self._sizes.pop(call, 0)
        self._kept_bytes -= self._kept.pop(call, 0)


@dataclass(slots=True)
class LocalWindow:
    """Calls that are to be local activities, and how many of them are in flight."""

    max_count: int
    _calls: set[int] = field(default_factory=set[int])
    _count: int = 0

    def __contains__(self, call: int) -> bool:
        return call in self._calls

    def has_room(self) -> bool:
        """Whether another may begin."""
        return self._count < self.max_count

    def choose(self, call: int) -> None:
        """The call is to be a local activity."""
        self._calls.add(call)

    def forget(self, call: int) -> None:
        """The call is over, or is to be an activity elsewhere."""
        self._calls.discard(call)

    def add(self) -> None:
        """One begins."""
        self._count += 1

    def remove(self) -> None:
        """One is over."""
        self._count -= 1


@dataclass(slots=True)
class OpenCalls:
    """What works for each call that is on its way; calls of a batch share one task."""

    _tasks: dict[int, asyncio.Task[Any]] = field(default_factory=dict[int, asyncio.Task[Any]])

    def is_empty(self) -> bool:
        """Whether nothing is on its way."""
        return not self._tasks

    def add(self, batch: list[RunAgent], task: asyncio.Task[Any]) -> None:
        """`task` works for these calls, in place of what did before."""
        for command in batch:
            self._tasks[command.call] = task

    def take(self, batch: list[RunAgent], task: asyncio.Task[Any]) -> list[RunAgent]:
        """`task` is done: those calls of its batch that were not cancelled meanwhile."""
        still_open = [command for command in batch if self._tasks.get(command.call) is task]
        for command in still_open:
            del self._tasks[command.call]
        return still_open

    def drop(self, call: int) -> None:
        """The call was cancelled; so is its task, once no other call shares it."""
        task = self._tasks.pop(call, None)
        if task is not None and task not in self._tasks.values():
            task.cancel()

    def close(self) -> None:
        """The run is over: whatever is still running is cancelled."""
        for task in self._tasks.values():
            task.cancel()


@dataclass(slots=True)
class ActivityNames:
    """What activities are named after: the path of their call, with a number while another may have its name.

    Why: the server refuses an activity with the id of one that is pending. One that was cancelled is, until
    its worker has heard of it, and so is that of a batch of which one call is made again.
    """

    is_patched: Callable[[], bool]
    _taken: dict[str, int] = field(default_factory=dict[str, int])

    def take(self, path: str) -> str:
        """The name of the next activity for the call at this path."""
        count = self._taken.get(path, 0)
        self._taken[path] = count + 1
        return f"{path}~{count + 1}" if count and self.is_patched() else path

    def release(self, path: str) -> None:
        """The activity for this call is over; if there are several, their names stay taken."""
        if self._taken.get(path) == 1:
            del self._taken[path]
