"""The lifecycle of a node: notified of results, queued, started, concluded, over.

What a node means is in node_semantics.py, how it continues once a value has come in value_arrivals.py.

Why it is recursive
    GraphAI completes a node, notifies its dependents, and starts those that are ready and have a slot,
    within one call; some of them end at once (a skipped node with a default, an agent that refuses its
    inputs) and complete others in turn. Which node gets the last slot, and the order of calls in a
    history, follow from that. So results are followed depth first here, too.

Invariants
    A node that holds a slot gives it back in `_leave`, once, or in `Board.stop`.
    Between two events, no queued node waits for a slot that is free.
    The result of a node with a graph is passed on while its second slot still counts; a failure is
    recorded after that slot is released. The bound in slots.py rests on this.

Rejected: a work list. It would start nodes breadth first, in another order than GraphAI as soon as slots are
scarce. Python's stack is finite, though: starts nested too deeply are put off (`catch_up`).
"""

from __future__ import annotations

from collections import deque

from perdure.engine import node_semantics, outcomes
from perdure.engine.attempts import MAX_LAST_FAILURE_CHARS
from perdure.engine.board import Board, Rules
from perdure.engine.lifecycle.approvals import Approvals
from perdure.engine.lifecycle.events import GraphEvents
from perdure.engine.lifecycle.hedges import Hedges
from perdure.engine.lifecycle.nested import NestedGraphs
from perdure.engine.lifecycle.places import places_of
from perdure.engine.lifecycle.value_requests import ValueRequests
from perdure.engine.live_bytes import input_limit
from perdure.engine.maps.opened_graphs import Nested, Outcome
from perdure.engine.messages import StartTimer
from perdure.engine.resolved_values import ValueNeeded
from perdure.engine.state import GraphRun, NodeState
from perdure.errors import AgentError, FunctionError, SizeExceeded
from perdure.graph.javascript import to_string
from perdure.graph.values import UNDEFINED, Value

MAX_NESTED_DISPATCH_DEPTH = 40
"""Dispatches inside each other before the rest is put off: Python's stack is finite."""


class NodeLifecycle:
    """Moves the nodes of all graphs of a run; `events` hear of each graph that is idle."""

    def __init__(
        self, board: Board, rules: Rules, nested: NestedGraphs, fetches: ValueRequests, events: GraphEvents
    ) -> None:
        self.board, self.rules = board, rules
        self._fuel = board.fuel
        self._by_value = input_limit(rules.gates)
        self._observe = board.observe
        self._nested = nested
        self._fetches = fetches
        self._events = events
        self._depth = 0
        self.approvals = Approvals(board, rules)
        self.hedges = Hedges(board, rules, self.approvals.budgets)
        self.put_off: deque[tuple[GraphRun, str]] = deque()

    def notify(self, run: GraphRun, name: str, queue: bool = True) -> None:
        """Notifies the nodes that wait for `name` that it has a result; `queue` queues the ready ones."""
        dependents = run.plan.dependents.get(name)
        if dependents is None:
            return
        self._fuel.left -= len(dependents)
        run.holds += 1
        try:
            for dependent in dependents:
                try:
                    is_ready = node_semantics.forget(run, dependent, name)
                except ValueNeeded as unknown:
                    self._fetches.wait(run, dependent, unknown)
                else:
                    if is_ready and queue:
                        self.queue_if_ready(run, dependent)
        finally:
            run.holds -= 1

    def queue_ready(self, run: GraphRun) -> bool:
        """Queues what can run; False when nothing can."""
        queued = False
        run.holds += 1
        try:
            for name in run.plan.computed:
                if self.queue_if_ready(run, name):
                    queued = True
        finally:
            run.holds -= 1
        return queued or not run.is_idle

    def queue_if_ready(self, run: GraphRun, name: str) -> bool:
        """Queues a node that waits for nothing any more, unless it is skipped; starts one if it may."""
        node = run.nodes[name]
        if node.state is not NodeState.WAITING or node.pending or node.call is not None:
            return False
        plan = run.plan.computed[name]
        if plan.condition is not None or plan.unless is not None:
            try:
                node.skip = node_semantics.is_skipped(run, plan)
            except ValueNeeded as unknown:
                self._fetches.wait(run, name, unknown)
                return True
        if node.skip and plan.default is UNDEFINED:
            run.move(name, NodeState.SKIPPED, self._observe)
            return False
        run.move(name, NodeState.QUEUED, self._observe)
        board = self.board
        is_held = bool(board.paused) and board.is_paused(run, name)
        if self._fuel.left > 0 and not is_held and board.slots.take_at_once(plan.label):
            self._start(run, name)
        else:
            board.queue(run, name)
            self._dispatch()
        return True

    def catch_up(self) -> None:
        """Starts what was put off; to be called when the event has been handled otherwise."""
        while self.put_off:
            self.execute(*self.put_off.popleft())

    def start_queued(self) -> None:
        """Starts what is queued, as far as there are slots."""
        while self.board.slots.lanes and self._dispatch():
            pass

    def _dispatch(self) -> bool:
        if self._fuel.left <= 0:
            self.board.pause()
            return False
        ticket = self.board.slots.pop()
        if ticket is None:
            return False
        self._start(self.board.runs[ticket.run], ticket.node)
        return True

    def _start(self, run: GraphRun, name: str) -> None:
        if self._depth >= MAX_NESTED_DISPATCH_DEPTH:
            self.put_off.append((run, name))
            return
        self._depth += 1
        self.execute(run, name)
        self._depth -= 1

    def execute(self, run: GraphRun, name: str) -> None:
        """Calls the agent of a node that has its slot, until a call is on its way or no retry is left."""
        if run.nodes[name].skip:
            self._take_default(run, name)
            return
        while not self._attempt(run, name):
            pass

    def _take_default(self, run: GraphRun, name: str) -> None:
        try:
            plan = run.plan.computed[name]
            self._complete(run, name, node_semantics.merged(run, plan, plan.default))
        except (FunctionError, AgentError) as error:
            self.fail(run, name, NodeState.FAILED, str(error), final=True)  # it would fail again

    def _attempt(self, run: GraphRun, name: str) -> bool:
        """Calls the node's agent; False when that failed at once and may be tried again."""
        board, node, plan = self.board, run.nodes[name], run.plan.computed[name]
        self._fuel.left -= 1
        try:
            inputs = node_semantics.inputs_of(run, plan, self._fuel, self._by_value, node.approved_ms)
            agent = plan.agent if isinstance(plan.agent, str) else node_semantics.agent_of(run, plan.agent)
            if node.state is not NodeState.EXECUTING:
                run.move(name, NodeState.EXECUTING, self._observe)
            if not isinstance(agent, str) or not node_semantics.may_call(self.rules, agent, plan):
                raise AgentError(f"No agent: {to_string(agent)}{f' in {name} node' if name else ''}")
            graph = None if plan.graph is None else node_semantics.graph_of(run, plan.graph)
            own = agent in self.rules.own
            inputs = node_semantics.nested_inputs(run, inputs) if own else inputs
            params = node_semantics.params_of(run, plan, inputs)
            queue, session = (None, None) if own or plan.is_plain else places_of(run, plan)
            decide = self.approvals.granted if run.is_guarded else self.rules.authority.of_call
            granted = decide(run, name, agent, queue)
        except ValueNeeded as unknown:
            self._fetches.request_value(run, name, unknown, "attempt")
            return True
        except (FunctionError, AgentError) as error:
            board.count_call()
            return self.approvals.ask(run, name, error) or not self.fail(run, name, *outcomes.end_of(error))
        if plan.console is not None:
            board.show(run, name, node_semantics.console_before(plan, inputs))
        board.count_call()
        if plan.options.deadline is not None and node.deadline is None:
            node.deadline = board.new_call()
            board.send(run, name, StartTimer(node.deadline, plan.options.deadline))
        node.call = board.new_call()
        if graph is not None or (own and node_semantics.has_own_graph(agent)):
            node.reserved = True
            board.slots.open_nested(run.id, plan.label)
        if own:
            self._nested.open(run, name, Nested(call=node.call, agent=agent, params=params), inputs, graph)
        else:
            called = agent, inputs, params, queue, granted, session
            self.hedges.call(run, name, node_semantics.agent_call(self.rules, run, name, *called))
        return True

    def conclude(
        self,
        run: GraphRun,
        name: str,
        outcome: Outcome,
        state: NodeState = NodeState.FAILED,
        final: bool = False,
    ) -> None:
        """Makes of an answer what it is for the node: its result, another attempt, its failure."""
        node, failure = run.nodes[name], outcome.failure
        self.hedges.end(run, name)
        reserved = node.reserved
        if reserved or node.nested is not None:
            self._nested.close(run, name, outcome)
        if failure is None:
            try:
                self._take_result(run, name, outcome.value)
            except ValueNeeded as unknown:
                self._fetches.request_value(run, name, unknown, "result", outcome.value)
            except (FunctionError, AgentError) as error:
                failure, final = str(error), final or isinstance(error, SizeExceeded)
        if reserved:
            self.board.slots.close_nested(run.id, run.plan.computed[name].label)
        if failure is not None and self.fail(run, name, state, failure, final, outcome.refused):
            self.execute(run, name)

    def _take_result(self, run: GraphRun, name: str, value: Value) -> None:
        plan = run.plan.computed[name]
        if plan.repeat_until is not None:
            self._take_checked(run, name, value)
            return
        if plan.pass_through is not None:
            run.resolved.resolve_shallow(value)  # nothing is shown before it is known
        if plan.console is not None:
            self.board.show(run, name, node_semantics.console_after(run, plan.console, value))
        self._complete(run, name, node_semantics.merged(run, plan, value))

    def _take_checked(self, run: GraphRun, name: str, value: Value) -> None:
        """A result that repeatUntil looks at, once passThrough is merged."""
        plan = run.plan.computed[name]
        merged = node_semantics.merged(run, plan, value)
        is_missing = node_semantics.is_missing(run, plan, merged)
        if plan.console is not None:
            self.board.show(run, name, node_semantics.console_after(run, plan.console, value))
        if not is_missing:
            self._complete(run, name, merged)
        elif self.fail(run, name, NodeState.FAILED, "Repeat Until", False):
            self.execute(run, name)

    def _complete(
        self, run: GraphRun, name: str, merged: Value, state: NodeState = NodeState.COMPLETED
    ) -> None:
        """The node has its result: what its agent gave, with passThrough over it."""
        plan = run.plan.computed[name]
        result = merged if plan.output is None else node_semantics.mapped(run, plan, merged)
        self.board.hold_result(run, result)
        run.nodes[name].result = result
        run.move(name, state, self._observe)
        self.notify(run, name)
        self._leave(run, name)

    def fail(
        self, run: GraphRun, name: str, state: NodeState, message: str, final: bool, refused: bool = False
    ) -> bool:
        """Records a failed attempt; True when the node is to be executed again. A refusal has no fallback."""
        node, plan = run.nodes[name], run.plan.computed[name]
        if not final and node.retries < plan.retry:
            run.move(name, state, self._observe)
            node.retries += 1
            node.last_failure = message[:MAX_LAST_FAILURE_CHARS]
            return True
        if plan.fallback is not None and not refused and node.state is not NodeState.COMPLETED:
            try:
                fallback = node_semantics.fallback_of(run, plan.fallback)
                node.last_failure = message[:MAX_LAST_FAILURE_CHARS]
                self._complete(run, name, node_semantics.merged(run, plan, fallback), NodeState.FELL_BACK)
                return False
            except (FunctionError, AgentError) as error:
                state, message = NodeState.FAILED, str(error)
        run.move(name, state, self._observe)
        node.result = UNDEFINED
        node.error = outcomes.cut(message)  # it may quote a name of a megabyte, and is shown everywhere
        self._leave(run, name)
        return False

    def _leave(self, run: GraphRun, name: str) -> None:
        node = run.nodes[name]
        if node.deadline is not None:
            self.board.cancel(node.deadline)
            node.deadline = None
        slots = self.board.slots
        slots.release(run.plan.computed[name].label)
        while slots.lanes and self._dispatch():
            pass
        if not run.active and not run.holds and run.outcome is None:
            self._events.idle(run)
