"""Calls on their way: when one is sent, by which activity, what its answer is.

Why
    The server ends a run, or leaves it stuck forever, when too much is pending or too much is sent at
    once (measured: 2,000 pending activities, 4 MB in one workflow task). So calls wait here for room in
    a window (call_windows.py), and for the next workflow task when this one has sent its share.

Invariants
    A call is waiting, or on its way, or over. It is answered once, or was dropped: then its activity is
    cancelled, and what it still returns is ignored.
    Calls are sent in the order in which the scheduler made them, except those that join an earlier call
    of their batch. A replay sends the same ones: only counts and sizes decide, never a clock.
    Local activities are taken in the order in which they began (local_order.py), and their answers handed
    on in GraphAI's turns; those of other activities come as they do in the history.

Rejected
    A task per call that waits for a semaphore: a map of 100,000 rows would have as many tasks, and the
    order in which they continue would be the event loop's.
    To begin everything and let the server queue it: its limit on pending activities ends the run.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from temporalio.common import RawValue

from perdure.engine.messages import AgentCompleted, AgentFailed, RunAgent
from perdure.engine.placing.sessions import Sessions
from perdure.engine.turn_order import TurnOrder
from perdure.errors import MalformedPayload
from perdure.protocol.agents import Placement
from perdure.protocol.names import DISTINCT_ACTIVITIES, SEND_AFTER_DRAIN
from perdure.protocol.progress import RunProgress
from perdure.protocol.records import to_lean
from perdure.protocol.wire import is_untrusted, pack, unpack, unwrapped
from perdure.workflows import activity_options, batches, calls
from perdure.workflows.call_windows import ActivityNames, LocalWindow, OpenCalls, RemoteWindow
from perdure.workflows.host import Host, own
from perdure.workflows.local_order import Handler, LocalOrder
from perdure.workflows.queue_agents import QueueAgents
from perdure.workflows.run_values import MAX_INLINE_BYTES, packed
from perdure.workflows.task_budget import WorkflowTaskBudget

MAX_PENDING_COUNT: Final = 500
"""Remote calls in flight."""

MAX_PENDING_BYTES: Final = 2_000_000
"""Bytes of inputs of remote calls in flight, except a single larger one. Results are often as large, and the
server writes those that arrive during a workflow task together with what the task sends."""

MAX_LOCAL_COUNT: Final = 40
"""Local calls in flight."""


@dataclass(slots=True)
class ActivityDispatcher:
    """The calls of one run; `notify` is called with every answer."""

    host: Host
    placement: Placement
    queue: str  # that of the run, for agents that name none
    progress: RunProgress
    turns: TurnOrder
    budget: WorkflowTaskBudget
    notify: Callable[[], None]
    _waiting: deque[RunAgent] = field(default_factory=deque[RunAgent])
    _open: OpenCalls = field(default_factory=OpenCalls)
    local: LocalWindow = field(default_factory=lambda: LocalWindow(MAX_LOCAL_COUNT))
    remote: RemoteWindow = field(default_factory=lambda: RemoteWindow(MAX_PENDING_COUNT, MAX_PENDING_BYTES))
    _names: ActivityNames = field(init=False)
    sessions: Sessions = field(init=False)
    _forged: calls.ForgedAnswers = field(default_factory=calls.ForgedAnswers)
    _queues: QueueAgents = field(init=False)
    _order: LocalOrder = field(init=False)

    def __post_init__(self) -> None:
        self._names = ActivityNames(lambda: self.host.is_patched(DISTINCT_ACTIVITIES))
        self.sessions = Sessions(self.placement.eager_queue)
        self._queues = QueueAgents(self.host, self.placement, self.queue)
        self._order = LocalOrder(self.notify)
        self.remote.keeps_in_turn = self.placement.registry.keeps_in_turn

    def call_agent(self, command: RunAgent) -> None:
        """Sends a call, now or when there is room; one that may not be sent fails."""
        refusal = self.placement.refusal(command, self.queue)
        if refusal is not None:
            self.turns.drop(command.call)
            self._arrive(AgentFailed(command.call, str(refusal), final=True))
            return
        if self.placement.is_local(command):
            self.turns.expect(command.call)
            self.local.choose(command.call)
        else:
            self.turns.drop(command.call)  # it may have had a turn in an earlier run of the chain
        if self.sessions.admits(command):
            self._waiting.append(command)

    def drop(self, call: int) -> None:
        """The call is abandoned."""
        self._open.drop(call)
        self.local.forget(call)
        self._queues.drop(call)
        self._waiting = deque(command for command in self._waiting if command.call != call)
        self.sessions.drop(call)

    def close(self) -> None:
        """The run is over: whatever is still running is cancelled."""
        self._waiting.clear()
        self._open.close()
        self._queues.close()

    def is_idle(self) -> bool:
        """Whether nothing is on its way."""
        return self._open.is_empty()

    def pump(self) -> None:
        """Sends waiting calls while there is room."""
        self._waiting.extend(self.sessions.take_ready())
        while self._waiting and self._may_send(self._waiting[0]):
            self._send(self._waiting.popleft())

    def take_local(self) -> bool:
        """Takes the result of a local activity; False if the next one is not there yet."""
        return self._order.take()

    def release(self) -> None:
        """Sends what waited for a drain that is over, where no answer that is still to come would do it."""
        if self._waiting and self.is_idle() and self.host.is_patched(SEND_AFTER_DRAIN):
            self.pump()

    def _may_send(self, command: RunAgent) -> bool:
        window = self.local if command.call in self.local else self.remote
        return window.has_room() and self.remote.may_keep() and self.budget.has_room()

    def _send(self, command: RunAgent) -> None:
        """Sends a call, with those that may share its activity; large inputs go to the store first."""
        run = self.host.run_id()
        if command.call not in self.local:
            if self._queues.is_unknown(command):
                return self._hold(command)
            if self._queues.is_foreign(command):
                command = replace(command, options=replace(command.options, batch=1))
        if command.options.batch > 1 and command.call not in self.local:
            batch = batches.taken(command, self._waiting)
            self._pack_and_start(batch, batches.request(batch, run, self.placement))
        else:
            call = calls.agent_call(command, run, self.placement, self.sessions.ticket(command))
            self._pack_and_start([command], pack(to_lean(call), limited=False))

    def _hold(self, command: RunAgent) -> None:
        """The call waits for its queue to say which agents it has."""
        self.progress.sent_to(command.path, command.options.queue or self.queue)
        if self._queues.hold(command, lambda held: self._resume(command.call, held)):
            self.budget.add(0)
            self.remote.add(command.call, 0)

    def _resume(self, asked_for: int, held: list[RunAgent]) -> None:
        self.remote.remove(asked_for)
        self._waiting.extendleft(reversed(held))
        self.notify()

    def _pack_and_start(self, batch: list[RunAgent], arguments: RawValue) -> None:
        if len(arguments.payload.data) <= MAX_INLINE_BYTES:
            self._start(batch, arguments)
            return
        self.remote.keep(batch[0].call, len(arguments.payload.data))
        task = asyncio.create_task(packed(self.host, arguments, self.placement.has_store))
        self._open.add(batch, task)
        self._when_over(task, partial(self._packed, batch), True)

    def _when_over(self, task: asyncio.Task[Any], done: Handler, is_local: bool) -> None:
        """`done` is called with an activity that is over: of local ones, in their order."""
        if is_local and self.placement.orders_locals:
            self._order.add(task, done)
        else:
            task.add_done_callback(done)

    def _packed(self, batch: list[RunAgent], task: asyncio.Task[RawValue]) -> None:
        self.remote.remove(batch[0].call)
        if not (still_open := self._open.take(batch, task)) or task.cancelled():
            return
        if (error := task.exception()) is not None:
            self._fail(still_open, f"{batch[0].path}: its inputs: {error}")
        elif len(still_open) == len(batch):
            self._start(batch, task.result())
        else:
            self._waiting.extendleft(reversed(still_open))
        self.notify()

    def _start(self, batch: list[RunAgent], arguments: RawValue) -> None:
        first, size = batch[0], len(arguments.payload.data)
        self.budget.add(size)
        if is_local := first.call in self.local:
            self.local.add()
            options = activity_options.local(first.options, first.path)
            handle = self.host.start_local_activity(first.agent, arguments, **options)
        else:
            self.remote.add(first.call, size)
            handle = self._start_remote(batch, arguments)
        self._open.add(batch, handle)
        self._when_over(handle, partial(self._answered, batch, is_local), is_local)

    def _start_remote(self, batch: list[RunAgent], arguments: RawValue) -> asyncio.Task[RawValue]:
        first, name = batch[0], self._names.take(batch[0].path)
        queue = self.placement.queue(first) or self.queue
        if holder := self.sessions.holder(first, queue):
            queue = holder
        for command in batch:
            self.progress.sent_to(command.path, queue, name)
        if holder:
            options = activity_options.held(first.options, first.path, queue, name)
        elif self._queues.is_foreign(first):
            options = activity_options.foreign(first.options, first.path, queue, name)
        else:
            options = activity_options.remote(first.options, first.path, queue, len(batch), name)
        return self.host.start_activity(first.agent, arguments, **options)

    def _answered(self, batch: list[RunAgent], was_local: bool, task: asyncio.Task[Any]) -> None:
        if was_local:
            self.local.remove()
        else:
            self.remote.remove(batch[0].call)
        still_open = self._open.take(batch, task)
        if still_open and not was_local:
            self._names.release(batch[0].path)
        if task.cancelled():
            self._fail(still_open, "cancelled")
        elif (error := task.exception()) is None:
            self._take(batch, still_open, own(task.result()), was_local)
        elif was_local and calls.is_too_large(error):
            self.local.forget(batch[0].call)
            self._waiting.extendleft(reversed(still_open))
        else:
            self._fail_by(still_open, error, was_local)
        self.notify()

    def _fail(self, batch: list[RunAgent], message: str) -> None:
        for command in batch:
            self._arrive(AgentFailed(command.call, message, final=True))

    def _fail_by(self, batch: list[RunAgent], error: BaseException, was_local: bool) -> None:
        for command in batch:
            if calls.is_session_lost(command, error):
                failed = self.sessions.lost(command)
            elif not was_local and self._queues.is_foreign(command):
                failed = calls.foreign_failure(command, error)
            else:
                failed = calls.failure(command.call, error)
            if failed is None:
                self._waiting.appendleft(command)
            else:
                self._arrive(failed)

    def _take(
        self, batch: list[RunAgent], still_open: list[RunAgent], result: RawValue, was_local: bool
    ) -> None:
        """The results of an activity; those of abandoned calls are left out."""
        if was_local:
            self.budget.add(len(result.payload.data), calls=0)
        calls.keep_metadata(self.progress, batch[0].path, result)
        try:
            answers = self._answers(batch, result, was_local)
        except MalformedPayload as error:
            if is_untrusted(result.payload) and self._forged.is_repeated(batch[0].call):
                self._waiting.extendleft(reversed(still_open))
                return
            self._fail(still_open, f"the answer of {batch[0].agent}: {error}")
            return
        self.budget.count(sum(map(calls.result_bytes, answers)))
        open_calls = {command.call for command in still_open}
        for answer in answers:
            if answer.call not in open_calls:
                continue
            if isinstance(answer, RunAgent):
                self._waiting.append(replace(answer, options=replace(answer.options, batch=1)))
            else:
                self._arrive(answer)

    def _answers(
        self, batch: list[RunAgent], result: RawValue, was_local: bool
    ) -> Sequence[AgentCompleted | AgentFailed | RunAgent]:
        if not was_local and self._queues.is_foreign(batch[0]):
            result = RawValue(unwrapped(result.payload))  # another application signs nothing
        value = unpack(result, strict=self.placement.strict_json)
        if batch[0].options.batch > 1 and not was_local:
            return batches.answers(batch, value)
        return [AgentCompleted(batch[0].call, self.sessions.answered(batch[0], value))]

    def _arrive(self, event: AgentCompleted | AgentFailed) -> None:
        """Hands an answer on: in its turn where it has one, else as it comes."""
        self.local.forget(event.call)
        self.sessions.over(event)
        self.turns.arrive(event)
        self.notify()
