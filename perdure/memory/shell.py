"""Carries out the commands of a scheduler in the running event loop: the same language, the same agents.

A run takes what a durable run takes and comes to the same result. It serves unit tests, simulation and
`perdure run --in-memory`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import assert_never

from perdure.agents.agent import NO_CONTEXT, Agent
from perdure.agents.catalog import Agents, agents_by_name, catalog
from perdure.agents.filters import AgentFilter, applying
from perdure.agents.invoke import close_clients, normal
from perdure.engine.fuel import MAX_EVENT_STEP_COUNT
from perdure.engine.messages import (
    Abort,
    AgentCompleted,
    AgentFailed,
    CancelCall,
    Command,
    Console,
    Event,
    Fetch,
    Finish,
    RunAgent,
    RunOptions,
    Settle,
    Settled,
    StartTimer,
    TimerFired,
)
from perdure.engine.outcomes import failure_of
from perdure.engine.scheduler import Scheduler
from perdure.engine.state import GraphRun, Observer
from perdure.engine.turn_order import TurnOrder
from perdure.errors import EngineError
from perdure.graph.check import modernized
from perdure.graph.values import Value, normalize
from perdure.memory.calls import MemoryCalls
from perdure.memory.environment import MemoryEnvironment
from perdure.memory.waits import MemoryWaits
from perdure.protocol.failures import FailureLog
from perdure.protocol.numpy_arrays import from_python, with_arrays
from perdure.protocol.payloads import RunResult


def memory_shell(
    graph: Mapping[str, Value],
    agents: Agents = (),
    inputs: Mapping[str, Value] | None = None,
    *,
    options: RunOptions | None = None,
    environment: MemoryEnvironment | None = None,
    answers: bool = False,
) -> MemoryShell:
    """The shell for one run. `agents` are added to those shipped; `inputs` go into static nodes.

    With `answers`, nodes that wait for a person wait for `MemoryShell.waits.human_tasks.answer`.

    Raises GraphError for a graph or a policy that is wrong, UsageError for an input that fits no node.
    """
    environment = environment or MemoryEnvironment()
    by_name, failures = {**catalog(), **agents_by_name(agents)}, FailureLog()
    scheduler = Scheduler(
        modernized(normalize(graph)),
        (options or RunOptions()).injecting(from_python(inputs or {})),
        agents=by_name,
        observe=_noting(failures, environment.observe),
        event_steps=MAX_EVENT_STEP_COUNT,
        authority=environment.authority(by_name),
    )
    return MemoryShell(scheduler, by_name, environment, answers, failures)


def _noting(failures: FailureLog, observe: Observer | None) -> Observer:
    """Notes what fails, for the place of a failure, and hands on to `observe`."""
    if observe is None:
        return failures.observe

    def note(run: GraphRun, node: str) -> None:
        failures.observe(run, node)
        observe(run, node)

    return note


@dataclass(slots=True)
class MemoryShell:
    """Carries out the commands of one Scheduler in the running event loop.

    Answers that are known at once are delivered in turns, so that agents which do not wait finish in
    GraphAI's order: a plain agent takes one turn, a nested graph those that its Settle names. Questions that
    no `ask` answers wait for `people.answer` if `answers` is set; otherwise their nodes fail.
    """

    scheduler: Scheduler
    agents: Mapping[str, Agent]
    environment: MemoryEnvironment = field(default_factory=MemoryEnvironment)
    answers: bool = False
    failures: FailureLog = field(default_factory=FailureLog)
    _turns: TurnOrder = field(default_factory=TurnOrder)
    _has_events: asyncio.Event = field(default_factory=asyncio.Event)
    _open: dict[int, asyncio.Task[None]] = field(default_factory=dict[int, asyncio.Task[None]])
    _finish: Finish | None = None
    _calls: MemoryCalls = field(init=False)
    waits: MemoryWaits = field(init=False)

    def __post_init__(self) -> None:
        self._calls = MemoryCalls(self.environment)
        asks = self.environment.ask, self.answers
        self.waits = MemoryWaits(self.scheduler, self.agents, *asks, self._arrive)

    async def run(self) -> RunResult:
        """Runs to the end. Raises RunFailed when a node failed."""
        journal = self.environment.journal
        if journal is not None:
            journal.begun(self.scheduler)
        try:
            self._carry_out(self.scheduler.start(_now_ms()))
            while self._finish is None:
                event = await self._next()
                if journal is not None:
                    journal.answered(event)
                self._carry_out(self.scheduler.handle(event, _now_ms()))
        finally:
            for task in self._open.values():
                task.cancel()
            self.waits.end()
            await self._calls.sessions.close()
            await close_clients()
        return self._result(self._finish)

    def abort(self) -> None:
        """Stops the run; it ends with the results it has."""
        self._arrive(Abort())

    def _cancel(self, call: int) -> None:
        self.waits.close(call)
        if self.environment.recall is not None:
            self.environment.recall.release(call)
        if (task := self._open.pop(call, None)) is not None:
            task.cancel()
        self._calls.sessions.order.drop(call)
        self._call_ready()

    async def _next(self) -> Event:
        await asyncio.sleep(0)
        while (event := self._turns.next()) is None:
            self._has_events.clear()
            await self._has_events.wait()
        return event

    def _arrive(self, event: Event) -> None:
        self._turns.arrive(event)
        self._has_events.set()

    def _carry_out(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case RunAgent():
                    self._call(command)
                case Settle(call, turns):
                    self._turns.expect(call, Settled(call), turns)
                case StartTimer(call, milliseconds):
                    self._open[call] = asyncio.create_task(self._timer(call, milliseconds))
                case CancelCall(call):
                    self._cancel(call)
                case Console(_, text):
                    self.environment.console(text)
                case Finish():
                    self._finish = command
                case Fetch():
                    raise EngineError("nothing is deferred in memory")
                case _:
                    assert_never(command)

    def _call(self, command: RunAgent) -> None:
        agent, environment = self.agents.get(command.agent), self.environment
        has_record = environment.recall is not None or environment.journal is not None
        if has_record and self._is_recalled(agent, command):
            return
        if self.waits.open(agent, command):
            return
        is_human = agent is not None and agent.human  # no worker is called, so no filter sees it there
        filters_here = () if is_human else environment.filters
        filters = applying(filters_here, command.agent, command.node) if filters_here else ()
        if agent is None and not filters:  # bypassAgentIds allows it, and no one could answer
            self._turns.expect(command.call, AgentCompleted(command.call, None))
        elif agent is not None and agent.pure and not filters and command.options.session is None:
            self._pure(agent, command)
        elif self._calls.sessions.order.admits(command):
            self._open[command.call] = asyncio.create_task(self._wait_for(agent, command, filters))

    def _call_ready(self) -> None:
        """Makes the calls of sessions whose turn it is now."""
        for command in self._calls.sessions.order.take_ready():
            filters = applying(self.environment.filters, command.agent, command.node)
            waiting = self._wait_for(self.agents.get(command.agent), command, filters)
            self._open[command.call] = asyncio.create_task(waiting)

    def _is_recalled(self, agent: Agent | None, command: RunAgent) -> bool:
        """Answers the call from the record, if there is one that has its answer."""
        recall, journal = self.environment.recall, self.environment.journal
        if journal is not None:
            journal.called(command)
        if recall is None or (recalled := recall.find(command)) is None:
            return False
        event = AgentCompleted(command.call, recalled.result)
        if agent is not None and agent.pure:
            self._turns.expect(command.call, event)
        else:
            self._turns.recall(command.call, recalled.order, event)
        if journal is not None:
            journal.recalled(command.path, recalled.entry)
        return True

    def _pure(self, agent: Agent, command: RunAgent) -> None:
        """Answers in turn; what fails for now is called again as any other agent is."""
        try:
            context = self._calls.context(command) if agent.sees_context else NO_CONTEXT
            result = normal(agent.name, agent.call(command.inputs, command.params, context))
        except Exception as error:
            failure = failure_of(error)
            if failure.transient:
                self._open[command.call] = asyncio.create_task(self._wait_for(agent, command, ()))
            else:
                self._turns.expect(command.call, failure.answer(command.call))
        else:
            self._turns.expect(command.call, AgentCompleted(command.call, result))

    async def _wait_for(self, agent: Agent | None, command: RunAgent, filters: Sequence[AgentFilter]) -> None:
        event: AgentCompleted | AgentFailed
        try:
            event = await self._calls.tried(agent, command, filters)
        except Exception as error:
            event = failure_of(error).answer(command.call)
        self._open.pop(command.call, None)
        self._calls.sessions.order.over(event)
        self._call_ready()
        self._arrive(event)

    async def _timer(self, call: int, milliseconds: float) -> None:
        await asyncio.sleep(milliseconds / 1000)
        self._open.pop(call, None)
        self._arrive(TimerFired(call))

    def _result(self, finish: Finish) -> RunResult:
        result = RunResult.of(finish, self.scheduler.root)
        result = replace(result, results=with_arrays(result.results), all=with_arrays(result.all))
        if finish.failure is None:
            return result
        failed = replace(result, place=self.failures.place_of(finish.failure, result.errors)).error()
        assert failed is not None
        raise failed


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
