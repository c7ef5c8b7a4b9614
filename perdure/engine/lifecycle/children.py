"""The graphs that begin inside a node: one for each row of a map.

A map may have a hundred thousand rows. What they may do, and where their data comes from, follows from the
graph around them, so a row takes it over from the one that began before it.
"""

from __future__ import annotations

from perdure.engine.board import Board
from perdure.engine.granting.authority import Authority
from perdure.engine.maps.opened_graphs import Nested
from perdure.engine.maps.starts import Rows
from perdure.engine.state import GraphRun


def add_child(
    board: Board, authority: Authority, run: GraphRun, name: str, nested: Nested, row: int
) -> GraphRun:
    """Puts a graph of a node on the board: that of the row `row`, or its only one. Raises QuotaExceeded."""
    plan, starts, children = nested.plan, nested.starts, nested.children
    assert plan is not None
    is_row = isinstance(starts, Rows)
    child = board.add_run(plan, (run, name), row if is_row else None)
    other = board.runs[children[-1]] if children else None
    if other is not None and other.plan is plan:
        authority.begin_next_to(child, other, run, name)
    else:
        authority.begin_inside(child, run, name, nested.agent)
    children.append(child.id)
    child.want_all = nested.want_all
    child.values = starts.values_of(row) if is_row else dict(starts[row].values)
    if nested.rule:
        child.rule = nested.rule
    child.renew()
    return child
