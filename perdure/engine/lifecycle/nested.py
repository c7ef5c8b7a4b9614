"""Graphs inside nodes: opening them, and making the node's outcome of theirs."""

from __future__ import annotations

from dataclasses import dataclass, field

from perdure.engine.board import Board, Rules
from perdure.engine.graph_agents import GRAPH_AGENTS, Preparation, collect, prepare, suppressed
from perdure.engine.lifecycle import late_rows
from perdure.engine.lifecycle.children import add_child
from perdure.engine.lifecycle.events import GraphEvents
from perdure.engine.maps.bound_rows import is_certain, steps_of_row
from perdure.engine.maps.opened_graphs import Nested, Outcome
from perdure.engine.maps.quorum import Missing, Quorum, listed, quorum_of, shown
from perdure.engine.messages import Settle, StartTimer
from perdure.engine.plan import Plan
from perdure.engine.plan_cache import checked_plan
from perdure.engine.state import GraphRun
from perdure.errors import BadCall, GraphError, SizeExceeded
from perdure.graph.deferred import Projection
from perdure.graph.values import Value, js_truthy

MAX_OPEN_ROW_COUNT = 500
"""Graphs of one node that are open at a time. A larger map opens its next row when one is over."""

OPEN_BATCH_COUNT = 10
"""If calls share activities, as many rows are open as fill this number of them ..."""

MAX_BATCHED_ROW_COUNT = 2_000
"""... but no more than this."""

NODE_PLAN_CACHE_COUNT = 100
"""Plans that are kept for further use; graphs that are computed again each time would fill the memory."""


class Withheld(Exception):
    """The results of a map are not here: only the run itself has them."""


@dataclass(slots=True)
class NestedGraphs:
    """Opens and closes the graphs inside nodes; `events` hear of each that is on the board."""

    board: Board
    rules: Rules
    events: GraphEvents
    _plans: dict[tuple[int, tuple[str, ...]], tuple[Value, Plan]] = field(
        default_factory=dict[tuple[int, tuple[str, ...]], tuple[Value, Plan]]
    )

    @property
    def plan_count(self) -> int:
        """How many plans are kept for further use."""
        return len(self._plans)

    def open(self, run: GraphRun, name: str, nested: Nested, inputs: dict[str, Value], graph: Value) -> None:
        """Runs what the graph agent of a node wants to run; a Settle follows when that is over."""
        node, timeout = run.nodes[name], run.plan.computed[name].options.timeout
        node.nested = nested
        if timeout is not None:
            node.timer = self.board.new_call()
            self.board.send(run, name, StartTimer(node.timer, timeout))
        kind = GRAPH_AGENTS[nested.agent]
        try:
            slots = self.board.slots if node.retries else None
            prepared = prepare(nested.agent, inputs, nested.params, graph, slots, self.rules.agents)
            self._take(run, name, nested, prepared, graph)
            self._set_quorum(run, name, nested)
        except BadCall as error:
            self._decide(run, name, nested, _suppressible(nested, error), error.turns or kind.refusal_turns)
            return
        self._open_more(run, name, nested)
        if nested.quorum is not None:
            self._apply_quorum(run, name, nested, nested.quorum)
        outcome = self._outcome(run, nested)
        if outcome is not None:
            self._decide(run, name, nested, outcome, kind.turns - (1 if prepared.starts else 2))

    def over(self, child: GraphRun) -> None:
        """A graph inside a node has ended: with the first failure, or the last graph, the node does."""
        outcome = child.outcome or Outcome()
        number, name = child.parent or (0, "")
        run = self.board.runs[number]
        if run.late_rows and late_rows.is_ended(self.board, run, name, child):
            return
        nested = run.nodes[name].nested
        if nested is None or nested.outcome is not None:
            return
        if outcome.failure is None:
            self.board.collect_row(run, nested, child, outcome.value)
        elif nested.quorum is not None:
            self.board.miss_row(run, nested, child, Missing.failed(outcome.failure))
        elif nested.failed is None:
            nested.failed = outcome.failure
        if not nested.opening:
            self._continue(run, name, nested)

    def end_rows(self, run: GraphRun, name: str, timer: int) -> None:
        """The time of the rows is over: the node ends with those that have a result, if they are enough."""
        nested = run.nodes[name].nested
        if nested is None or nested.outcome is not None:
            return
        nested.timers.remove(timer)
        nested.is_closed = True
        decided = self._outcome(run, nested)
        if decided is not None:
            self._decide(run, name, nested, decided, GRAPH_AGENTS[nested.agent].turns)

    def close(self, run: GraphRun, name: str, outcome: Outcome) -> None:
        """The call of a node with graphs inside is over: they go, and the timer of the attempt."""
        node = run.nodes[name]
        nested = node.nested
        if nested is not None:
            self.board.cancel(node.timer)
            if outcome.failure is None and nested.quorum is not None and nested.quorum.carries:
                late_rows.keep(self.board, run, name, nested)
            self.board.discard(run, nested)
            node.timer = node.nested = None
        node.reserved = False

    def open_more(self, run: GraphRun, name: str) -> None:
        """Begins the graphs of a node that were put off."""
        nested = run.nodes[name].nested
        if nested is not None and nested.outcome is None and not nested.opening:
            self._continue(run, name, nested)

    def _continue(self, run: GraphRun, name: str, nested: Nested) -> None:
        if nested.failed is None:
            self._open_more(run, name, nested)
        if nested.quorum is not None:
            self._apply_quorum(run, name, nested, nested.quorum)
        decided = self._outcome(run, nested)
        if decided is not None:
            self._decide(run, name, nested, decided, GRAPH_AGENTS[nested.agent].turns)

    def _set_quorum(self, run: GraphRun, name: str, nested: Nested) -> None:
        """Notes how many rows are enough, and starts the time that they have. Raises BadCall."""
        if self.rules.gates.quorums and GRAPH_AGENTS[nested.agent].rows and nested.starts:
            carries = self.rules.gates.carries
            nested.quorum = quorum = quorum_of(nested.params, len(nested.starts), carries=carries)
            if quorum is not None and quorum.deadline is not None:
                self._start_timer(run, name, nested, quorum.deadline)
            if run.late_rows and (quorum is None or not quorum.carries):
                late_rows.drop(self.board, run, [name])

    def _apply_quorum(self, run: GraphRun, name: str, nested: Nested, quorum: Quorum) -> None:
        """A row has ended: the rows are closed where enough have a result, or can have none any more."""
        if quorum.needed > len(nested.starts) - len(nested.missing):
            nested.is_closed = True
        if quorum.grace is None or nested.has_grace or nested.accepted_count < quorum.needed:
            return
        nested.has_grace = True
        if quorum.grace:
            self._start_timer(run, name, nested, quorum.grace)
        else:
            nested.is_closed = True

    def _start_timer(self, run: GraphRun, name: str, nested: Nested, milliseconds: float) -> None:
        timer = self.board.new_call()
        nested.timers.append(timer)
        self.board.send(run, name, StartTimer(timer, milliseconds))

    def _decide(self, run: GraphRun, name: str, nested: Nested, outcome: Outcome, turns: int) -> None:
        self.board.cancel_timers(nested)
        if nested.missing and outcome.failure is None:
            line = shown(nested.starts, nested.missing, len(nested.starts) - len(nested.missing))
            self.board.show(run, name, line)
        nested.outcome = outcome
        self.board.send(run, name, Settle(nested.call, turns))

    def _outcome(self, run: GraphRun, nested: Nested) -> Outcome | None:
        """What the graphs of a node make of it; None while that is open."""
        is_open = nested.children or nested.opened < len(nested.starts)
        if nested.failed is None and is_open and not nested.is_closed:
            return None
        try:
            if nested.failed is not None:
                raise BadCall(nested.failed, suppressible=True)
            if nested.quorum is not None:
                self._close_rows(nested, nested.quorum)
            if nested.withheld:
                raise Withheld
            return Outcome(value=self.board.measured(run, _collected(nested, run.iteration)))
        except SizeExceeded as error:
            return Outcome(failure=str(error))
        except BadCall as error:
            return _suppressible(nested, error)

    def _close_rows(self, nested: Nested, quorum: Quorum) -> None:
        """What has not ended by now is late. Raises BadCall where too few rows have a result."""
        accepted = nested.accepted_count
        late = {nested.row_of(child, self.board.runs[child].map_index) for child in nested.children}
        late.update(range(nested.opened, len(nested.starts)))
        nested.missing.update((row, Missing("late")) for row in late)
        if accepted < quorum.needed:
            rows = shown(nested.starts, nested.missing, accepted)
            raise BadCall(f"mapAgent: quorum: {quorum.needed} rows are needed; {rows}", suppressible=True)

    def _take(self, run: GraphRun, name: str, nested: Nested, prepared: Preparation, graph: Value) -> None:
        """Notes what is to be run. Raises BadCall when it cannot be."""
        if not prepared.starts:
            return
        nested.plan = self._plan(prepared, graph)
        invalid = prepared.starts[0].invalid
        if invalid is not None:
            raise BadCall(invalid, suppressible=True)
        nested.starts, nested.want_all, nested.rule = prepared.starts, prepared.want_all, prepared.rule
        if self.rules.gates.foresees:
            fuel, gates = self.board.fuel, self.rules.gates
            steps = steps_of_row(nested, nested.plan, gates, self.rules.own)
            fuel.check(len(nested.starts) * steps)
            if gates.foresees_open and self._is_certain(run, name, nested):
                nested.row_steps = steps
                fuel.bound += nested.bound_steps

    def _is_certain(self, run: GraphRun, name: str, nested: Nested) -> bool:
        options, around = run.plan.computed[name].options, None
        if run.parent is not None:
            number, outer = run.parent
            around = self.board.runs[number].nodes[outer].nested
        return is_certain(options, nested, around, is_outermost=run.parent is None)

    def _open_more(self, run: GraphRun, name: str, nested: Nested) -> None:
        """Begins graphs while there is room for them."""
        nested.opening = True
        children, fuel, total = nested.children, self.board.fuel, len(nested.starts)
        if not nested.room:
            nested.room = _room(nested.plan, max(run.batch, run.plan.computed[name].options.batch))
        while nested.opened < total and len(children) < nested.room:
            if children and self.board.is_full:
                break
            if fuel.left <= 0:
                self.board.put_off(run, name)
                break
            row = nested.opened
            nested.opened += 1
            fuel.bound -= nested.row_steps
            if run.late_rows and late_rows.take(self.board, run, name, nested, row):
                continue
            self.events.opened(add_child(self.board, self.rules.authority, run, name, nested, row))
        nested.opening = False

    def _plan(self, prepared: Preparation, graph: Value) -> Plan:
        """The plan of a nested graph: one for all rows, iterations and inputs of the same shape."""
        key = (id(graph), tuple(prepared.document["nodes"]))
        cached = self._plans.get(key)
        if cached is not None and not prepared.refused:
            return cached[1]
        try:
            rules = self.rules
            plan = checked_plan(prepared.document, rules.options.graphs, rules.agents, rules.is_bounded)
        except GraphError as error:
            problem = error.problems[0]
            raise BadCall(problem.graphai or problem.finding, suppressible=True) from error
        if len(self._plans) >= NODE_PLAN_CACHE_COUNT:
            self._plans.clear()
        self._plans[key] = (graph, plan)  # holding the graph keeps its id from being reused
        return plan


def _collected(nested: Nested, iteration: int) -> Value:
    """The result, in pass `iteration`, of a node whose graphs have ended. May raise BadCall."""
    row_results = dict(nested.results)
    for rows, source in nested.kept:
        row_results.update(
            (row, Projection(source, ((f"${index}", True),))) for index, row in enumerate(rows)
        )
    counted = [row for row in range(len(nested.starts)) if row not in nested.missing]
    collected = collect(nested.agent, nested.params, [row_results[row] for row in counted])
    if nested.quorum is None:
        return collected
    result = {"rows": collected, "index": counted, "missing": listed(nested.starts, nested.missing)}
    if nested.quorum.carries:
        result["age"] = [iteration - nested.passes.get(row, iteration) for row in counted]
    return result


def _room(plan: Plan | None, batch: int) -> int:
    """How many graphs of this plan may be open at a time inside a node."""
    widest = max(batch, 1 if plan is None else plan.batch)
    return min(max(MAX_OPEN_ROW_COUNT, OPEN_BATCH_COUNT * widest), MAX_BATCHED_ROW_COUNT)


def _suppressible(nested: Nested, error: BadCall) -> Outcome:
    if error.suppressible and js_truthy(nested.params.get("supressError")):
        return Outcome(value=suppressed(error.graphai))
    return Outcome(failure=str(error))
