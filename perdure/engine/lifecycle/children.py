"""The graphs that begin inside a node: one for each row of a map, and what all of them have in common.

A map may have a hundred thousand rows, so what is the same for all of them is computed with the first one.
It follows from the graph around them: who changes that (perdure.engine.steering.apply) drops it.
"""

from __future__ import annotations

from perdure.engine.board import Board, Rules
from perdure.engine.maps.opened_graphs import Nested, Place
from perdure.engine.maps.starts import Rows
from perdure.engine.plan import Plan
from perdure.engine.state import GraphRun
from perdure.errors import QuotaExceeded


def add_child(board: Board, rules: Rules, run: GraphRun, name: str, nested: Nested, row: int) -> GraphRun:
    """Puts a graph of a node on the board: that of the row `row`, or its only one. Raises QuotaExceeded."""
    plan, place, starts = nested.plan, nested.place, nested.starts
    assert plan is not None
    if place is None:
        place = nested.place = _place(board, rules, run, name, nested.agent, plan)
    if isinstance(starts, Rows):
        child = board.add_run(plan, place, row)
        child.values = starts.values_of(row)
    else:
        child = board.add_run(plan, place)
        child.values = dict(starts[row].values)
    nested.children.append(child.id)
    child.want_all = nested.want_all
    if nested.rule:
        child.rule = nested.rule
    rules.authority.open_budgets(child, run, name)
    child.renew()
    return child


def _place(board: Board, rules: Rules, run: GraphRun, name: str, agent: str, plan: Plan) -> Place:
    depth, limit = run.depth + 1, board.quotas.depth
    if depth > limit:
        raise QuotaExceeded("depth", limit, "graphs inside each other")
    own = run.plan.computed[name].options.batch
    batch = own if own > 1 else run.batch
    grant, flows = rules.authority.inside(run, name, agent, plan)
    return Place((run.id, name), run.path_of(name), run.key_of(name), depth, batch, grant, flows)
