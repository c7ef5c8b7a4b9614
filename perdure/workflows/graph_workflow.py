"""The one workflow type: it carries out the scheduler's commands and feeds it the answers.

What is decided is decided in perdure.engine; here are only Temporal's words for it. The commands
this file emits are pinned by the recorded histories in tests/replay.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import assert_never

from temporalio import workflow
from temporalio.common import RawValue, SearchAttributeKey
from temporalio.exceptions import ApplicationError

from perdure.engine.messages import (
    AgentCompleted,
    CancelCall,
    Command,
    Console,
    Event,
    Finish,
    RunAgent,
    RunOptions,
    Settle,
    Settled,
    StartTimer,
    TimerFired,
)
from perdure.engine.scheduler import Scheduler
from perdure.engine.snapshot import restore, snapshot
from perdure.engine.turns import Turns
from perdure.errors import GraphError, PerdureError, UsageError
from perdure.payloads import (
    DIRECTORY,
    Answer,
    Directory,
    RunRequest,
    RunResult,
    RunStatus,
)
from perdure.wire import ValueTooLarge, pack, unpack
from perdure.workflows import activity_options
from perdure.workflows.continuation import Continuation
from perdure.workflows.outbox import Outbox
from perdure.workflows.people import People
from perdure.workflows.progress import Progress

STATUS = SearchAttributeKey.for_keyword("PerdureStatus")


@workflow.defn(name="Graph", failure_exception_types=[PerdureError])
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
        self._outbox = Outbox(self._request, self._directory, self._progress, self._turns, self._wake)
        self._continuation = Continuation(self._request.events, self._wake)

    @workflow.run
    async def run(self, request: RawValue) -> RawValue:
        """Runs to the end. Fails with an ApplicationError of type RunFailed, GraphError or UsageError."""
        del request
        self._directory = self._outbox.directory = await self._look_up_agents()
        try:
            scheduler, commands = self._begin()
            self._scheduler = scheduler
            finish = await self._play(scheduler, commands)
        except GraphError as error:
            raise ApplicationError(str(error), error.problems[0].graphai, type="GraphError") from error
        except UsageError as error:
            raise ApplicationError(str(error), type="UsageError") from error
        finally:
            self._close()
        return self._result(scheduler, finish)

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

    @workflow.query
    def status(self, console_from: int = 0) -> RunStatus:
        """What the run is doing; `console_from` is the number of console lines already seen."""
        return self._progress.status(self._scheduler, console_from, self._people.questions())

    async def _look_up_agents(self) -> Directory:
        raw = await workflow.execute_local_activity(
            DIRECTORY,
            result_type=RawValue,
            start_to_close_timeout=activity_options.LOCAL_LIMIT,
            summary="the agents this worker knows",
        )
        return unpack(raw, Directory)

    def _begin(self) -> tuple[Scheduler, list[Command]]:
        """A new scheduler, or the one that an earlier run of the chain has left."""
        request, agents = self._request, self._directory.names()
        options = RunOptions(
            injects=[(str(name), value) for name, value in request.injects],
            config=request.config,
            graphs=request.graphs,
            bypass_agents=request.bypass_agents,
            force_loop=request.force_loop,
            loop_count=request.loop_count,
            previous_results=request.previous_results,
        )
        observe = self._progress.observe
        if request.state is not None:
            self._progress.resume(request.state["progress"])
            return restore(request.state["scheduler"], options, agents, observe)
        scheduler = Scheduler(request.document, options, agents=agents, observe=observe)
        return scheduler, scheduler.start(_now_ms())

    async def _play(self, scheduler: Scheduler, commands: list[Command]) -> Finish:
        while True:
            finish = self._carry_out(commands)
            if finish is not None:
                self._show()
                return finish
            commands = scheduler.handle(await self._next(scheduler), _now_ms())

    async def _next(self, scheduler: Scheduler) -> Event:
        while (event := self._turns.next()) is None:
            self._outbox.held = self._continuation.is_due()
            if self._outbox.held and self._outbox.is_idle():
                self._continue_as_new(scheduler)
            if self._outbox.held:
                self._continuation.wait()
            self._show()
            self._news = False
            await workflow.wait_condition(lambda: self._news)
            self._outbox.pump()
        return event

    def _continue_as_new(self, scheduler: Scheduler) -> None:
        state = {"scheduler": snapshot(scheduler), "progress": self._progress.state()}
        request = pack(replace(self._request, document={}, state=state))
        self._close()
        # On the build that is current by then, where workers have builds.
        upgrade = workflow.ContinueAsNewVersioningBehavior.AUTO_UPGRADE
        workflow.continue_as_new(request, initial_versioning_behavior=upgrade)

    def _close(self) -> None:
        """Nothing is waited for any more."""
        self._outbox.close()
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
                    if command.agent in self._directory.human:
                        self._people.ask(command)
                    else:
                        self._outbox.call(command)
                case Settle(call, turns):
                    self._turns.expect(Settled(call), turns)
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

    def _drop(self, call: int) -> None:
        """Nobody waits for this call any more."""
        self._people.close(call)
        self._outbox.drop(call)
        timer = self._timers.pop(call, None)
        if timer is not None:
            timer.cancel()

    async def _timer(self, call: int, milliseconds: float) -> None:
        await workflow.sleep(milliseconds / 1000, summary="timeout of a node with a graph")
        self._timers.pop(call, None)
        self._arrive(TimerFired(call))

    def _show(self) -> None:
        if self._scheduler is not None:
            workflow.set_current_details(self._progress.markdown(self._scheduler))

    def _result(self, scheduler: Scheduler, finish: Finish) -> RawValue:
        root = scheduler.root
        result = RunResult(
            results=finish.results,
            all=finish.all,
            errors=finish.errors,
            states={name: str(root.nodes[name].state) for name in root.plan.order},
            failure=finish.failure,
        )
        if self._request.indexed:
            status = "failed" if finish.failure is not None else "completed"
            workflow.upsert_search_attributes(  # pyright: ignore[reportUnknownMemberType] -- the SDK's
                [STATUS.value_set(status)]
            )
        try:
            raw = pack(result)
        except ValueTooLarge as error:
            raise ApplicationError(f"the results of all nodes: {error}", type="ValueTooLarge") from error
        if finish.failure is not None:
            raise ApplicationError(finish.failure, raw, type="RunFailed")
        return raw


def _now_ms() -> int:
    return int(workflow.now().timestamp() * 1000)
