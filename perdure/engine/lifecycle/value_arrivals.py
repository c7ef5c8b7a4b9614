"""Values that were requested arrive: the node or graph that asked continues where it stopped.

`Fetch.then` says where that is: `queue`, a waiting node that could not be decided; `attempt`, a node
whose agent is to be called; `result`, one whose agent has answered; `iterate`, a graph whose iteration
has ended.
"""

from __future__ import annotations

from perdure.engine import node_semantics
from perdure.engine.board import Board
from perdure.engine.lifecycle.events import GraphEvents
from perdure.engine.lifecycle.graphs import GraphLifecycle
from perdure.engine.lifecycle.nodes import NodeLifecycle
from perdure.engine.lifecycle.value_requests import ValueRequests
from perdure.engine.maps.opened_graphs import Outcome
from perdure.engine.messages import Fetch
from perdure.engine.resolved_values import ValueNeeded
from perdure.engine.state import GraphRun, NodeState
from perdure.errors import AgentError, FunctionError


class ValueArrivals:
    """Hands values, or the reason why there are none, to what asked for them."""

    def __init__(
        self,
        board: Board,
        fetches: ValueRequests,
        node_lifecycle: NodeLifecycle,
        graphs: GraphLifecycle,
        events: GraphEvents,
    ) -> None:
        self._board = board
        self._fetches = fetches
        self._nodes = node_lifecycle
        self._graphs = graphs
        self._events = events

    def arrived(self, call: int, outcome: Outcome) -> None:
        """The answer to a Fetch: its value, or why it cannot be had."""
        flight = self._board.calls.pop(call, None)
        run = None if flight is None else self._board.runs.get(flight.run)
        if flight is None or run is None or not isinstance(flight.command, Fetch):
            return
        fetch, name = flight.command, flight.node
        if outcome.failure is not None:
            self._give_up(run, name, fetch, outcome.failure)
        else:
            self._fetches.resolve_value(run, name, fetch, outcome.value)
            self._resume(run, name, fetch)
        self._fetches.over()

    def _resume(self, run: GraphRun, name: str, fetch: Fetch) -> None:
        if fetch.then == "iterate":
            self._graphs.iterate(run)
            return
        run.nodes[name].call = None
        if fetch.then == "attempt":
            self._nodes.execute(run, name)
        elif fetch.then == "result":
            self._nodes.conclude(run, name, Outcome(value=fetch.result))
        else:
            self._decide(run, name)

    def _give_up(self, run: GraphRun, name: str, fetch: Fetch, message: str) -> None:
        if fetch.then == "iterate":
            self._graphs.end(run, Outcome(failure=message))
            return
        run.nodes[name].call = None
        if fetch.then == "attempt":
            self._nodes.fail(run, name, NodeState.FAILED, message, final=True)
        elif fetch.then == "result":
            self._nodes.conclude(run, name, Outcome(failure=message), final=True)
        else:
            run.holds -= 1
            self.fail_waiting(run, name, message)

    def _decide(self, run: GraphRun, name: str) -> None:
        """A waiting node can be decided, or needs another value; its graph is held until then."""
        try:
            if run.plan.computed[name].probe is not None:
                node_semantics.forget(run, name, "")
            self._nodes.queue_if_ready(run, name)
        except ValueNeeded as unknown:
            self._fetches.wait(run, name, unknown)
        except (FunctionError, AgentError) as error:
            self.fail_waiting(run, name, str(error))
        finally:
            run.holds -= 1
        if run.is_idle and run.outcome is None:
            self._events.idle(run)

    def fail_waiting(self, run: GraphRun, name: str, message: str) -> None:
        """A node fails before it could be queued."""
        for state in (NodeState.QUEUED, NodeState.EXECUTING):
            run.move(name, state, self._board.observe)
        self._board.slots.hold(run.id, run.plan.computed[name].label, nested=False)
        self._nodes.fail(run, name, NodeState.FAILED, message, final=True)
