"""Nodes whose course depends on a value that is not here: they ask for it, and go on when it is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from perdure.engine import nodes
from perdure.engine.board import Board
from perdure.engine.known import Unknown, key_of
from perdure.engine.messages import Call, Fetch, Then
from perdure.engine.state import GraphRun, NodeState, Outcome
from perdure.errors import AgentError, FunctionError
from perdure.graph.values import UNDEFINED, Value

if TYPE_CHECKING:
    from perdure.engine.node_life import NodeLife

Decision: TypeAlias = tuple[int, int, str, Then]
"""A graph, its iteration, a node of it, and what is to go on."""


class Fetches:
    """Asks for values, and hands the nodes that wait for them back to `life`."""

    def __init__(self, board: Board, life: NodeLife) -> None:
        self._board = board
        self._life = life
        self._going: tuple[Decision, Mapping[str, Value]] | None = None

    def ask(self, run: GraphRun, name: str, unknown: Unknown, then: Then, result: Value = UNDEFINED) -> None:
        """The node goes on, as `then` says, when the value is known; `result` is what its agent gave."""
        node = run.nodes[name]
        if node.state not in (NodeState.WAITING, NodeState.EXECUTING):
            self._board.move(run, name, NodeState.EXECUTING)
        node.call = self.send(run, name, unknown, then, result)

    def send(self, run: GraphRun, name: str, unknown: Unknown, then: Then, result: Value = UNDEFINED) -> Call:
        """Asks for a value, and gives the number of the call; without a `name`, the graph goes on."""
        call = self._board.new_call()
        told: Mapping[str, Value] = {}
        if self._going is not None and self._going[0] == (run.id, run.iteration, name, then):
            told = self._going[1]
        wanted = Fetch(
            call=call,
            distant=unknown.distant,
            whole=unknown.whole,
            then=then,
            result=result,
            told=told,
        )
        self._board.send(run, name, wanted)
        return call

    def learn(self, run: GraphRun, name: str, fetch: Fetch, value: Value) -> None:
        """What `fetch` asked for is known, and is remembered until the node is decided.

        A decision may take several values. Each Fetch for it has those before it, so that it comes to an
        end however much is forgotten, or however often the run is taken up elsewhere meanwhile.
        """
        told = {**fetch.told, key_of(fetch.distant, fetch.whole): value}
        self._board.known.learn(told)
        self._going = (run.id, run.iteration, name, fetch.then), told

    def over(self) -> None:
        """What followed from the last value has been done."""
        self._going = None

    def wait(self, run: GraphRun, name: str, unknown: Unknown) -> None:
        """Whether a waiting node may run depends on a value; its graph is not over meanwhile."""
        node = run.nodes[name]
        if node.state is NodeState.WAITING and node.call is None:
            run.active += 1
            self.ask(run, name, unknown, "queue")

    def resume(self, run: GraphRun, name: str, fetch: Fetch) -> None:
        """What `fetch` asked for is known: the node goes on."""
        node = run.nodes[name]
        node.call = None
        if fetch.then == "attempt":
            self._life.execute(run, name)
        elif fetch.then == "result":
            self._life.conclude(run, name, Outcome(value=fetch.result))
        else:
            run.active -= 1
            self._tell_again(run, name)

    def _tell_again(self, run: GraphRun, name: str) -> None:
        """A node that could not be decided is, or waits for the next value."""
        run.starting = True  # the graph may be over by what begins here: that is looked at once, below
        try:
            if run.plan.computed[name].probe is not None:
                nodes.forget(run, name, "")
            self._life.queue_if_ready(run, name)
        except Unknown as unknown:
            self.wait(run, name, unknown)
        except (FunctionError, AgentError) as error:
            self._fail_waiting(run, name, str(error))
        finally:
            run.starting = False
        if not run.active and run.outcome is None:
            self._life.idle(run)

    def _fail_waiting(self, run: GraphRun, name: str, message: str) -> None:
        """A node fails before it could be queued."""
        for state in (NodeState.QUEUED, NodeState.EXECUTING):
            self._board.move(run, name, state)
        run.active += 1
        self._board.slots.hold(run.id, run.plan.computed[name].label, nested=False)
        self._life.fail(run, name, NodeState.FAILED, message, final=True)

    def give_up(self, run: GraphRun, name: str, fetch: Fetch, message: str) -> None:
        """What `fetch` asked for cannot be had: the node fails."""
        node = run.nodes[name]
        node.call = None
        if fetch.then == "queue":
            run.active -= 1
            self._fail_waiting(run, name, message)
        elif fetch.then == "attempt":
            self._life.fail(run, name, NodeState.FAILED, message, final=True)
        else:
            self._life.conclude(run, name, Outcome(failure=message), final=True)
