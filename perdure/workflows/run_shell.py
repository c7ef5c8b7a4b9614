"""A run inside a workflow: it carries out the scheduler's commands, and feeds it the answers.

It is built with all of its parts once its worker has said which agents there are. perdure.engine decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from temporalio import workflow
from temporalio.common import RawValue

from perdure.engine.fuel import PAUSE_MS
from perdure.engine.human_tasks import Answer
from perdure.engine.lifecycle.open_calls import refused
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
)
from perdure.engine.scheduler import Scheduler
from perdure.engine.snapshot import restore, snapshot
from perdure.engine.turn_order import TurnOrder
from perdure.errors import QuotaExceeded
from perdure.protocol.agents import Placement, narrowed
from perdure.protocol.journal import RunJournal
from perdure.protocol.payloads import RunRequest, RunResult
from perdure.protocol.progress import RunProgress
from perdure.protocol.wire import MAX_PAYLOAD_BYTES, pack
from perdure.workflows.activity_dispatcher import ActivityDispatcher
from perdure.workflows.continuation import Continuation
from perdure.workflows.host import Host, now_ms
from perdure.workflows.run_limits import RunLimits, started, stopped
from perdure.workflows.run_values import MAX_STATE_BYTES, Values, keep_large_state, keep_values
from perdure.workflows.run_view import RunView
from perdure.workflows.segments import Segments
from perdure.workflows.startup import Startup
from perdure.workflows.steering import SteeringDesk
from perdure.workflows.task_budget import WorkflowTaskBudget
from perdure.workflows.timers import Timers, timer_summary
from perdure.workflows.waits import Waits


class RunShell:
    """One run, or one of the runs that continue each other. `now_ms` is the time at which it begins."""

    def __init__(
        self, host: Host, request: RunRequest, startup: Startup, now_ms: int, journal: RunJournal | None
    ) -> None:
        state = request.state
        self._host, self._request, self._now = host, request, now_ms
        self._began: int = now_ms if state is None else state["began"]
        self.page = startup.directory.page
        directory = narrowed(startup.directory, state)
        self.placement = Placement(directory, request.options.bypass_agents, request.only_calls)
        if self.placement.orders_locals:
            host.hold_history()
        if self.placement.takes_in_turn:
            host.take_in_turn(self.notify)
        self._rules = self.placement.rules(request.queue)
        self.progress = RunProgress(request.name, journal)
        self._turns = TurnOrder()
        if state is not None:
            self.progress.resume(state["progress"])
            self._turns.resume(state["places"])
        self._has_events = False
        self.result: RunResult | None = None
        self._budget = WorkflowTaskBudget(host, self.notify, 0 if state is None else state["bytes"])
        known = host, self.placement, request.queue, self.progress, self._turns, self._budget
        self._dispatcher = ActivityDispatcher(*known, self.notify)
        self._dispatcher.sessions.resume(state or {})
        place = host, request, directory, self.placement, self.progress, self._turns, self._budget
        self._segments = Segments(*place, self.notify, self._send)
        self._values = Values(host, self._arrive, self._fetched)
        self._timers = Timers(host, self._arrive)
        parts = host, request, startup.directory, self.placement, self._timers, self.progress
        self.waits = Waits(*parts, self._arrive, self.notify, self._played)
        self.steering = SteeringDesk(request, self.placement, self.progress, self._segments, self.notify)
        shown = self.progress, self._segments, self.waits.human_tasks, self._new_scheduler
        self.view = RunView(*shown, lambda: [*self.steering.interventions])
        self._continuation = Continuation(host, request.options.events, self.notify)
        if startup.first is not None:
            self._segments.take(startup.first, startup.size, now_ms)

    async def run(self, early: Sequence[Answer] = ()) -> RunResult:
        """Runs to the end, or to a quota; `early` answers came before. Raises what the scheduler raises."""
        self.placement.check_run_queue(self._request.queue)
        result = self._segments.end or await self._play(early)
        if result.failure is not None:
            self.view.scheduler()  # a segment that ended the run knows failed nodes of the outer graph only
            result = replace(result, place=self.progress.place_of(result))
        await self.steering.end()
        await self.waits.end()
        self.result = result
        return result

    def close(self) -> None:
        """Whatever is still on its way is cancelled."""
        calls = self._dispatcher, self._segments, self._values
        for part in (*calls, self._budget, self._continuation, self._timers):
            part.close()

    def notify(self) -> None:
        """Something has happened that the run may have to act on."""
        self._has_events = True

    def _played(self) -> Scheduler | None:
        return None if self._segments.end is not None else self.view.played

    def _new_scheduler(self) -> Scheduler:
        document, options, observe = self._request.document, self._request.options, self.progress.observe
        return Scheduler(document, options, observe=observe, **self._rules)

    def _begin(self) -> tuple[Scheduler, list[Command]]:
        """A new scheduler, or the one that an earlier run of the chain has left."""
        if (state := self._request.state) is None:
            return (scheduler := self._new_scheduler()), started(scheduler, self._now)
        options, observe = self._request.options, self.progress.observe
        scheduler, commands = restore(state["scheduler"], options, observe=observe, **self._rules)
        answered = {call for call, _, event in state["places"] if event is not None}
        commands = [command for command in commands if getattr(command, "call", None) not in answered]
        for failure in filter(None, map(refused, commands)):
            self._arrive(failure)
        return scheduler, [command for command in commands if refused(command) is None]

    async def _play(self, early: Sequence[Answer]) -> RunResult:
        scheduler, commands = self._begin()
        self.view.played = scheduler
        self.progress.begun(scheduler)
        for answer in early:
            self.waits.human_tasks.answer_later(answer)
        limits = RunLimits(self._host, self._request.options.quotas, self._began, self.notify)
        try:
            finish = self._carry_out(scheduler, commands) or self._hand_on(scheduler)
            while finish is None:
                await self._wait(scheduler, limits)
                if self._segments.end is not None:
                    return self._segments.end
                finish = self._hand_on(scheduler)
        except QuotaExceeded as error:
            finish = stopped(scheduler, str(error), now_ms(self._host))
        finally:
            limits.close()
        return RunResult.of(finish, scheduler.root)

    def _hand_on(self, scheduler: Scheduler) -> Finish | None:
        """Hands on the answers that are there, in their order, as far as one activation may."""
        finish, fuel = None, scheduler.board.fuel
        pace = self.placement.pace(is_rerun=self._segments.recalls)
        until = 0 if self._is_blocked() else fuel.activation_end(pace)  # `_wait` alone begins what blocks it
        while finish is None and fuel.used < until:
            event = self._turns.next()
            if event is not None:
                self.progress.answered(event)
                then = self._segments.answers.time_of(event)
                commands = scheduler.handle(event, self._now if then is None else then)
            elif self.steering.is_waiting:
                commands = self.steering.apply(scheduler, self._now)
            else:
                break
            finish = self._carry_out(scheduler, commands)
        return finish

    async def _wait(self, scheduler: Scheduler, limits: RunLimits) -> None:
        """Sends what there is room for, and waits until something has happened."""
        if self._segments.refusal is not None:
            raise self._segments.refusal
        limits.check(self._budget.total)
        if self._turns.has_next() and not self._is_blocked():  # this activation has done enough
            await self._host.pause(PAUSE_MS / 1000, "a pause in long work")
            self._now = now_ms(self._host)
            return
        is_held = self._is_blocked() if self.placement.orders_locals else self._values.is_open
        if not self._continuation.is_holding and not is_held:
            self._dispatcher.pump()
        if not self._is_blocked():
            self._values.begin()
        if not self._is_blocked():
            await self._look_ahead(scheduler)
        if not self._is_blocked():
            self.waits.human_tasks.index()
        if not self._is_blocked() and not self._host.admit() and self._dispatcher.take_local():
            return
        await workflow.wait_condition(lambda: self._has_events)
        self._has_events, self._now = False, now_ms(self._host)

    def _is_blocked(self) -> bool:
        """Whether nothing is handed on: in a replay, what arrives meanwhile arrives together with the end."""
        return self._segments.is_open or self._values.is_open

    async def _look_ahead(self, scheduler: Scheduler) -> None:
        """Nothing can be handed on: begins a segment, or continues as new where that is due."""
        was_holding = self._continuation.is_holding
        if not self._continuation.is_due():
            if was_holding:
                self._dispatcher.release()
            self._segments.begin(scheduler, self._now)
        elif self._is_idle():
            await self._continue_as_new(scheduler)
        elif not self._host.has_arrivals():
            self._continuation.wait()

    def _is_idle(self) -> bool:
        """Whether nothing is under way that the next run of the chain would not hear of."""
        parts = self._dispatcher, self._values, self.waits, self.steering
        is_idle = all(part.is_idle() for part in parts) and not self._budget.is_waiting()
        return is_idle and not self._host.has_arrivals()

    async def _continue_as_new(self, scheduler: Scheduler) -> None:
        """Continues in a new run, unless something has happened by the time that its values are kept."""
        await keep_large_state(self._host, scheduler, self.placement.has_store)
        request = self._written(scheduler)
        if len(request.payload.data) > MAX_STATE_BYTES and self.placement.has_store:
            await keep_values(self._host, scheduler)
            request = self._written(scheduler)
        if len(request.payload.data) > MAX_PAYLOAD_BYTES:
            self._continuation.give_up()
        elif not (self._turns.has_next() or self._host.has_arrivals()) and self.steering.is_idle():
            self.close()
            upgrade = workflow.ContinueAsNewVersioningBehavior.AUTO_UPGRADE  # to the current build
            workflow.continue_as_new(request, initial_versioning_behavior=upgrade)

    def _written(self, scheduler: Scheduler) -> RawValue:
        state = {
            "scheduler": snapshot(scheduler),
            "places": self._turns.written(),
            "progress": self.progress.state(),
            "began": self._began,
            "bytes": self._budget.total,
            **self.placement.granted(),
            **self.waits.state(),
            **self.steering.state(),
            **self._segments.state(),
            **self._dispatcher.sessions.state(),
        }
        options = replace(self._request.options, injects=())
        return pack(replace(self._request, document={}, options=options, state=state), limited=False)

    def _arrive(self, event: Event) -> None:
        self._turns.arrive(event)
        self.notify()

    def _fetched(self, events: Sequence[Event]) -> None:
        self._turns.arrive_first(events)
        self.notify()

    def _carry_out(self, scheduler: Scheduler, commands: list[Command]) -> Finish | None:
        for command in commands:
            match command:
                case RunAgent():  # the first: nearly all are
                    self._call(command)
                case Settle(call, turns):
                    self._turns.expect(call, Settled(call), turns)
                case Fetch():
                    self._values.fetch(command)
                case StartTimer(call, milliseconds):
                    self._timers.start(call, milliseconds, timer_summary(scheduler.board, call))
                case CancelCall(call):
                    self._drop(call)
                case Console(path, text):
                    self.progress.add_console(text, path)
                case Finish():
                    return command
                case _:
                    assert_never(command)
        return None

    def _call(self, command: RunAgent) -> None:
        placement = self.placement
        self.progress.called(command)
        if placement.is_answered_with_null(command):
            self._turns.expect(command.call, AgentCompleted(command.call, None))
        elif self._segments.takes(command):
            self._segments.call_agent(command)
        else:
            self._send(command)

    def _send(self, command: RunAgent) -> None:
        """A call that no segment answers waits here, or goes to a worker."""
        if self.waits.takes(command):
            self._turns.drop(command.call)  # another agent of this name may have had a turn
            self.waits.open(command)
        else:
            self._dispatcher.call_agent(command)

    def _drop(self, call: int) -> None:
        """The call was cancelled, whatever works for it."""
        self.waits.drop(call)
        for part in (self._turns, self._segments, self._values, self._dispatcher, self._timers):
            part.drop(call)
