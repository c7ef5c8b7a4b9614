"""Segments: one local activity answers many calls of pure agents, those that follow from others too.

It plays a copy of the run (perdure.engine.lookahead, which has the reasons) until something else has to
answer, or until it has reached its bounds (perdure.activities.segment_bounds).

Invariants
    The bounds are looked at between calls and not before the first, so each segment answers a call or
    leaves one alone, unless something else has to answer first.
    A call is answered whole or not at all. What could be repeated (a transient failure, no store, an
    agent that is missing) is left to an activity of its own, which has Temporal's retries.
    Agents get copies: they may change their inputs, and the values of the run are shared.

Rejected
    To run it in the worker's event loop: pure agents compute, and the heartbeats of all other activities
    would stop meanwhile. A segment has a thread, from a small pool of its own.
    A pool of processes: the state would be copied twice, which takes longer than most segments.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final

from perdure.activities.calls_at_work import CallsAtWork
from perdure.activities.gate import Gate
from perdure.activities.records import Records
from perdure.activities.segment_bounds import MAX_SEGMENT_BYTES, SegmentBounds
from perdure.agents.agent import NO_CONTEXT, Agent, AgentContext
from perdure.agents.filters import AgentFilter, applying
from perdure.agents.invoke import invoke, normal
from perdure.engine.board import Board
from perdure.engine.lookahead import Lookahead
from perdure.engine.messages import AgentCompleted, AgentFailed, Finish, RunAgent
from perdure.engine.outcomes import Failure, failure_of, segment_answer
from perdure.engine.scheduler import Scheduler
from perdure.engine.snapshot import restore
from perdure.engine.turn_order import TurnOrder
from perdure.errors import PerdureError
from perdure.graph.sizes import MAX_VALUE_BYTES
from perdure.graph.values import Value
from perdure.lineage.code import CodeChanges, code_by_run
from perdure.lineage.recall import Recall, Recalled, numbers_of
from perdure.policy.parse import Policy
from perdure.protocol.agents import AgentRegistry, Placement
from perdure.protocol.console import newest
from perdure.protocol.encoding import encoded_size
from perdure.protocol.idempotency import place_key, work_key
from perdure.protocol.payloads import (
    FirstSegmentRequest,
    RunRequest,
    RunResult,
    SegmentRequest,
    SegmentResult,
)
from perdure.protocol.records import from_plain, to_lean
from perdure.storage.claim_check import ClaimCheck
from perdure.storage.objects import Writes
from perdure.storage.value_sizes import at_most

HEAVY_RUN_BYTES: Final = 8_000_000
"""A run that holds more brings smaller results to the store as well: it is written for each segment ..."""

HEAVY_RUN_RESULT_BYTES: Final = 4_000
"""... those above this."""

SMALL_RESULT_BYTES: Final = 500
"""Bytes of a result that is counted at a glance, as the most that it can have."""

MAX_SEGMENT_WRITE_COUNT: Final = 32
"""Large results on their way to the store: a disk confirms several in the time of one."""

MAX_SEGMENT_CONSOLE_COUNT: Final = 1_000
"""Console lines of one segment: the newest, no more than MAX_SEGMENT_CONSOLE_BYTES."""

MAX_SEGMENT_CONSOLE_BYTES: Final = 200_000


@dataclass(slots=True)
class Segment:
    """One segment. `context` makes what an agent sees; `loop` is the worker's, `work` notes what runs."""

    agents: Mapping[str, Agent]
    filters: Sequence[AgentFilter]
    context: Callable[[RunAgent, str, str, str, Callable[[str], None]], AgentContext]
    claims: ClaimCheck
    loop: asyncio.AbstractEventLoop
    work: CallsAtWork = field(default_factory=CallsAtWork)
    records: Records = field(default_factory=Records)
    gate: Gate = field(default_factory=Gate)
    _policy: Policy | None = None
    _principal: str = ""
    _allowed: set[str] = field(default_factory=set[str])
    _has_suspects: bool = False
    _bounds: SegmentBounds = field(default_factory=SegmentBounds)
    _alone: bool = False
    _board: Board = field(init=False)
    _answers: list[list[Value]] = field(default_factory=list[list[Value]])
    _console: list[str] = field(default_factory=list[str])
    _run: str = ""
    _keys_by_work: bool = False
    _recall: Recall | None = None
    _writes: Writes = field(default_factory=list[asyncio.Task[None]])
    _recalled: list[list[int]] = field(default_factory=list[list[int]])

    def begin(self, first: FirstSegmentRequest, directory: AgentRegistry) -> SegmentResult:
        """Plays a run from its beginning. Blocks its thread. Raises what the scheduler raises."""
        self._run = first.run
        self._bounds.take_over()
        request = from_plain(RunRequest, first.request)
        placement = Placement(directory, request.options.bypass_agents)
        if refusal := self._open_record(request, placement, ""):
            return SegmentResult(refusal=refusal)
        scheduler = Scheduler(request.document, request.options, **placement.rules(request.queue))
        ahead = self._ahead(scheduler, first.now, placement)
        ahead.begin()
        return self._played(ahead)

    def play(self, request: SegmentRequest) -> SegmentResult:
        """Continues from the snapshot of the run. Blocks its thread."""
        self._run = request.run
        self._bounds.take_over()
        run_request = from_plain(RunRequest, request.request)
        placement = Placement(from_plain(AgentRegistry, request.directory), run_request.options.bypass_agents)
        if refusal := self._open_record(run_request, placement, request.recalled):
            return SegmentResult(refusal=refusal)
        return self._played(self._taken_over(request, run_request, placement))

    def _open_record(self, request: RunRequest, placement: Placement, used: str) -> str:
        """Reads the record of a rerun; why it cannot be read, "" if it can."""
        if request.reuse is None or not placement.recalls:
            return ""
        if request.principal:
            return f"{request.principal!r}, who has started the run, may not say what calls have answered"
        try:
            record = self._wait_for(self.records.read(request.reuse, self.claims))
            self._recall = Recall(record, numbers_of(used), placement.registry.unreused)
            if request.reuse.get("changedAgents"):
                before = code_by_run(request.reuse.get("code"))
                self._recall.changes = CodeChanges(before, placement.registry.code)
        except (PerdureError, ValueError) as error:
            return f"the record that the run reuses cannot be read: {error}"
        return ""

    def _played(self, ahead: Lookahead) -> SegmentResult:
        pauses = ahead.scheduler.board.fuel.per_event < inf
        self._bounds.work(recalls=self._recall is not None, pauses=pauses)
        stopped = ahead.play()
        if self._writes:
            self._wait_for(self._written())
        return SegmentResult(
            answers=self._answers,
            alone=stopped.call if stopped is not None and self._alone else None,
            console=newest(self._console, MAX_SEGMENT_CONSOLE_COUNT, MAX_SEGMENT_CONSOLE_BYTES),
            end=None if ahead.finish is None else self._end(ahead.finish, ahead.scheduler),
            seconds=round(self._bounds.seconds, 3),
            recalled=self._recalled,
            missed=ahead.missed,
        )

    def _end(self, finish: Finish, scheduler: Scheduler) -> Mapping[str, Value] | None:
        """How the run ended; None if the marker has no room for that in addition to the answers."""
        end = to_lean(RunResult.of(finish, scheduler.root))
        return end if self._bounds.bytes + encoded_size(end) < MAX_SEGMENT_BYTES else None

    def _taken_over(
        self, request: SegmentRequest, run_request: RunRequest, placement: Placement
    ) -> Lookahead:
        rules = placement.rules(run_request.queue)
        scheduler, commands = restore(request.scheduler, run_request.options, **rules)
        ahead = self._ahead(scheduler, request.now, placement)
        ahead.resume(commands, [list(place) for place in request.places], frozenset(request.unsent))
        return ahead

    def _ahead(self, scheduler: Scheduler, now: int, placement: Placement) -> Lookahead:
        self._keys_by_work, self._principal = placement.keys_by_work, placement.principal
        self._policy, self._has_suspects = self.gate.policy_for(self._principal), self.work.has_suspects
        self._board = scheduler.board
        ahead = Lookahead(
            scheduler, TurnOrder(), now, placement.is_pure, placement.is_answered_with_null, self._answer
        )
        if self._recall is not None:
            ahead.recall, ahead.release = self._order_of, self._recall.release
        return ahead

    def _order_of(self, command: RunAgent) -> int | None:
        """The number of the recorded answer to a call."""
        recalled = None if self._recall is None else self._recall.find(command)
        return None if recalled is None else recalled.order

    def _answer(self, command: RunAgent) -> AgentCompleted | AgentFailed | None:
        if self._answers and self._bounds.are_reached(len(self._answers)):
            return None
        recalled = None if self._recall is None else self._recall.find(command)
        if recalled is not None:
            return self._reused(command, recalled)
        self._bounds.calls()
        agent = self.agents.get(command.agent)
        if agent is None or (self._has_suspects and self.work.is_suspect(command.path)):
            return self._leave_alone()
        self.work.begin(command.path)
        try:
            if self._policy is not None and command.agent not in self._allowed:
                self.gate.check_by(self._policy, command.agent, command.path)
                self._allowed.add(command.agent)
            result = self._called(agent, command)
        except Exception as error:  # a transient one may be the store's
            failure = failure_of(error)
            is_alone = failure.transient or failure.refused
            return self._leave_alone() if is_alone else self._failed(command, failure)
        size = _measured(result)
        if size > self.claims.above and self.claims.store is None:
            return self._leave_alone()
        above = HEAVY_RUN_RESULT_BYTES if self._board.live > HEAVY_RUN_BYTES else self.claims.above
        if size > above and self.claims.store is not None:
            writes = self._writes if size < MAX_SEGMENT_BYTES else None  # which would be in memory meanwhile
            kept = self.claims.keep(result, above, near=command.inputs, writes=writes)
            result, size = self._wait_for(kept), 500
            if len(self._writes) >= MAX_SEGMENT_WRITE_COUNT:
                self._wait_for(self._written())
        return self._completed(command, result, size)

    def _reused(self, command: RunAgent, recalled: Recalled) -> AgentCompleted:
        self._recalled.append([command.call, recalled.entry])
        return self._completed(command, recalled.result, _measured(recalled.result))

    def _completed(self, command: RunAgent, result: Value, size: float) -> AgentCompleted:
        self._bounds.bytes += size + len(command.path) + 20
        answer = AgentCompleted(command.call, result)
        self._answers.append(segment_answer(command.path, answer))
        return answer

    def _leave_alone(self) -> None:
        self._alone = True

    def _called(self, agent: Agent, command: RunAgent) -> Value:
        # A copy: agents may do with their inputs what they like, and the run's values are shared.
        inputs, params = self._copied(command.inputs), self._copied(command.params)
        filters = applying(self.filters, command.agent, command.node) if self.filters else ()
        if not filters and not agent.sees_context:
            return normal(agent.name, agent.call(inputs, params, NO_CONTEXT))
        key = place_key(self._run, command.key)
        if self._keys_by_work:
            key = work_key(self._run, command.key, command.retry, command.inputs, command.params)
        context = self.context(command, self._run, key, self._principal, self._console.append)
        if not filters:
            return normal(agent.name, agent.call(inputs, params, context))
        return self._wait_for(invoke(agent, inputs, params, context, command.options.timeout, filters))

    def _copied(self, value: Value) -> Value:
        """A copy with nothing deferred in it."""
        try:
            return self.claims.redeem_at_hand(value)
        except LookupError:
            return self._wait_for(self.claims.redeem(value, MAX_VALUE_BYTES))

    def _wait_for(self, work: Coroutine[Any, Any, Value]) -> Value:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    async def _written(self) -> None:
        """Waits until all results that went to the store are there."""
        writes, self._writes = self._writes, []
        await asyncio.gather(*writes)

    def _failed(self, command: RunAgent, failure: Failure) -> AgentFailed:
        answer = failure.answer(command.call)
        self._answers.append(segment_answer(command.path, answer))
        self._bounds.bytes += len(answer.message) + len(command.path) + 40
        return answer


def _measured(result: Value) -> float:
    return size if (size := at_most(result)) <= SMALL_RESULT_BYTES else encoded_size(result)
