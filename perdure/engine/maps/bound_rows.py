"""Rows that maps are bound to begin: what is open at a time may be too much for the quota `steps`.

Why. How many rows a map has is often known only when it begins: an agent has returned them. Each of a
thousand maps of a thousand such rows is small, and together they take a minute to reach the quota. A run has
hundreds of them open at a time, and their rows are counted together.

Invariant. A map whose rows may never begin although none fails does not count: one that may end early, or
has a limited time, or is inside such a map. What counts follows from the state, so a segment that has taken
the run over refuses what the run refuses, at the same event.
"""

from __future__ import annotations

from collections.abc import Collection

from perdure.engine.fuel import graph_steps
from perdure.engine.maps.forecast import EARLY_ENDS, least_steps
from perdure.engine.maps.opened_graphs import Nested
from perdure.engine.maps.starts import Rows
from perdure.engine.maps.version_gates import Gates
from perdure.engine.messages import NodeOptions
from perdure.engine.plan import Plan


def steps_of_row(nested: Nested, plan: Plan, gates: Gates, own: Collection[str]) -> int:
    """Steps of each graph of a node, as far as they are known; `own` are the agents that run graphs."""
    if not gates.foresees_rows or nested.rule or _may_end_early(nested):
        return graph_steps(len(plan.order))
    starts = nested.starts
    common = starts.common if isinstance(starts, Rows) else starts[0].values
    return least_steps(plan.document, common, own)


def is_certain(options: NodeOptions, nested: Nested, around: Nested | None, *, is_outermost: bool) -> bool:
    """Whether all graphs of a node with these options begin, unless one fails.

    `around` is the node in whose graph it is, None where that is over, and in the outermost graph.
    """
    if options.timeout is not None or options.deadline is not None or _may_end_early(nested):
        return False
    return is_outermost or (around is not None and around.row_steps > 0)


def _may_end_early(nested: Nested) -> bool:
    return any(key in nested.params for key in EARLY_ENDS)
