"""The scheduler: events in, commands out; nothing in between waits, reads a clock or does I/O.

Theory of operation
    `start` begins the root graph; `handle` takes one event. Both return the commands that follow,
    in order. A node is queued when it waits for nothing, started when a slot is free (slots.py),
    and over when its call is answered and no retry is left. A graph is over when none of its nodes
    is queued or running and its loop has ended. A node of a nested graph or map has graphs inside;
    when they are over it settles, by a turn of its own, so that shells decide in which order.
    What a node means is in nodes.py, loops in loops.py, the table of states in state.py.

The same events give the same commands: order is document order, and sets are for membership only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from typing import assert_never

from perdure.engine import loops, nodes
from perdure.engine.board import Board, Observer
from perdure.engine.graph_agents import GRAPH_AGENTS
from perdure.engine.messages import (
    Abort,
    AgentCompleted,
    AgentFailed,
    Command,
    Event,
    Finish,
    RunAgent,
    RunOptions,
    Settled,
    TimerFired,
)
from perdure.engine.nested import NestedGraphs
from perdure.engine.plan import ComputedPlan, compile_plan
from perdure.engine.slots import Slots, Ticket
from perdure.engine.state import GraphRun, Nested, NodeState, Outcome
from perdure.errors import AgentError, FunctionError, GraphError, UsageError
from perdure.graph.check import first_problem
from perdure.graph.javascript import to_string
from perdure.graph.values import UNDEFINED, Value

DEEP = 40
"""Dispatches inside each other before the rest is put off: Python's stack is finite."""


class Scheduler:
    """Runs one graph. `agents` are the names that may be called, None for any.

    `observe` is told of every change of a node's state. Raises GraphError for a graph that GraphAI
    would refuse, UsageError for an inject into a node that is not static.
    """

    def __init__(
        self,
        document: Mapping[str, Value],
        options: RunOptions | None = None,
        *,
        agents: Collection[str] | None = None,
        observe: Observer | None = None,
    ) -> None:
        self.options = options or RunOptions()
        self.agents = None if agents is None else {*agents, *self.options.bypass_agents}
        problem = first_problem(document, self.agents)
        if problem is not None:
            raise GraphError([problem])
        plan = compile_plan(document, self.options.graphs)
        self.board = Board(Slots(plan.concurrency, plan.labels), observe)
        self.nested = NestedGraphs(self.board, self._begin, self.agents, self.options.graphs)
        self.root = self.board.add_run(plan)
        self.finished = False
        self._depth = 0
        self._put_off: deque[Ticket] = deque()
        self._apply_options()

    def start(self, now_ms: int) -> list[Command]:
        """Begins the run; `now_ms` is the time in milliseconds since the epoch."""
        self.board.clock.now_ms = now_ms
        self._begin(self.root)
        return self._commands()

    def handle(self, event: Event, now_ms: int) -> list[Command]:
        """The commands that follow from one event; none once the run has finished."""
        self.board.clock.now_ms = now_ms
        if self.finished:
            return []
        match event:
            case AgentCompleted(call, result):
                self._answer(call, Outcome(value=result))
            case AgentFailed(call, message, state, final):
                self._answer(call, Outcome(failure=message), NodeState(state), final)
            case Settled(call):
                self._settle(call)
            case TimerFired(call):
                self._time_out(call)
            case Abort():
                self._abort()
            case _:
                assert_never(event)
        return self._commands()

    def _commands(self) -> list[Command]:
        while self._put_off:
            ticket = self._put_off.popleft()
            self._execute(self.board.runs[ticket.run], ticket.node)
        return self.board.take_commands()

    # A graph: begin, iterate, end

    def _apply_options(self) -> None:
        run, options = self.root, self.options
        for name, value in options.injects:
            if name not in run.plan.statics:
                raise UsageError(f"injectValue with Invalid nodeId, {name}")
            run.values[name] = value
        run.renew()
        if options.loop_count is not None:
            run.rule = {"count": options.loop_count}
        if options.previous_results is not None:
            loops.update(run, options.previous_results)

    def _begin(self, run: GraphRun) -> None:
        if loops.is_endless(run):
            self._end(run, Outcome(failure="loop.while is no reference, so the loop could never end"))
            return
        self._inject(run)
        missing = loops.missing_statics(run)
        if missing:
            text = "Static node(s) must have value. Set value, injectValue, or set update."
            self._end(run, Outcome(failure=f"{text} Affected nodeIds: {', '.join(missing)}"))
        elif not self._queue_ready(run):
            self._end(run, Outcome(value={}), nothing_ran=True)
        elif not run.active:
            self._iterate(run)

    def _inject(self, run: GraphRun) -> None:
        for name in run.plan.statics:
            if loops.set_result(run, name):
                self.board.moved(run, name)
                self._notify(run, name)

    def _queue_ready(self, run: GraphRun) -> bool:
        """Queues what can run; False when nothing can."""
        run.starting = True
        queued = [self._queue_if_ready(run, name) for name in run.plan.computed]
        run.starting = False
        return any(queued)

    def _iterate(self, run: GraphRun) -> None:
        """Nothing of `run` is active any more: another iteration, or its end."""
        try:
            while loops.advance(run, self.options.force_loop):
                self._inject(run)
                self._show_statics(run)
                if not self._queue_ready(run):
                    break
                if run.active:
                    return
        except (FunctionError, AgentError) as error:
            self._end(run, Outcome(failure=str(error)))
            return
        failure = next(iter(run.errors().values()), None)
        self._end(run, Outcome(value=run.results(run.want_all), failure=failure))

    def _show_statics(self, run: GraphRun) -> None:
        for name, static in run.plan.statics.items():
            self.board.show(run, name, nodes.console_after(run, static.console, run.nodes[name].result))

    def _end(self, run: GraphRun, outcome: Outcome, nothing_ran: bool = False) -> None:
        run.outcome = outcome
        if run is not self.root:
            self.nested.over(run)
        elif nothing_ran:
            self.finished = True
            self.board.commands.append(Finish(all={}, results={}))
        else:
            self._finish(outcome.failure)

    def _finish(self, failure: str | None, aborted: bool = False) -> None:
        self.finished = True
        run = self.root
        finish = Finish(
            all=run.results(True),
            results=run.results(False),
            errors=run.errors(),
            failure=failure,
            aborted=aborted,
        )
        self.board.commands.append(finish)

    # A node: notified, queued, started

    def _notify(self, run: GraphRun, name: str) -> None:
        for waiter in run.plan.waiters.get(name, ()):
            nodes.forget(run, waiter, name)
            if run.active:
                self._queue_if_ready(run, waiter)

    def _queue_if_ready(self, run: GraphRun, name: str) -> bool:
        if not nodes.is_ready(run, name):
            return False
        plan = run.plan.computed[name]
        if run.nodes[name].skip and plan.default is UNDEFINED:
            self.board.move(run, name, NodeState.SKIPPED)
            return False
        self.board.move(run, name, NodeState.QUEUED)
        run.active += 1
        self.board.slots.push(run.id, name, plan.priority, plan.label)
        self._dispatch()
        return True

    def _dispatch(self) -> bool:
        ticket = self.board.slots.pop()
        if ticket is None:
            return False
        if self._depth >= DEEP:
            self._put_off.append(ticket)
            return True
        self._depth += 1
        self._execute(self.board.runs[ticket.run], ticket.node)
        self._depth -= 1
        return True

    def _execute(self, run: GraphRun, name: str) -> None:
        if run.nodes[name].skip:
            self._complete(run, name, run.plan.computed[name].default)
            return
        while not self._attempt(run, name):
            pass

    def _attempt(self, run: GraphRun, name: str) -> bool:
        """Calls the node's agent; False when that failed at once and may be tried again."""
        node, plan = run.nodes[name], run.plan.computed[name]
        try:
            inputs = nodes.inputs_of(run, plan)
            agent = nodes.agent_of(run, plan)
            graph = nodes.graph_of(run, plan)
            if not isinstance(agent, str) or not self._may_call(agent, plan):
                raise AgentError(f"No agent: {to_string(agent)} in {name} node")
        except (FunctionError, AgentError) as error:
            return not self._fail(run, name, NodeState.FAILED, str(error))
        self.board.move(run, name, NodeState.EXECUTING)
        self.board.show(run, name, nodes.console_before(plan, inputs))
        node.call = self.board.new_call()
        if graph is not None or nodes.has_own_graph(agent):
            node.reserved = True
            self.board.slots.open_nested(run.id, plan.label)
        params = nodes.params_of(plan, inputs)
        if agent in GRAPH_AGENTS:
            node.nested = Nested(agent=agent, params=params)
            self.nested.open(run, name, agent, inputs, graph)
        else:
            self.board.send(run, name, self._agent_command(run, name, agent, inputs, params))
        return True

    def _may_call(self, agent: str, plan: ComputedPlan) -> bool:
        """Which agents another task queue has is not known here."""
        return self.agents is None or agent in self.agents or plan.options.queue is not None

    def _agent_command(
        self, run: GraphRun, name: str, agent: str, inputs: dict[str, Value], params: dict[str, Value]
    ) -> RunAgent:
        node, plan = run.nodes[name], run.plan.computed[name]
        return RunAgent(
            call=node.call or 0,
            node=name,
            path=run.path_of(name),
            key=run.key_of(name),
            agent=agent,
            inputs=inputs,
            params=params,
            config=nodes.config_of(self.options.config, agent, whole=node.reserved),
            filter_params=plan.filter_params,
            retry=node.retries,
            is_result=plan.is_result,
            version=run.plan.version,
            verbose=run.plan.verbose,
            options=plan.options,
        )

    # A node: answered, over

    def _answer(
        self, call: int, outcome: Outcome, state: NodeState = NodeState.FAILED, final: bool = False
    ) -> None:
        found = self.board.calls.pop(call, None)
        if found is None:
            return
        run, name = self.board.runs[found.run], found.node
        plan = run.plan.computed[name]
        self._stop_waiting(run, name)
        failure = outcome.failure
        if failure is None:
            try:
                self.board.show(run, name, nodes.console_after(run, plan.console, outcome.value))
                failure = "Repeat Until" if nodes.is_missing(run, plan, outcome.value) else None
            except (FunctionError, AgentError) as error:
                failure = str(error)
        if failure is None:
            self._complete(run, name, outcome.value)
        elif self._fail(run, name, state, failure, final):
            self._execute(run, name)

    def _stop_waiting(self, run: GraphRun, name: str) -> None:
        """The call of a node is over: its timer, its extra slot and its inner graphs go."""
        node = run.nodes[name]
        node.call = None
        self.board.cancel(node.timer)
        node.timer = None
        if node.reserved:
            node.reserved = False
            self.board.slots.close_nested(run.id, run.plan.computed[name].label)
        if node.nested is not None:
            self.board.discard(node.nested.children)
            node.nested = None

    def _complete(self, run: GraphRun, name: str, value: Value) -> None:
        node, plan = run.nodes[name], run.plan.computed[name]
        try:
            node.move(NodeState.COMPLETED, run.path_of(name))
            node.result = nodes.final_result(run, plan, value)
            self.board.moved(run, name)
            self._notify(run, name)
        except (FunctionError, AgentError) as error:
            if self._fail(run, name, NodeState.FAILED, str(error)):
                self._execute(run, name)
            return
        self._leave(run, name)

    def _fail(self, run: GraphRun, name: str, state: NodeState, message: str, final: bool = False) -> bool:
        """Records a failed attempt; True when the node is to be executed again."""
        node = run.nodes[name]
        self.board.move(run, name, state)
        if not final and node.retries < run.plan.computed[name].retry:
            node.retries += 1
            return True
        node.result = UNDEFINED
        node.error = message
        self._leave(run, name)
        return False

    def _leave(self, run: GraphRun, name: str) -> None:
        self.board.slots.release(run.plan.computed[name].label)
        run.active -= 1
        while self._dispatch():
            pass
        if not run.active and not run.starting and run.outcome is None:
            self._iterate(run)

    # Other events

    def _settle(self, call: int) -> None:
        found = self.board.calls.get(call)
        nested = None if found is None else self.board.runs[found.run].nodes[found.node].nested
        if nested is not None and nested.outcome is not None:
            self._answer(call, nested.outcome)

    def _time_out(self, timer: int) -> None:
        found = self.board.calls.pop(timer, None)
        if found is None:
            return
        node = self.board.runs[found.run].nodes[found.node]
        node.timer = None
        if node.call is None:
            return
        if node.call not in self.board.calls:  # its graphs are still running, so nothing is owed yet
            self.board.calls[node.call] = found
        self._answer(node.call, Outcome(failure="Timeout"), NodeState.TIMED_OUT)

    def _abort(self) -> None:
        """GraphAI's abort: what runs is told to stop, the rest stays as it is."""
        self.board.stop(list(self.root.walk(self.board.runs)))
        self._finish(next(iter(self.root.errors().values()), None), aborted=True)
