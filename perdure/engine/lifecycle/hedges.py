"""Hedged calls: a call that takes long is made a second time, and the first answer counts.

Both calls are of the same attempt, with the same inputs and idempotency key. A failure counts only when the
other call has failed too, so a host that fails fast does not beat one that is slow. Which answer came first
is the order of events in the history, which every replay repeats.

The second call is a call like the first: it draws on the same budgets, and is not made where too little is
left, or where people have approved the first one. Once one of the two has answered, the other counts what it
has reserved.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from perdure.engine import node_semantics
from perdure.engine.board import Board, Rules
from perdure.engine.granting.budgets import Budgets
from perdure.engine.lifecycle.places import queue_of
from perdure.engine.maps.opened_graphs import Outcome
from perdure.engine.messages import RunAgent, StartTimer
from perdure.engine.resolved_values import ValueNeeded
from perdure.engine.state import GraphRun, NodeRun
from perdure.errors import AgentError, FunctionError, NotGranted
from perdure.graph.values import Value

HEDGE_MARK: Final = "~2"
"""What the path of the second of two calls ends with."""


class Hedges:
    """Sends second calls, and says which answers count."""

    def __init__(self, board: Board, rules: Rules, budgets: Budgets) -> None:
        self._board = board
        self._rules = rules
        self._budgets = budgets

    def call(self, run: GraphRun, name: str, command: RunAgent) -> None:
        """Sends a call. The second follows after the time that the node sets, if it sets one."""
        if run.is_guarded:
            self._hold(run, command)
        self._board.send(run, name, command)
        after = run.plan.computed[name].options.hedge_after
        if after is not None:
            timer = run.nodes[name].hedge_timer = self._board.new_call()
            self._board.send(run, name, StartTimer(timer, after))

    def send(self, run: GraphRun, name: str) -> None:
        """The time of the first call is over: sends the second, with what the first was called with."""
        node, plan = run.nodes[name], run.plan.computed[name]
        node.hedge_timer = None
        flight = self._board.calls.get(node.call or 0)
        if flight is None or not isinstance(first := flight.command, RunAgent):
            return
        try:
            queue = queue_of(run, plan.hedge_queue) or first.options.queue
            granted = self._rules.authority.of_call(run, name, first.agent, queue)
            if run.is_guarded:
                self._charge(run, name, first)
        except (ValueNeeded, AgentError, FunctionError):
            return  # there is nowhere to send it: the first call remains
        self._board.count_call()
        node.hedge = self._board.new_call()
        called = first.agent, first.inputs, first.params, queue, granted
        second = second_call(self._rules, run, name, *called)
        if run.is_guarded:
            self._hold(run, second)
        self._board.send(run, name, second)

    def is_outlived(self, node: NodeRun, call: int, outcome: Outcome) -> bool:
        """Whether this answer is a failure, and the other call of the node may still have a result."""
        other = node.hedge if call == node.call else node.call
        return node.hedge is not None and outcome.failure is not None and other in self._board.calls

    def _charge(self, run: GraphRun, name: str, first: RunAgent) -> None:
        """Counts the second call. Raises NotGranted where too little is left, or people approved one call."""
        if run.nodes[name].approved:
            raise NotGranted(f"{run.path_of(name)}: not granted: a second call, for one was approved")
        asks_model, is_pure = self._rules.authority.use_of(first.agent)
        call: dict[str, Value] = {"inputs": first.inputs, "params": first.params}
        self._budgets.charge(run, name, call, asks_model=asks_model, is_pure=is_pure, forced=False)

    def _hold(self, run: GraphRun, command: RunAgent) -> None:
        """What a call may use of the budgets is reserved, if it asks a model."""
        if self._rules.authority.use_of(command.agent)[0]:
            self._budgets.hold(run, command)

    def end(self, run: GraphRun, name: str) -> None:
        """The attempt is over: what is left of its two calls is cancelled, and may have used its reserve."""
        node = run.nodes[name]
        if node.hedge is not None and run.is_guarded:
            for call in (node.hedge, node.call):
                self._budgets.lose(run, name, call)
        if node.hedge_timer is not None or node.hedge is not None:
            for call in (node.hedge_timer, node.hedge, node.call):
                self._board.cancel(call)
            node.hedge_timer = node.hedge = None
        node.call = None


def second_call(
    rules: Rules,
    run: GraphRun,
    name: str,
    agent: str,
    inputs: Value,
    params: Mapping[str, Value],
    queue: str | None,
    granted: Mapping[str, Value] | None = None,
) -> RunAgent:
    """The command that calls `agent` for a node once more, under its second call."""
    command = node_semantics.agent_call(rules, run, name, agent, inputs, params, queue, granted)
    command.call, command.path = run.nodes[name].hedge or 0, command.path + HEDGE_MARK
    return command
