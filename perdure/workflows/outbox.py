"""Calls on their way: when one is sent, by which activity, what its answer is.

The server ends a run, or leaves it stuck for ever, when too much is pending or too much is sent at
once (measured: 2,000 pending activities, 4 MB in one workflow task). So calls wait here for their
place in a window, and for the next activation when this one has sent its share.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, ApplicationError

from perdure.directory import Directory, Placement
from perdure.engine.messages import AgentCompleted, AgentFailed, RunAgent
from perdure.engine.turns import Expected, Turns
from perdure.payloads import TOO_LARGE_FOR_LOCAL, RunRequest
from perdure.wire import pack, unpack
from perdure.workflows import activity_options
from perdure.workflows.calls import agent_call, failure
from perdure.workflows.progress import Progress
from perdure.workflows.share import Share
from perdure.workflows.values import MAX_INLINE, packed

MAX_PENDING: Final = 500
"""Remote calls in flight."""

MAX_PENDING_BYTES: Final = 2_000_000
"""Bytes of inputs of remote calls in flight, but for a single larger one: results are often as large,
and the server writes those that arrive during a workflow task together with what the task sends.
"""

MAX_LOCAL: Final = 40
"""Local calls in flight."""


@dataclass(slots=True)
class Outbox:
    """The calls of one run. `wake` is told of every answer; while `held`, nothing is sent."""

    request: RunRequest
    progress: Progress
    turns: Turns
    share: Share
    wake: Callable[[], None]
    placement: Placement = field(default_factory=lambda: Placement(Directory()))
    held: bool = False
    _waiting: deque[RunAgent] = field(default_factory=deque[RunAgent])
    _open: dict[int, asyncio.Task[Any]] = field(default_factory=dict[int, asyncio.Task[Any]])
    _local: set[int] = field(default_factory=set[int])
    _local_open: int = 0
    _expected: dict[int, Expected] = field(default_factory=dict[int, Expected])
    _sizes: dict[int, int] = field(default_factory=dict[int, int])
    _pending_bytes: int = 0

    def call(self, command: RunAgent, place: Expected | None = None) -> None:
        """Sends a call, now or when there is room. `place` is one that it had in another run of the chain."""
        if self.placement.is_local(command):
            self._expected[command.call] = place or self.turns.expect(command.call)
            self._local.add(command.call)
        elif place is not None:
            place.dropped = True
        self._waiting.append(command)
        self.pump()

    def drop(self, call: int) -> None:
        """Nobody waits for this call any more."""
        task = self._open.pop(call, None)
        if task is not None:
            task.cancel()
        self._local.discard(call)
        place = self._expected.pop(call, None)
        if place is not None:
            place.dropped = True
        self._waiting = deque(command for command in self._waiting if command.call != call)

    def close(self) -> None:
        """The run is over: whatever is still running is told to stop."""
        self._waiting.clear()
        for task in self._open.values():
            task.cancel()

    def is_idle(self) -> bool:
        """Whether nothing is on its way."""
        return not self._open

    def pump(self) -> None:
        """Sends waiting calls while there is room."""
        while not self.held and self._waiting and self._has_room(self._waiting[0]) and self.share.has_room():
            self._send(self._waiting.popleft())

    def _has_room(self, command: RunAgent) -> bool:
        if command.call in self._local:
            return self._local_open < MAX_LOCAL
        return len(self._sizes) < MAX_PENDING and self._pending_bytes < MAX_PENDING_BYTES

    def _send(self, command: RunAgent) -> None:
        """Sends a call; one with large inputs when they are in the store."""
        arguments = pack(agent_call(command, self.placement.is_bypassed(command.agent)), limited=False)
        if len(arguments.payload.data) <= MAX_INLINE:
            self._start(command, arguments)
            return
        self._sizes[command.call] = 0
        task = asyncio.create_task(packed(arguments, self.placement.has_store))
        self._open[command.call] = task
        task.add_done_callback(lambda done: self._packed(command, done))

    def _packed(self, command: RunAgent, task: asyncio.Task[RawValue]) -> None:
        self._sizes.pop(command.call, None)
        if self._open.get(command.call) is not task or task.cancelled():
            return
        del self._open[command.call]
        error = task.exception()
        if error is None:
            self._start(command, task.result())
            return
        self._arrive(AgentFailed(command.call, f"{command.path}: its inputs: {error}", final=True))
        self.pump()

    def _start(self, command: RunAgent, arguments: RawValue) -> None:
        size = len(arguments.payload.data)
        self.share.add(size)
        is_local = command.call in self._local
        if is_local:
            self._local_open += 1
            handle = workflow.start_local_activity(
                command.agent,
                arguments,
                result_type=RawValue,
                **activity_options.local(command.options, command.path),
            )
        else:
            self._sizes[command.call] = size
            self._pending_bytes += size
            handle = self._start_remote(command, arguments)
        self._open[command.call] = handle
        handle.add_done_callback(lambda task: self._answered(command, task, is_local))

    def _start_remote(self, command: RunAgent, arguments: RawValue) -> workflow.ActivityHandle[Any]:
        queue = self.placement.queue(command) or self.request.queue
        self.progress.sent_to(command.path, queue)
        return workflow.start_activity(
            command.agent,
            arguments,
            result_type=RawValue,
            **activity_options.remote(command.options, command.path, queue),
        )

    def _answered(self, command: RunAgent, task: asyncio.Task[Any], was_local: bool) -> None:
        self._local_open -= was_local
        self._pending_bytes -= self._sizes.pop(command.call, 0)
        if self._open.get(command.call) is not task:
            return  # dropped: nobody waits for the answer
        del self._open[command.call]
        error = None if task.cancelled() else task.exception()
        if task.cancelled():
            self._arrive(AgentFailed(command.call, "cancelled", final=True))
        elif error is None:
            if was_local:
                self.share.add(len(task.result().payload.data), calls=0)
            self.progress.arrived_beside(command.path, task.result())
            self._arrive(AgentCompleted(command.call, unpack(task.result())))
        elif was_local and _is_too_large(error):
            self._local.discard(command.call)
            self._waiting.appendleft(command)
        else:
            self._arrive(failure(command.call, error))
        self.pump()

    def _arrive(self, event: AgentCompleted | AgentFailed) -> None:
        """Hands an answer on: in its turn where it has one, else as it comes."""
        self._local.discard(event.call)
        place = self._expected.pop(event.call, None)
        if place is None:
            self.turns.arrive(event)
        else:
            place.event = event
        self.wake()


def _is_too_large(error: BaseException) -> bool:
    cause = error.cause if isinstance(error, ActivityError) else error
    return isinstance(cause, ApplicationError) and cause.type == TOO_LARGE_FOR_LOCAL
