"""Graphs inside nodes: opening them, and making the node's outcome of theirs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from perdure.engine.board import Board, Rules
from perdure.engine.graph_agents import (
    GRAPH_AGENTS,
    BadCall,
    Preparation,
    collect,
    prepare,
    suppressed,
)
from perdure.engine.messages import Settle, StartTimer
from perdure.engine.plan import Plan
from perdure.engine.plans import plan_of, problem_of
from perdure.engine.state import GraphRun, Nested, Outcome
from perdure.graph.values import Value, js_truthy

MANY_PLANS = 100
"""Plans that are kept for further use; a graph that is computed anew each time would fill the memory."""


@dataclass(slots=True)
class NestedGraphs:
    """Opens and closes the graphs inside nodes; `begin` starts one that is on the board."""

    board: Board
    rules: Rules
    begin: Callable[[GraphRun], None]
    _plans: dict[tuple[int, tuple[str, ...]], tuple[Value, Plan]] = field(
        default_factory=dict[tuple[int, tuple[str, ...]], tuple[Value, Plan]]
    )

    def open(self, run: GraphRun, name: str, nested: Nested, inputs: dict[str, Value], graph: Value) -> None:
        """Runs what the graph agent of a node wants to run; a Settle follows when that is over."""
        node, timeout = run.nodes[name], run.plan.computed[name].options.timeout
        node.nested = nested
        if timeout is not None:
            node.timer = self.board.new_call()
            self.board.send(run, name, StartTimer(node.timer, timeout))
        kind = GRAPH_AGENTS[nested.agent]
        try:
            wanted = prepare(nested.agent, inputs, nested.params, graph, self.board.slots)
            children = self._children(run, name, wanted, graph)
        except BadCall as error:
            self._decide(run, name, nested, _suppressible(nested, error), error.turns or kind.refusal_turns)
            return
        nested.children = [child.id for child in children]
        nested.unfinished = len(children)
        nested.opening = True
        for child in children:
            self.begin(child)
        nested.opening = False
        outcome = self._outcome(nested)
        if outcome is not None:
            self._decide(run, name, nested, outcome, kind.turns - (1 if children else 2))

    def over(self, parent: tuple[int, str], outcome: Outcome) -> None:
        """A graph inside the node `parent` has ended: with the first failure, or the last graph, it does."""
        run, name = self.board.runs[parent[0]], parent[1]
        nested = run.nodes[name].nested
        if nested is None or nested.outcome is not None:
            return
        nested.unfinished -= 1
        if nested.failed is None:
            nested.failed = outcome.failure
        decided = None if nested.opening else self._outcome(nested)
        if decided is not None:
            self._decide(run, name, nested, decided, GRAPH_AGENTS[nested.agent].turns)

    def _decide(self, run: GraphRun, name: str, nested: Nested, outcome: Outcome, turns: int) -> None:
        nested.outcome = outcome
        self.board.send(run, name, Settle(nested.call, turns))

    def _outcome(self, nested: Nested) -> Outcome | None:
        """What the graphs of a node make of it; None while that is open."""
        if nested.unfinished and nested.failed is None:
            return None
        try:
            if nested.failed is not None:
                raise BadCall(nested.failed, suppressible=True)
            outcomes = (self.board.runs[child].outcome for child in nested.children)
            results = [outcome.value for outcome in outcomes if outcome is not None]
            return Outcome(value=collect(nested.agent, nested.params, results))
        except BadCall as error:
            return _suppressible(nested, error)

    def _children(self, run: GraphRun, name: str, wanted: Preparation, graph: Value) -> list[GraphRun]:
        if not wanted.starts:
            return []
        plan = self._plan(wanted, graph)
        invalid = next((start.invalid for start in wanted.starts if start.invalid), None)
        if invalid is not None:
            raise BadCall(invalid, suppressible=True)
        children: list[GraphRun] = []
        for start in wanted.starts:
            child = self.board.add_run(plan, (run, name))
            child.want_all = wanted.want_all
            child.values = dict(start.values)
            child.rule = wanted.rule or plan.loop
            child.map_index = start.map_index
            if start.map_index is not None:
                child.path = f"{child.path[:-1]}[{start.map_index}]."
                child.key = f"{child.key[:-1]}[{start.map_index}]."
            child.renew()
            children.append(child)
        return children

    def _plan(self, wanted: Preparation, graph: Value) -> Plan:
        """The plan of a nested graph: one for all rows, iterations and inputs of the same shape."""
        key = (id(graph), tuple(wanted.document["nodes"]))
        known = self._plans.get(key)
        if known is not None and not wanted.refused:
            return known[1]
        problem = problem_of(wanted.document, self.rules.agents)
        if problem is not None:
            raise BadCall(problem.graphai or problem.finding, suppressible=True)
        plan = plan_of(wanted.document, self.rules.options.graphs)
        if len(self._plans) >= MANY_PLANS:
            self._plans.clear()
        self._plans[key] = (graph, plan)  # holding the graph keeps its id from being given again
        return plan


def _suppressible(nested: Nested, error: BadCall) -> Outcome:
    if error.suppressible and js_truthy(nested.params.get("supressError")):
        return Outcome(value=suppressed(str(error)))
    return Outcome(failure=str(error))
