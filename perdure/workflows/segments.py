"""Calls of pure agents: answered together, by one local activity for as many as can be.

Why: see perdure.engine.lookahead. This is the side of the run: it gathers the calls that wait, hands a
snapshot to the segment, and gives its answers to the calls that they belong to, those that the run
makes later included.

Invariants
    While a segment is open, no event is handed on: its answers belong to the state that it received.
    A segment that fails costs nothing but time: its calls become activities of their own, as does a call
    that a segment leaves alone.
    The snapshot is the input of a local activity, and so is never in the history; its answers are.
    In a rerun every call comes here first, as the record may answer it: what is not pure and is `missed` by
    a segment is sent then. Which entries of the record were used is in the history, by the calls they answer.

Rejected
    Several segments at a time: each would continue from a state of its own, and make different calls
    under the same numbers.
    A local activity for each call: a marker each, and a graph whose steps depend on each other would
    wait for a round trip at each step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from temporalio.common import RawValue, RetryPolicy

from perdure.engine.live_bytes import result_bytes
from perdure.engine.lookahead import Answers, Lookahead
from perdure.engine.messages import AgentCompleted, AgentFailed, RunAgent
from perdure.engine.outcomes import read_segment_answer
from perdure.engine.scheduler import Scheduler
from perdure.engine.snapshot import snapshot
from perdure.engine.turn_order import TurnOrder
from perdure.errors import MalformedPayload, UsageError
from perdure.graph.human_input import APPROVAL
from perdure.graph.values import Value
from perdure.lineage.recall import numbers_of, written_numbers
from perdure.lineage.record import unused_hint
from perdure.protocol.agents import AgentRegistry, Placement
from perdure.protocol.names import SEGMENT, SEGMENTS_IN_TURN
from perdure.protocol.payloads import RunRequest, RunResult, SegmentRequest, SegmentResult
from perdure.protocol.progress import RunProgress
from perdure.protocol.records import from_plain, to_lean, to_plain
from perdure.protocol.wire import pack, unpack
from perdure.workflows.activity_options import FINAL_ERROR_TYPES, LOCAL_ACTIVITY_TIMEOUT, MAX_SUMMARY_CHARS
from perdure.workflows.host import Host, own
from perdure.workflows.task_budget import WorkflowTaskBudget

NO_RETRY = RetryPolicy(maximum_attempts=1)
"""A segment that fails is not repeated: its calls get activities of their own."""

RECALL_RETRY = RetryPolicy(maximum_attempts=5, non_retryable_error_types=FINAL_ERROR_TYPES)
"""One of a rerun is: calls that the record answers would be made again."""

MAX_CARRIED_INPUT_BYTES: Final = 8_000_000
"""Bytes of the inputs of open calls that one segment receives, besides those of the last."""


@dataclass(slots=True)
class Segments:
    """The pure calls of one run, and all calls of a rerun. `remotely` sends one that is not answered here.

    While a segment is open nothing else may happen to the run: its answers belong to the state that
    it received. Where they carry the run to its end, `end` is its result. `used` are the entries of the
    record that have answered a call; `refusal` is why the record cannot be read. `recalls` says that this is
    a rerun, whose calls may all be answered here.
    """

    host: Host
    request: RunRequest
    directory: AgentRegistry
    placement: Placement
    progress: RunProgress
    turns: TurnOrder
    budget: WorkflowTaskBudget
    notify: Callable[[], None]
    remotely: Callable[[RunAgent], None]
    answers: Answers = field(default_factory=Answers)
    end: RunResult | None = None
    used: set[int] = field(default_factory=set[int])
    refusal: UsageError | None = None
    recalls: bool = field(init=False)
    _missed: set[int] = field(default_factory=set[int])
    _seen: set[int] = field(default_factory=set[int])
    _entries: dict[int, int] = field(default_factory=dict[int, int])
    _unread: Sequence[Any] = ()
    _alone: int | None = None
    _waiting: dict[int, RunAgent] = field(default_factory=dict[int, RunAgent])
    _open: asyncio.Task[Any] | None = None

    @property
    def is_open(self) -> bool:
        """Whether a segment is on its way."""
        return self._open is not None

    def __post_init__(self) -> None:
        state = self.request.state
        self.used |= numbers_of("" if state is None else state.get("recalled", ""))
        self.recalls = self.request.reuse is not None and self.placement.recalls

    def state(self) -> dict[str, Value]:
        """What the next run of a chain continues with; empty unless it is a rerun."""
        return {"recalled": written_numbers(self.used)} if self.recalls else {}

    def takes(self, command: RunAgent) -> bool:
        """Whether a call may be answered here. Approvals of an earlier run count there alone."""
        placement = self.placement
        if command.agent == APPROVAL:
            return False
        return self.recalls or (placement.is_pure(command) and command.agent not in placement.human)

    def call_agent(self, command: RunAgent) -> None:
        """A call of a pure agent, or any of a rerun: answered already, or by the next segment."""
        call = command.call
        answer = self.answers.take(command)
        if answer is not None:
            if self.recalls:
                self._expect(command, answer)
            else:
                self.turns.expect(call, answer)
            return
        if call == self._alone or call in self._missed:
            self._missed.discard(call)
            self.remotely(command)
            return
        self._waiting[call] = command
        if self.placement.is_pure(command):
            self.turns.expect(call)

    def _expect(self, command: RunAgent, event: AgentCompleted | AgentFailed) -> None:
        """The answer to a call is handed on in the order in which the segment did."""
        call = command.call
        if call in self._entries:
            self.progress.recalled(command.path, self._entries.pop(call))
        if self.placement.is_pure(command):
            self.turns.expect(call, event)
        else:
            self.turns.recall(call, self.answers.order_of(call), event)

    def take(self, result: SegmentResult, size: int, now_ms: int) -> None:
        """The answers of a segment that has played on from `now_ms`.

        Raises MalformedPayload, and then has taken none of them. Once the run is over, it reads none.
        """
        is_over = result.end is not None and not self._waiting  # its answers are read if they are asked for
        answers = [] if is_over else [read_segment_answer(answer) for answer in result.answers]
        end = None if result.end is None else from_plain(RunResult, result.end)
        if result.refusal:
            self.refusal = UsageError(result.refusal, hint=unused_hint(self.request.principal))
        self.end, self._unread = end, result.answers if is_over else ()
        self.budget.add(size, seconds=result.seconds)
        for line in result.console:
            self.progress.add_console(line)
        self.answers, self._alone = Answers(now_ms), result.alone
        self._missed |= {*result.missed}
        self._entries.update({call: entry for call, entry in result.recalled})
        self.used |= {entry for _, entry in result.recalled if entry >= 0}
        self.answers.extend(answers)

    def play_to_end(self, scheduler: Scheduler, begun: bool) -> None:
        """Plays what the last segment has answered: when the outcome is asked for, not before.

        It has ended the run by then, so an answer that cannot be read hides what came after it, and no more.
        """
        self.answers.extend(_readable(self._unread))
        self._unread = ()
        is_pure, is_answered_with_null = self.placement.is_pure, self.placement.is_answered_with_null
        now_ms, answer = self.answers.now_ms, self._recall
        ahead = Lookahead(scheduler, self.turns, now_ms, is_pure, is_answered_with_null, answer)
        ahead.recall = self.answers.find_order if self.recalls else None
        ahead.handed_on = self.progress.answered
        if not begun:
            ahead.begin()
        ahead.play()
        for line in ahead.console:
            self.progress.add_console(line)

    def _recall(self, command: RunAgent) -> AgentCompleted | AgentFailed | None:
        event = self.answers.take(command)
        self.progress.called(command)
        if command.call in self._entries:
            self.progress.recalled(command.path, self._entries.pop(command.call))
        return event

    def drop(self, call: int) -> None:
        """The call is abandoned."""
        self._waiting.pop(call, None)

    def forget_ahead(self, last_call: int, now_ms: int) -> None:
        """The run changes: what a segment knows of calls after `last_call` is not about those to come."""
        self.answers, self._unread, self._alone = Answers(now_ms), (), None
        self._missed = {call for call in self._missed if call <= last_call}
        self._entries = {call: entry for call, entry in self._entries.items() if call <= last_call}

    def close(self) -> None:
        """The run is over."""
        self._waiting.clear()
        if self._open is not None:
            self._open.cancel()

    def begin(self, scheduler: Scheduler, now_ms: int) -> None:
        """Starts a segment if a pure call is waited for and this workflow task may hold its results."""
        if not self._waiting or not self.budget.has_room():
            return
        unsent = [call for call, command in self._waiting.items() if not self.placement.is_pure(command)]
        if self._seen.issuperset(unsent) and self._is_out_of_turn():
            return
        self._seen.update(unsent)
        self._open = self.host.start_local_activity(
            SEGMENT,
            self._written(scheduler, now_ms, unsent),
            summary=self._summary(),
            start_to_close_timeout=LOCAL_ACTIVITY_TIMEOUT,
            retry_policy=RECALL_RETRY if self.recalls else NO_RETRY,
        )
        self._open.add_done_callback(lambda task: self._answered(task, now_ms))

    def _written(self, scheduler: Scheduler, now_ms: int, unsent: list[int]) -> RawValue:
        """The state that a segment continues from; nothing in the replay of a reader, which executes none."""
        if self.progress.journal is not None:
            return pack(None)
        options = replace(self.request.options, injects=(), previous_results=None)
        fields = replace(self.request, document={}, options=options, state=None)
        request = SegmentRequest(
            scheduler=snapshot(scheduler, light=True, calls=self._carried()),
            places=self.turns.written(),
            directory=to_plain(self.directory),
            now=now_ms,
            run=self.host.run_id(),
            request=to_lean(fields),
            unsent=unsent,
            recalled=written_numbers(self.used) if self.recalls else "",
        )
        return pack(request, limited=False)

    def _carried(self) -> set[int]:
        """The calls whose inputs a segment receives: those in front, as far as there is room."""
        if self.recalls:
            return {*self._waiting}
        front, room, carried = self.turns.front(), MAX_CARRIED_INPUT_BYTES, set[int]()
        first = [front.call] if front is not None and front.call in self._waiting else []
        for call in (*first, *self._waiting):
            if room <= 0:
                break
            if call not in carried:
                room -= result_bytes(self._waiting[call].inputs)
                carried.add(call)
        return carried

    def _is_out_of_turn(self) -> bool:
        """Whether another call answers before all pure ones: a segment would end where it began."""
        front = self.turns.front()
        is_other = front is not None and front.event is None and front.call not in self._waiting
        return is_other and self.host.is_patched(SEGMENTS_IN_TURN)

    def _summary(self) -> str:
        paths = [command.path for command in self._waiting.values()]
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        return f"{paths[0][:MAX_SUMMARY_CHARS]}{more}"

    def _answered(self, task: asyncio.Task[Any], now_ms: int) -> None:
        self._open = None
        if task.cancelled():
            return
        result = self._taken(task, now_ms)
        for call, command in list(self._waiting.items()):
            event = self.answers.take(command)
            if event is not None:
                del self._waiting[call]
                self._expect(command, event)
            elif result is None or call == result.alone or call in self._missed:
                del self._waiting[call]
                self._missed.discard(call)
                self.turns.drop(call)
                self.remotely(command)
        self.notify()

    def _taken(self, task: asyncio.Task[Any], now_ms: int) -> SegmentResult | None:
        """What the segment gave; None where it failed, or gave what cannot be read."""
        if task.exception() is None:
            with suppress(MalformedPayload):
                raw = own(task.result())
                result: SegmentResult = unpack(raw, SegmentResult, strict=False)
                self.take(result, len(raw.payload.data), now_ms)
                return result
        self.take(SegmentResult(), 0, now_ms)
        return None


def _readable(answers: Sequence[Any]) -> Iterator[tuple[str, AgentCompleted | AgentFailed]]:
    """The answers up to the first that cannot be read."""
    with suppress(MalformedPayload):
        for answer in answers:
            yield read_segment_answer(answer)
