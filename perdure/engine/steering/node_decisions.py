"""What becomes of one node that a change affects: by its state, and by what a person has chosen."""

from __future__ import annotations

from collections import deque
from typing import Final

from perdure.engine.maps.places import place_of
from perdure.engine.state import NodeState
from perdure.engine.steering.decisions import GraphChange, Named, Survey
from perdure.engine.steering.request import NodeChange, Steering
from perdure.graph.values import Value

AHEAD: Final = frozenset((NodeState.WAITING, NodeState.QUEUED, NodeState.SKIPPED))
"""States of nodes that have done nothing yet."""

FAILED: Final = frozenset((NodeState.FAILED, NodeState.TIMED_OUT, NodeState.ABORT))
"""States of nodes that will have no result."""

CANCEL_HINT: Final = (
    "--running cancel calls it again, --running keep lets the result of its call count, "
    "--running wait changes it when it has ended"
)
RERUN_HINT: Final = "--rerun executes it again, with what depends on it; --keep NODE leaves its result"


class NodeDecisions:
    """The decisions about the nodes of one graph; `decided` are those that need no other.

    `used` are nodes whose results are others from now on: those that read them are still to be looked at.
    """

    def __init__(self, request: Steering, named: Named, survey: Survey, change: GraphChange) -> None:
        self.request, self.named, self.survey, self.change = request, named, survey, change
        self.run, self.plan, self.old = change.run, change.plan, change.run.plan
        self.decided: set[str] = set()
        self.used: deque[str] = deque()

    def take_options(self, name: str) -> None:
        """The node computes the same, in another way."""
        state = self.run.nodes[name].state
        if state in AHEAD and state is not NodeState.SKIPPED:
            self.decided.add(name)
            self.change.fresh[name] = None
            self.add(name, "options", "takes over")
        elif state is NodeState.EXECUTING and self.request.now:
            self.decided.add(name)
            self.change.fresh[name] = None
            self.add(name, "options", "is called again")
        else:
            held = state is NodeState.EXECUTING
            self.add(name, "options", "takes over with its next attempt" if held else "stays as it is")

    def affect(self, name: str, change: str, because: str) -> None:
        """The node's own definition is another, or what it has read is."""
        self.decided.add(name)
        state = self.run.nodes[name].state
        if state in AHEAD or state in FAILED:
            self.change.fresh[name] = None
            self.add(name, change, "takes over" if state in AHEAD else "is executed again")
        elif state is NodeState.EXECUTING:
            self._affect_call(name, change, because)
        else:
            self._affect_result(name, change, because)

    def _affect_call(self, name: str, change: str, because: str) -> None:
        if self.request.running == "cancel":
            self.change.fresh[name] = None
            self.add(name, change, "is called again")
        elif self.request.running == "keep" and self._keeps_call(name):
            self.add(name, change, "keeps its call")
        else:
            self.add(name, change, "", f"it is executing, and {because}", CANCEL_HINT)

    def _keeps_call(self, name: str) -> bool:
        """Whether what is called may answer for the new definition: the same agent, and no graph."""
        before, after = self.definitions(name)
        is_same = repr(before["agent"]) == repr(after["agent"])
        return is_same and "graph" not in before and "graph" not in after

    def _affect_result(self, name: str, change: str, because: str) -> None:
        place = place_of(self.run.key_of(name))
        if place in self.named.keeps:
            self.add(name, change, "keeps its result")
            return
        self.used.append(name)
        if self.request.done == "rerun":
            self.change.fresh[name] = None
            self.add(name, change, "is executed again")
        else:
            self.add(name, change, "", f"it has a result, and {because}", RERUN_HINT)

    def add(self, name: str, change: str, action: str, finding: str = "", hint: str = "") -> None:
        """Notes what becomes of a node; with a `finding` it is refused."""
        node = self.run.nodes.get(name)
        state = "" if node is None else str(node.state)
        place = place_of(self.run.key_of(name))
        self.survey.nodes.append(NodeChange(place, change, state, action, finding, hint))

    def definitions(self, name: str) -> tuple[Value, Value]:
        """The node in both documents."""
        return self.old.document["nodes"][name], self.plan.document["nodes"][name]
