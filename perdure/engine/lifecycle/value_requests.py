"""Requests for values that are not in the run, by nodes and graphs whose control flow depends on them.

What happens when a value arrives is in lifecycle/value_arrivals.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from perdure.engine.board import Board
from perdure.engine.messages import CallId, Fetch, Then
from perdure.engine.resolved_values import ValueNeeded, key_of
from perdure.engine.state import GraphRun, NodeState
from perdure.graph.values import UNDEFINED, Value

Decision: TypeAlias = tuple[int, int, str, Then]
"""A graph, its iteration, a node of it, and what is to continue."""


class ValueRequests:
    """Sends the requests, and remembers what came of those for the decision in hand."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._deciding: tuple[Decision, Mapping[str, Value]] | None = None

    def request_value(
        self, run: GraphRun, name: str, unknown: ValueNeeded, then: Then, result: Value = UNDEFINED
    ) -> None:
        """The node continues, as `then` says, when the value is known; `result` is what its agent gave."""
        node = run.nodes[name]
        if node.state not in (NodeState.WAITING, NodeState.EXECUTING):
            run.move(name, NodeState.EXECUTING, self._board.observe)
        node.call = self.send(run, name, unknown, then, result)

    def wait(self, run: GraphRun, name: str, unknown: ValueNeeded) -> None:
        """Whether a waiting node may run depends on a value; its graph is not over meanwhile."""
        node = run.nodes[name]
        if node.state is NodeState.WAITING and node.call is None:
            run.holds += 1
            self.request_value(run, name, unknown, "queue")

    def send(
        self, run: GraphRun, name: str, unknown: ValueNeeded, then: Then, result: Value = UNDEFINED
    ) -> CallId:
        """Asks for a value and returns the number of the call; without a `name`, the graph continues."""
        call = self._board.new_call()
        values: Mapping[str, Value] = {}
        if self._deciding is not None and self._deciding[0] == (run.id, run.iteration, name, then):
            values = self._deciding[1]
        request = Fetch(
            call=call,
            deferred=unknown.deferred,
            whole=unknown.whole,
            then=then,
            result=result,
            carried=values,
        )
        self._board.send(run, name, request)
        return call

    def resolve_value(self, run: GraphRun, name: str, fetch: Fetch, value: Value) -> None:
        """What `fetch` asked for is known, and is remembered until the decision is made.

        A decision may take several values. Each Fetch for it has those before it, so that it comes to an
        end however much is forgotten, or however often the run is resumed elsewhere meanwhile.
        """
        values = {**fetch.carried, key_of(fetch.deferred, fetch.whole): value}
        self._board.resolved.remember(values)
        self._deciding = (run.id, run.iteration, name, fetch.then), values

    def over(self) -> None:
        """What followed from the last value has been done."""
        self._deciding = None
