"""Who serves the queues that nodes name: workers of Perdure, or activities that know nothing of it.

Why
    An agent of a worker of Perdure sends heartbeats, keeps its node's `timeout` and types its errors, so a
    call of one may be repeated without harm. An activity of another worker does none of that: with the
    same limits, one of fifteen seconds would be repeated forever, and one that raises, for a week.

Invariants
    Before the first call on a queue that a node names, the run asks the queue for its agents, once. The
    answer is in the history. Calls on that queue wait for it, as they wait for a worker anyway.
    A queue that gives no answer in time is treated as Perdure's: repeating is safer than losing.

Rejected
    A key of the node that declares a foreign activity: who forgets it gets the endless loop.
    To conclude it from the heartbeats of an attempt: a worker that died early looks like one without any.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

from perdure.engine.messages import RunAgent
from perdure.protocol.agents import AgentRegistry, Placement
from perdure.protocol.names import DIRECTORY
from perdure.protocol.wire import is_untrusted, pack, unpack
from perdure.workflows.activity_options import CALL_DEADLINE
from perdure.workflows.calls import NOT_REGISTERED
from perdure.workflows.host import Host, own

_ASKING: Final = {
    "start_to_close_timeout": timedelta(seconds=10),
    "schedule_to_close_timeout": CALL_DEADLINE,
    "retry_policy": RetryPolicy(maximum_attempts=3, non_retryable_error_types=NOT_REGISTERED),
}


@dataclass(slots=True)
class QueueAgents:
    """The agents of the queues that nodes of a run on `queue` name."""

    host: Host
    placement: Placement
    queue: str
    _names: dict[str, frozenset[str] | None] = field(default_factory=dict[str, frozenset[str] | None])
    _held: dict[str, list[RunAgent]] = field(default_factory=dict[str, list[RunAgent]])
    _tasks: dict[str, asyncio.Task[RawValue]] = field(default_factory=dict[str, asyncio.Task[RawValue]])

    def is_unknown(self, command: RunAgent) -> bool:
        """Whether the call has to wait until its queue has said which agents it has."""
        queue = command.options.queue
        if not self.placement.asks_queues or queue is None or queue == self.queue:
            return False
        return queue not in self._names

    def is_foreign(self, command: RunAgent) -> bool:
        """Whether the call goes to an activity that is not an agent of a worker of Perdure."""
        queue = command.options.queue
        if not self.placement.asks_queues or queue is None or self.placement.is_bypassed(command.agent):
            return False
        names = self.placement.names if queue == self.queue else self._names[queue]
        return names is not None and command.agent not in names

    def hold(self, command: RunAgent, answered: Callable[[list[RunAgent]], None]) -> bool:
        """Keeps the call until its queue has answered; True where that had to be asked.

        `answered` receives all calls that were kept for the queue and not dropped.
        """
        queue = command.options.queue or self.queue
        is_first = queue not in self._held
        self._held.setdefault(queue, []).append(command)
        if is_first:
            task = self.host.start_activity(
                DIRECTORY,
                pack(None),
                task_queue=queue,
                activity_id=f"{DIRECTORY}@{queue}",
                summary=f"the agents of queue {queue}",
                **_ASKING,
            )
            self._tasks[queue] = task
            task.add_done_callback(lambda done: self._answered(queue, done, answered))
        return is_first

    def drop(self, call: int) -> None:
        """The call was cancelled."""
        for queue, held in self._held.items():
            self._held[queue] = [command for command in held if command.call != call]

    def close(self) -> None:
        """The run is over."""
        for task in self._tasks.values():
            task.cancel()

    def _answered(
        self, queue: str, task: asyncio.Task[RawValue], answered: Callable[[list[RunAgent]], None]
    ) -> None:
        del self._tasks[queue]
        held = self._held.pop(queue)
        if not task.cancelled():  # then the run is over
            self._names[queue] = _names(task)
            answered(held)


def _names(task: asyncio.Task[RawValue]) -> frozenset[str] | None:
    """The agents in the answer: none of a worker that is not Perdure's, None without an answer."""
    error = task.exception()
    if error is not None:
        cause = error.cause if isinstance(error, ActivityError) else error
        return frozenset() if isinstance(cause, ApplicationError) else None
    raw = own(task.result())
    if is_untrusted(raw.payload):
        return None  # treated as Perdure's, whose answers are signed
    try:
        registry: Any = unpack(raw, AgentRegistry)
        return frozenset(registry.names())
    except Exception:  # a worker whose activities take any name has answered with something else
        return frozenset()
