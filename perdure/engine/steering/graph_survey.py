"""What a change means for the nodes of one graph that is open, and of the graphs inside it."""

from __future__ import annotations

from typing import Final

from perdure.engine.board import Board, Rules
from perdure.engine.maps.places import place_of
from perdure.engine.state import NodeState
from perdure.engine.steering.decisions import GraphChange, Named, Survey
from perdure.engine.steering.difference import Difference, graph_difference, inner_graph, node_difference
from perdure.engine.steering.inner_graphs import InnerRefused, has_open_graph, has_rows_left, succeeding
from perdure.engine.steering.node_decisions import AHEAD, FAILED, NodeDecisions
from perdure.engine.steering.request import Steering
from perdure.errors import UsageError
from perdure.graph.fields import LOOP_INDEX
from perdure.graph.values import UNDEFINED, Value

ROWS_HINT: Final = "--rows new gives rows that have not begun the new graph, --rows rerun gives it to all"


class GraphSurvey:
    """Looks at one graph that is open, and at those inside it that are to continue."""

    def __init__(
        self,
        board: Board,
        rules: Rules,
        request: Steering,
        named: Named,
        survey: Survey,
        change: GraphChange,
    ) -> None:
        self.board, self.rules, self.request, self.named, self.survey = board, rules, request, named, survey
        self.change, self.run, self.plan, self.old = change, change.run, change.plan, change.run.plan
        self.nodes = NodeDecisions(request, named, survey, change)

    def look(self) -> None:
        """Decides about each node, then about those that depend on them."""
        self.survey.graphs.append(self.change)
        self._look_at_loop()
        for name in self.old.order:
            if name not in self.plan.statics and name not in self.plan.computed:
                self._remove(name)
        for name in self.plan.statics:
            self._look_at_static(name)
        for name in self.plan.computed:
            self._look_at_computed(name)
        while self.nodes.used:
            source = self.nodes.used.popleft()
            for waiter in self.plan.dependents.get(source, ()):
                if waiter not in self.nodes.decided:
                    self.nodes.affect(waiter, "source", f"its source {source!r} changes")
        for name in self.plan.computed:
            if name not in self.nodes.decided:
                self._look_inside(name)

    def _look_at_loop(self) -> None:
        rule = self.plan.loop or {}
        literal = self.plan.loop_while is None and rule.get("while", UNDEFINED) is not UNDEFINED
        if literal and self.plan is not self.old:
            raise UsageError("loop.while is not a reference, so the loop could never end")

    # Static nodes

    def _look_at_static(self, name: str) -> None:
        place = place_of(self.run.key_of(name))
        static, old = self.plan.statics[name], self.old.statics.get(name)
        if place in self.named.values:
            self.named.use(place)
            self._set_static(name, self.named.values[place])
        elif old is None:
            if name in self.old.computed:
                self._leave(name)
            self._take_value(name, "added", self.run.values.get(name, static.value))
        elif name != LOOP_INDEX and repr(old.value) != repr(static.value):
            self._change_value(name, static.value)

    def _set_static(self, name: str, value: Value) -> None:
        if self.run.parent is not None:
            finding = "its value comes from the node around it"
            self.nodes.add(name, "value", "", finding, "set what that node reads")
        else:
            self._take_value(name, "value", value)

    def _change_value(self, name: str, value: Value) -> None:
        """The document has another value for a static node."""
        run = self.run
        if name in run.values and run.parent is not None:
            return
        if run.iteration and self.plan.statics[name].update is not None:
            finding = f"its value is read by the first pass, and pass {run.iteration + 1} is under way"
            self.nodes.add(name, "value", "", finding, "set it for this pass, or change its `update`")
            return
        self._take_value(name, "value", value)

    def _take_value(self, name: str, change: str, value: Value) -> None:
        required = self.plan.statics[name].update is None
        if value is UNDEFINED and required:
            finding = "a static node needs a value"
            self.nodes.add(name, change, "", finding, "set `value` or `update`")
            return
        self.nodes.add(name, change, "has the value")
        self.change.values[name] = value
        self.nodes.used.append(name)

    # Nodes with an agent

    def _remove(self, name: str) -> None:
        node = self.run.nodes[name]
        self.change.gone.append(name)
        if node.state is NodeState.EXECUTING and self.request.running != "cancel":
            self.nodes.add(name, "removed", "", "it is executing", "--running cancel ends its call")
        elif node.state is NodeState.EXECUTING:
            self.nodes.add(name, "removed", "its call is cancelled")
        else:
            self.nodes.add(name, "removed", "is dropped" if node.state in AHEAD else "its result is dropped")

    def _leave(self, name: str) -> None:
        """A node of this name stays, but with an agent no more, or with one from now on."""
        if self.run.nodes[name].state is NodeState.EXECUTING and self.request.running != "cancel":
            self.nodes.add(name, "definition", "", "it is executing", "--running cancel ends its call")

    def _look_at_computed(self, name: str) -> None:
        place = place_of(self.run.key_of(name))
        if self._is_asked(name, place):
            return
        if name not in self.old.computed:
            self.nodes.decided.add(name)
            self.change.fresh[name] = None
            self.nodes.add(name, "added", "waits")
            self.nodes.used.append(name)
            return
        match self._difference(name):
            case Difference.DEFINITION:
                self.nodes.affect(name, "definition", "its definition changes")
            case Difference.OPTIONS:
                self.nodes.take_options(name)
            case Difference.NONE:
                pass

    def _difference(self, name: str) -> Difference:
        """How far the node is from what it was; a graph inside that is under way is looked at later."""
        if self.plan is self.old:
            return Difference.NONE
        before, after = self.nodes.definitions(name)
        difference = node_difference(before, after)
        if has_open_graph(self.board, self.run.nodes[name]):
            return difference
        return max(difference, graph_difference(inner_graph(before), inner_graph(after)))

    def _is_asked(self, name: str, place: str) -> bool:
        """Whether a person says what becomes of this node itself."""
        named = self.named
        if place in named.values:
            named.use(place)
            self.nodes.decided.add(name)
            self._set_result(name, named.values[place])
        elif place in named.skips:
            named.use(place)
            self.nodes.decided.add(name)
            self._skip(name)
        elif place in named.retries:
            named.use(place)
            self.nodes.decided.add(name)
            self._retry(name)
        else:
            return False
        return True

    def _set_result(self, name: str, value: Value) -> None:
        self.nodes.add(name, "value", "has the value")
        self.change.results[name] = value
        self.nodes.used.append(name)

    def _skip(self, name: str) -> None:
        node = self.run.nodes.get(name)
        if node is not None and node.state is NodeState.COMPLETED:
            self.nodes.add(
                name, "skip", "", "it has a result already", "set its result, with --rerun for dependents"
            )
            return
        self.nodes.add(name, "skip", "is skipped")
        self.change.skipped.append(name)

    def _retry(self, name: str) -> None:
        node = self.run.nodes.get(name)
        if node is None or node.state not in FAILED:
            state = "new" if node is None else node.state
            self.nodes.add(name, "retry", "", f"it has not failed: it is {state}")
            return
        self.nodes.add(name, "retry", "is executed again")
        self.change.fresh[name] = None

    # Graphs inside nodes

    def _look_inside(self, name: str) -> None:
        """A node stays as it is, but the graph inside it, which is under way, may not."""
        before, after = self._graphs(name)
        difference = graph_difference(before, after)
        place = place_of(self.run.key_of(name))
        if difference is Difference.NONE and not self.named.inside(place):
            return
        if has_open_graph(self.board, self.run.nodes[name]):
            try:
                self._look_at_open(name, after, difference)
            except InnerRefused as error:
                self.nodes.add(name, "definition", "", str(error))

    def _graphs(self, name: str) -> tuple[Value, Value]:
        if self.plan is self.old:
            return None, None
        before, after = self.nodes.definitions(name)
        return inner_graph(before), inner_graph(after)

    def _look_at_open(self, name: str, after: Value, difference: Difference) -> None:
        run = self.run
        nested = run.nodes[name].nested
        assert nested is not None
        plan = nested.plan
        if difference is not Difference.NONE:
            plan = succeeding(self.rules, nested, after)
        is_map = nested.agent == "mapAgent"
        if is_map and difference is not Difference.NONE and plan is not None:
            if difference is Difference.DEFINITION and not self._look_at_rows(name):
                return
            self.change.rows[name] = plan
        stays = is_map and not (difference is Difference.OPTIONS and self.rules.gates.moves_rows)
        for child in nested.children:
            inner = self.board.runs[child]
            kept = inner.plan if stays or plan is None else plan
            if inner.outcome is None:
                change = GraphChange(inner, kept)
                GraphSurvey(self.board, self.rules, self.request, self.named, self.survey, change).look()

    def _look_at_rows(self, name: str) -> bool:
        """The graph of a map that is under way computes something else: whether rows may begin with it."""
        nested = self.run.nodes[name].nested
        assert nested is not None
        match self.request.rows:
            case "new":
                left = has_rows_left(nested)
                self.nodes.add(
                    name, "definition", "rows that have not begun take over" if left else "keeps its rows"
                )
                return True
            case "rerun":
                self.nodes.decided.add(name)
                self.change.fresh[name] = None
                self.nodes.add(name, "definition", "is begun again")
            case _:
                self.nodes.add(name, "definition", "", "some of its rows have begun", ROWS_HINT)
        return False
