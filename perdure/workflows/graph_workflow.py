"""The one workflow type: it carries out the scheduler's commands and feeds it the answers.

What is decided is decided in perdure.engine; here are only Temporal's words for it. The commands
this file emits are pinned by the recorded histories in tests/replay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from perdure.directory import Directory, Placement
from perdure.engine.messages import (
    AgentCompleted,
    CancelCall,
    Command,
    Console,
    Event,
    Fetch,
    Finish,
    RunAgent,
    Settle,
    Settled,
    StartTimer,
    TimerFired,
)
from perdure.engine.scheduler import Scheduler
from perdure.engine.snapshot import restore, snapshot
from perdure.engine.turns import Turns
from perdure.errors import GraphError, PerdureError, QuotaExceeded, UsageError
from perdure.payloads import Answer, RunRequest, RunResult, RunStatus
from perdure.wire import MAX_BYTES, pack, unpack
from perdure.workflows.continuation import Continuation
from perdure.workflows.course import Limits, ended, stopped
from perdure.workflows.opening import opened
from perdure.workflows.outbox import Outbox
from perdure.workflows.people import People
from perdure.workflows.progress import Progress
from perdure.workflows.segments import Segments
from perdure.workflows.share import Share
from perdure.workflows.values import MAX_STATE, Values, keep_values


@workflow.defn(name="Graph", failure_exception_types=[PerdureError], sandboxed=False)
class GraphWorkflow:
    """Runs one graph: the document comes in the request, the results go out in a RunResult."""

    @workflow.init
    def __init__(self, request: RawValue) -> None:
        self._request: RunRequest = unpack(request, RunRequest)
        self._directory = Directory()
        self._progress = Progress(self._request.name)
        self._scheduler: Scheduler | None = None
        self._people = People()
        self._turns = Turns()
        self._news = False
        self._timers: dict[int, asyncio.Task[None]] = {}
        self._share = Share(self._wake)
        self._outbox = Outbox(self._request, self._progress, self._turns, self._share, self._wake)
        self._segments = Segments(
            self._request, self._progress, self._turns, self._share, self._wake, self._outbox.call
        )
        self._values = Values(self._arrive)
        self._continuation = Continuation(self._request.options.events, self._wake)

    @workflow.run
    async def run(self, request: RawValue) -> RawValue:
        """Runs to the end. Fails with an ApplicationError of type RunFailed, GraphError or UsageError."""
        del request
        self._began = self._now = _now_ms()
        opening = await opened(self._request, self._now)
        self._directory = opening.directory
        if opening.first is not None:
            self._segments.take(opening.first, opening.size, self._now)
        self._outbox.placement = Placement(self._directory, self._request.options.bypass_agents)
        try:
            result = self._segments.end or await self._play()
        except GraphError as error:
            raise ApplicationError(str(error), error.problems[0].graphai, type="GraphError") from error
        except UsageError as error:
            raise ApplicationError(str(error), type="UsageError") from error
        finally:
            self._close()
        workflow.set_current_details(self._progress.final(result.states))
        return await ended(self._request, result, self._outbox.placement.has_store)

    @workflow.update
    async def answer(self, answer: Answer) -> None:
        """A person answers the question of a node."""
        asked = self._people.find(answer.path)
        if asked is not None:
            call, question = asked
            self._people.close(call)
            self._arrive(AgentCompleted(call, question.result(answer.value)))

    @answer.validator
    def _check_answer(self, answer: Answer) -> None:
        asked = self._people.find(answer.path)
        if asked is None:
            raise UsageError(self._people.nobody_asks(answer.path))
        refusal = asked[1].refusal(answer.value)
        if refusal is not None:
            raise UsageError(refusal)

    @workflow.signal(dynamic=True)
    async def any_signal(self, name: str, args: Sequence[RawValue]) -> None:
        """Signals mean nothing to a graph; but their events count, and a run continues as new in time."""
        del name, args
        self._wake()

    @workflow.query
    def status(self, console_from: int = 0) -> RunStatus:
        """What the run is doing; `console_from` is the number of console lines already seen."""
        is_over = self._segments.end is not None
        scheduler = self._caught_up() if is_over else self._scheduler
        questions = [] if is_over else self._people.questions()
        return self._progress.status(scheduler, console_from, questions)

    def _caught_up(self) -> Scheduler:
        """The run at its end, which its last segment has come to and the run itself has not."""
        begun = self._scheduler is not None
        scheduler = self._scheduler = self._scheduler or self._new_scheduler()
        if not scheduler.finished:
            self._segments.play_to_end(scheduler, self._outbox.placement, begun)
        return scheduler

    def _begin(self) -> tuple[Scheduler, list[Command]]:
        """A new scheduler, or the one that an earlier run of the chain has left."""
        request, state = self._request, self._request.state
        if state is None:
            scheduler = self._new_scheduler()
            return scheduler, scheduler.start(self._now)
        self._progress.resume(state["progress"])
        self._turns.resume(state["places"])
        self._began, self._share.total = state["began"], state["bytes"]
        agents, observe = self._outbox.placement.names, self._progress.observe
        scheduler, commands = restore(state["scheduler"], request.options, agents, observe)
        answered = {call for call, _, event in state["places"] if event is not None}
        return scheduler, [command for command in commands if _call_of(command) not in answered]

    def _new_scheduler(self) -> Scheduler:
        request, agents = self._request, self._outbox.placement.names
        return Scheduler(request.document, request.options, agents=agents, observe=self._progress.observe)

    async def _play(self) -> RunResult:
        """Plays to the end, or to where a quota is used up."""
        scheduler, commands = self._begin()
        self._scheduler = scheduler
        limits = Limits(self._request.options.quotas, self._began, self._wake)
        try:
            finish = self._carry_out(commands) or self._hand_on(scheduler)
            while finish is None:
                await self._wait(scheduler, limits)
                if self._segments.end is not None:
                    return self._segments.end
                finish = self._hand_on(scheduler)
        except QuotaExceeded as error:
            finish = stopped(scheduler, str(error), _now_ms())
        finally:
            limits.close()
        return RunResult.of(finish, scheduler.root)

    def _hand_on(self, scheduler: Scheduler) -> Finish | None:
        """Hands on the answers that are there, in their order."""
        finish, answers = None, self._segments.answers
        while finish is None and not self._segments.is_open and (event := self._turns.next()) is not None:
            then = answers.time_of(event)
            finish = self._carry_out(scheduler.handle(event, self._now if then is None else then))
        return finish

    async def _wait(self, scheduler: Scheduler, limits: Limits) -> None:
        """Sends what there is room for, and waits until something has happened."""
        limits.check(self._share.total)
        self._outbox.pump()
        if not self._segments.is_open:
            await self._look_ahead(scheduler)
        if not self._segments.is_open:
            workflow.set_current_details(self._progress.markdown(scheduler))
        await workflow.wait_condition(lambda: self._news)
        self._news, self._now = False, _now_ms()

    async def _look_ahead(self, scheduler: Scheduler) -> None:
        """Nothing can be handed on: begins a segment, or continues as new where that is due."""
        self._outbox.held = self._continuation.is_due()
        if not self._outbox.held:
            self._segments.begin(scheduler, self._directory, self._now)
        elif self._outbox.is_idle() and self._values.is_idle() and not self._share.is_waiting():
            await self._continue_as_new(scheduler)
        else:
            self._continuation.wait()

    async def _continue_as_new(self, scheduler: Scheduler) -> None:
        """Goes on in a new run, unless something has happened by the time that its values are kept."""
        request = self._written(scheduler)
        if len(request.payload.data) > MAX_STATE and self._outbox.placement.has_store:
            await keep_values(scheduler)
            request = self._written(scheduler)
        if len(request.payload.data) > MAX_BYTES:
            self._continuation.give_up()
        elif not self._turns.has_next():
            self._close()
            # On the build that is current by then, where workers have builds.
            upgrade = workflow.ContinueAsNewVersioningBehavior.AUTO_UPGRADE
            workflow.continue_as_new(request, initial_versioning_behavior=upgrade)

    def _written(self, scheduler: Scheduler) -> RawValue:
        state = {
            "scheduler": snapshot(scheduler),
            "places": self._turns.written(),
            "progress": self._progress.state(),
            "began": self._began,
            "bytes": self._share.total,
        }
        options = replace(self._request.options, injects=())
        return pack(replace(self._request, document={}, options=options, state=state), limited=False)

    def _close(self) -> None:
        """Nothing is waited for any more."""
        self._outbox.close()
        self._segments.close()
        self._values.close()
        self._share.close()
        self._continuation.close()
        for timer in self._timers.values():
            timer.cancel()

    def _wake(self) -> None:
        self._news = True

    def _arrive(self, event: Event) -> None:
        self._turns.arrive(event)
        self._wake()

    def _carry_out(self, commands: list[Command]) -> Finish | None:
        for command in commands:
            match command:
                case RunAgent():
                    self._call(command)
                case Settle(call, turns):
                    self._turns.expect(call, Settled(call), turns)
                case Fetch():
                    self._values.fetch(command)
                case StartTimer(call, milliseconds):
                    self._timers[call] = asyncio.create_task(self._timer(call, milliseconds))
                case CancelCall(call):
                    self._drop(call)
                case Console(_, text):
                    self._progress.add_console(text)
                case Finish():
                    return command
                case _:
                    assert_never(command)
        return None

    def _call(self, command: RunAgent) -> None:
        placement = self._outbox.placement
        if command.agent in placement.human:
            self._turns.drop(command.call)  # another agent of this name may have had a turn
            self._people.ask(command)
        elif placement.is_nobody(command):
            self._turns.expect(command.call, AgentCompleted(command.call, None))
        elif placement.is_pure(command):
            self._segments.call(command)
        else:
            self._outbox.call(command)

    def _drop(self, call: int) -> None:
        """Nobody waits for this call any more."""
        self._turns.drop(call)
        self._people.close(call)
        self._segments.drop(call)
        self._values.drop(call)
        self._outbox.drop(call)
        timer = self._timers.pop(call, None)
        if timer is not None:
            timer.cancel()

    async def _timer(self, call: int, milliseconds: float) -> None:
        await workflow.sleep(milliseconds / 1000, summary="timeout of a node with a graph")
        self._timers.pop(call, None)
        self._arrive(TimerFired(call))


def _call_of(command: Command) -> int | None:
    return None if isinstance(command, Console | Finish) else command.call


def _now_ms() -> int:
    return int(workflow.now().timestamp() * 1000)
