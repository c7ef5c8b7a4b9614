"""What a change does to the graphs that are open, and the names that a person has used for their nodes."""

from __future__ import annotations

from dataclasses import dataclass, field

from perdure.engine.board import Board
from perdure.engine.maps.places import place_of
from perdure.engine.plan import Plan
from perdure.engine.state import GraphRun
from perdure.engine.steering.request import NodeChange, Steering
from perdure.errors import UsageError
from perdure.graph.values import Value
from perdure.graph.wording import suggestion


@dataclass(slots=True)
class GraphChange:
    """What becomes of one graph that is open: its new `plan`, and of its nodes.

    `fresh` nodes wait again, or for the first time; `gone` are no longer there. `values` are those of static
    nodes, `results` come from a person, `skipped` are skipped by one. `rows` are the plans of maps for the
    rows that have not begun.
    """

    run: GraphRun
    plan: Plan
    fresh: dict[str, None] = field(default_factory=dict[str, None])
    gone: list[str] = field(default_factory=list[str])
    values: dict[str, Value] = field(default_factory=dict[str, Value])
    results: dict[str, Value] = field(default_factory=dict[str, Value])
    skipped: list[str] = field(default_factory=list[str])
    rows: dict[str, Plan] = field(default_factory=dict[str, Plan])

    def replaced(self) -> list[str]:
        """The nodes of the graph that are no longer what they were."""
        names = (*self.fresh, *self.gone, *self.values, *self.results, *self.skipped)
        return [name for name in names if name in self.run.nodes]


@dataclass(slots=True)
class Survey:
    """All graphs that a change concerns, the outer ones first, and what becomes of their nodes.

    `paused` are the places that are paused afterwards.
    """

    graphs: list[GraphChange]
    nodes: list[NodeChange]
    paused: dict[str, None] = field(default_factory=dict[str, None])

    def replaced(self) -> list[tuple[str, str]]:
        """The nodes that are no longer what they were, by key, and the states that they have."""
        return [
            (graph.run.key_of(name), str(graph.run.nodes[name].state))
            for graph in self.graphs
            for name in graph.replaced()
        ]

    def check(self) -> None:
        """Raises UsageError where a node is refused."""
        refused = [node for node in self.nodes if node.finding]
        if refused:
            more = f" (and {len(refused) - 1} more nodes)" if len(refused) > 1 else ""
            raise UsageError(f"{refused[0].place}: {refused[0].finding}{more}", hint=refused[0].hint)


class Named:
    """The nodes that a request names, and which of the names stand for one."""

    def __init__(self, request: Steering) -> None:
        self.values = {place_of(name): value for name, value in request.values.items()}
        self.retries = {place_of(name) for name in request.retries}
        self.skips = {place_of(name) for name in request.skips}
        self.keeps = {place_of(name) for name in request.keeps}
        self._unused = {*self.values, *self.retries, *self.skips}

    def use(self, place: str) -> None:
        """There is such a node."""
        self._unused.discard(place)

    def inside(self, place: str) -> bool:
        """Whether a name stands for something inside the node at `place`."""
        return any(name.startswith((f"{place}.", f"{place}[")) for name in self._unused)

    def check(self, board: Board, plan: Plan) -> None:
        """Raises UsageError for a name that was not used."""
        open_nodes = {place_of(run.key_of(node)) for run in board.runs.values() for node in run.plan.order}
        unknown = self._unused | (self.keeps - open_nodes)
        if not unknown:
            return
        name = min(unknown)
        if name in open_nodes:
            hint = f"change its value: perdure set RUN {name}=VALUE"
            raise UsageError(f"node {name!r} has a value and no agent", hint=hint)
        hint = suggestion(name, sorted({*open_nodes, *plan.order}))
        raise UsageError(f"the run has no node {name!r} that is open", hint=hint)
