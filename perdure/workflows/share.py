"""What one workflow task may send: the server refuses too much at once, and then ends the run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from perdure.workflows.host import Host

MAX_CALLS: Final = 200
"""Calls of one workflow task."""

MAX_BYTES: Final = 1_500_000
"""Bytes of one workflow task: inputs of remote calls and results of local ones."""

MAX_SECONDS: Final = 1.0
"""Seconds of segments in one workflow task: nothing else reaches the run meanwhile, not its cancellation."""

BREATH: Final = 0.001
"""Seconds of the timer that ends a workflow task which has sent its share."""


@dataclass(slots=True)
class Share:
    """Counts what this workflow task has sent and waited for, and in `total` the bytes of the run, both ways.

    `wake` is told when the next workflow task has begun.
    """

    host: Host
    wake: Callable[[], None]
    total: int = 0
    _task: int = -1
    _calls: int = 0
    _bytes: int = 0
    _seconds: float = 0.0
    _breath: asyncio.Task[None] | None = None

    def add(self, size: int, calls: int = 1, seconds: float = 0.0) -> None:
        """So many calls and bytes were sent; a segment took so long."""
        self._begin()
        self._calls += calls
        self._bytes += size
        self._seconds += seconds
        self.total += size

    def count(self, size: int) -> None:
        """So many bytes came in: nothing that this workflow task sends."""
        self.total += size

    def has_room(self) -> bool:
        """Whether more may be sent now; where not, the next workflow task begins as soon as can be."""
        self._begin()
        if self._calls < MAX_CALLS and self._bytes < MAX_BYTES and self._seconds < MAX_SECONDS:
            return True
        if self._breath is None:
            # Local activities alone would go on inside this workflow task, whatever they return.
            self._breath = asyncio.create_task(self.host.sleep(BREATH, "end of a workflow task"))
            self._breath.add_done_callback(self._breathed)
        return False

    def is_waiting(self) -> bool:
        """Whether the next workflow task is waited for."""
        return self._breath is not None

    def close(self) -> None:
        """The run is over."""
        if self._breath is not None:
            self._breath.cancel()

    def _begin(self) -> None:
        task = self.host.history_events()
        if task != self._task:
            self._task, self._calls, self._bytes, self._seconds = task, 0, 0, 0.0

    def _breathed(self, breath: asyncio.Task[None]) -> None:
        del breath
        self._breath = None
        self.wake()
