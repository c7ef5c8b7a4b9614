"""What one workflow task may send: the server refuses too much at once, and then ends the run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from perdure.workflows.host import Host

MAX_TASK_CALL_COUNT: Final = 200
"""Calls of one workflow task."""

MAX_TASK_BYTES: Final = 1_500_000
"""Bytes of one workflow task: inputs of remote calls and results of local ones."""

MAX_TASK_SEGMENT_S: Final = 1.0
"""Seconds of segments in one workflow task: nothing else reaches the run meanwhile, not its cancellation."""

END_OF_TASK_TIMER_S: Final = 0.001
"""Seconds of the timer that ends a workflow task which has sent its share."""


@dataclass(slots=True)
class WorkflowTaskBudget:
    """Counts what this workflow task has sent and waited for, and in `total` the bytes of the run, both ways.

    `notify` is called when the next workflow task has begun.
    """

    host: Host
    notify: Callable[[], None]
    total: int = 0
    _task: int = -1
    _calls: int = 0
    _bytes: int = 0
    _seconds: float = 0.0
    _end_of_task: asyncio.Task[None] | None = None

    def add(self, size: int, calls: int = 1, seconds: float = 0.0) -> None:
        """Counts calls and bytes that were sent, and the seconds of a segment."""
        self._begin()
        self._calls += calls
        self._bytes += size
        self._seconds += seconds
        self.total += size

    def count(self, size: int) -> None:
        """Counts bytes that came in: nothing that this workflow task sends."""
        self.total += size

    def has_room(self) -> bool:
        """Whether more may be sent now; where not, the next workflow task begins as soon as can be."""
        self._begin()
        if (
            self._calls < MAX_TASK_CALL_COUNT
            and self._bytes < MAX_TASK_BYTES
            and self._seconds < MAX_TASK_SEGMENT_S
        ):
            return True
        if self._end_of_task is None:
            # Local activities alone would continue inside this workflow task, whatever they return.
            self._end_of_task = asyncio.create_task(
                self.host.sleep(END_OF_TASK_TIMER_S, "end of a workflow task")
            )
            self._end_of_task.add_done_callback(self._task_ended)
        return False

    def is_waiting(self) -> bool:
        """Whether the next workflow task is waited for."""
        return self._end_of_task is not None

    def close(self) -> None:
        """The run is over."""
        if self._end_of_task is not None:
            self._end_of_task.cancel()

    def _begin(self) -> None:
        task = self.host.history_events()
        if task != self._task:
            self._task, self._calls, self._bytes, self._seconds = task, 0, 0, 0.0

    def _task_ended(self, timer: asyncio.Task[None]) -> None:
        del timer
        self._end_of_task = None
        self.notify()
