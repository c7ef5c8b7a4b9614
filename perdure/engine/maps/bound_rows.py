"""Rows that maps are bound to begin: what is open at a time may be too much for the quota `steps`.

Why. How many rows a map has is often known only when it begins: an agent has returned them. Each of a
thousand maps of a thousand such rows is small, and together they take a minute to reach the quota. A run has
hundreds of them open at a time, and their rows are counted together.

Invariant. A map whose rows may never begin although none fails does not count: one that may end early, or
has a limited time, or is inside such a map. What counts follows from the state, so a segment that has taken
the run over refuses what the run refuses, at the same event.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from perdure.engine.fuel import graph_steps
from perdure.engine.maps.forecast import EARLY_ENDS, least_steps
from perdure.engine.maps.opened_graphs import Nested
from perdure.engine.maps.starts import Rows
from perdure.engine.maps.version_gates import Gates
from perdure.engine.plan import Plan
from perdure.engine.state import GraphRun


def steps_of_row(nested: Nested, plan: Plan, gates: Gates, own: Collection[str]) -> int:
    """Steps of each graph of a node, as far as they are known; `own` are the agents that run graphs."""
    if not gates.foresees_rows or nested.rule or _may_end_early(nested):
        return graph_steps(len(plan.order))
    starts = nested.starts
    common = starts.common if isinstance(starts, Rows) else starts[0].values
    return least_steps(plan.document, common, own)


def is_certain(runs: Mapping[int, GraphRun], run: GraphRun, name: str, nested: Nested) -> bool:
    """Whether all graphs of a node of `run` begin, unless one fails."""
    options = run.plan.computed[name].options
    if options.timeout is not None or options.deadline is not None or _may_end_early(nested):
        return False
    if run.parent is None:
        return True
    number, outer = run.parent
    around = runs[number].nodes[outer].nested
    return around is not None and around.row_steps > 0


def bound_steps(run: GraphRun) -> int:
    """Steps that the graphs take at least which nodes of `run` have yet to begin."""
    nodes = run.nodes
    nested = (nodes[name].nested for name in run.plan.computed)
    return sum(each.bound_steps for each in nested if each is not None)


def _may_end_early(nested: Nested) -> bool:
    return any(key in nested.params for key in EARLY_ENDS)
