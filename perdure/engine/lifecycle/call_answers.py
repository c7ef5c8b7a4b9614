"""Answers to calls: which node an answer, a timer or a settled graph belongs to, and what it means there."""

from __future__ import annotations

from perdure.engine.attempts import deadline_message
from perdure.engine.board import Board, InFlight
from perdure.engine.granting.budgets import guard
from perdure.engine.lifecycle.nested import NestedGraphs
from perdure.engine.lifecycle.nodes import NodeLifecycle
from perdure.engine.maps.opened_graphs import Outcome
from perdure.engine.messages import RunAgent
from perdure.engine.state import GraphRun, NodeState


class CallAnswers:
    """Hands answers to their nodes. One to a call that is over, or was cancelled, is ignored."""

    def __init__(self, board: Board, node_lifecycle: NodeLifecycle, nested: NestedGraphs) -> None:
        self._board = board
        self._nodes = node_lifecycle
        self._nested = nested

    def answer(
        self, call: int, outcome: Outcome, state: NodeState = NodeState.FAILED, final: bool = False
    ) -> None:
        """A call is over; `state` is what a failure makes of the node."""
        flight = self._board.calls.pop(call, None)
        if flight is None:
            return
        run = self._board.runs[flight.run]
        node = run.nodes[flight.node]
        if self._nodes.approvals.is_question(flight):
            self._decide(run, flight, outcome)
            return
        if run.is_guarded and isinstance(flight.command, RunAgent):
            self._nodes.approvals.budgets.settle(run, flight.node, flight.command, outcome)
        if outcome.refused and self._is_asked_about(run, flight, outcome):
            return
        if node.hedge is None or not self._nodes.hedges.is_outlived(node, call, outcome):
            self._nodes.conclude(run, flight.node, outcome, state, final)

    def _decide(self, run: GraphRun, flight: InFlight, outcome: Outcome) -> None:
        """People have answered whether a call of a node may be made, or no person has in time."""
        node, command = run.nodes[flight.node], flight.command
        assert isinstance(command, RunAgent)
        node.call = None
        refusal = self._nodes.approvals.decide(node, command, outcome)
        if refusal is not None:
            self._nodes.fail(run, flight.node, NodeState.FAILED, refusal, final=True, refused=True)
        else:
            guard(run)
            self._nodes.execute(run, flight.node)

    def _is_asked_about(self, run: GraphRun, flight: InFlight, outcome: Outcome) -> bool:
        node = run.nodes[flight.node]
        if node.hedge is not None or not self._nodes.approvals.ask_about(run, flight.node, flight, outcome):
            return False
        if node.hedge_timer is not None:
            self._board.cancel(node.hedge_timer)
            node.hedge_timer = None
        return True

    def finish_turn(self, call: int) -> None:
        """The graphs of a node have been over for as many turns as GraphAI takes: so is its call."""
        flight = self._board.calls.get(call)
        nested = None if flight is None else self._board.runs[flight.run].nodes[flight.node].nested
        if nested is not None and nested.outcome is not None:
            self.answer(call, nested.outcome)

    def time_out(self, timer: int) -> None:
        """The time of an attempt with graphs inside is over, of its rows, or of all attempts of a node."""
        flight = self._board.calls.pop(timer, None)
        if flight is None:
            return
        run = self._board.runs[flight.run]
        node = run.nodes[flight.node]
        if node.deadline == timer:
            node.deadline = None
            self._miss_deadline(run, flight.node)
            return
        if node.hedge_timer == timer:
            self._nodes.hedges.send(run, flight.node)
            return
        if node.nested is not None and timer in node.nested.timers:
            self._nested.end_rows(run, flight.node, timer)
            return
        node.timer, call = None, node.call or 0
        self._board.calls.setdefault(call, flight)  # a call with graphs inside is open without a command
        self.answer(call, Outcome(failure="Timeout"), NodeState.TIMED_OUT)

    def _miss_deadline(self, run: GraphRun, name: str) -> None:
        node = run.nodes[name]
        self._board.cancel(node.call)
        message = deadline_message(run.plan.computed[name].options.deadline or 0, node.last_failure or "")
        self._nodes.conclude(run, name, Outcome(failure=message), NodeState.TIMED_OUT, final=True)
