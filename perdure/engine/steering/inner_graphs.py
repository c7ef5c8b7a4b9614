"""The graph inside a node that is executing, when it is replaced: which plan the graphs to come are of."""

from __future__ import annotations

from perdure.engine.board import Board, Rules
from perdure.engine.graph_agents import GRAPH_AGENTS, prepare
from perdure.engine.maps.opened_graphs import Nested
from perdure.engine.maps.starts import Rows
from perdure.engine.plan import Plan
from perdure.engine.plan_cache import checked_plan
from perdure.engine.state import NodeRun
from perdure.errors import BadCall, GraphError
from perdure.graph.values import Value


class InnerRefused(Exception):
    """The new graph does not fit what the node has received."""


def has_open_graph(board: Board, node: NodeRun) -> bool:
    """Whether the graphs inside a node are under way, and the document has them."""
    nested = node.nested
    if nested is None or nested.outcome is not None or nested.failed is not None or nested.is_closed:
        return False
    return GRAPH_AGENTS[nested.agent].document is None and bool(nested.starts)


def has_rows_left(nested: Nested) -> bool:
    """Whether some graphs have not begun."""
    return nested.opened < len(nested.starts)


def succeeding(rules: Rules, nested: Nested, graph: Value) -> Plan:
    """The plan of another graph for what the node has received. Raises InnerRefused where it does not fit."""
    try:
        prepared = prepare(nested.agent, _inputs(nested), nested.params, graph, None, rules.agents)
        if prepared.refused:
            raise InnerRefused("an input of the node has the name of a node with an agent in the new graph")
        invalid = prepared.starts[0].invalid
        if invalid is not None:
            raise InnerRefused(invalid)
        return checked_plan(prepared.document, rules.options.graphs, rules.agents, rules.is_bounded)
    except (BadCall, GraphError) as error:
        raise InnerRefused(str(error)) from error


def _inputs(nested: Nested) -> dict[str, Value]:
    """What the node has received, as far as its graphs begin with it."""
    starts = nested.starts
    if isinstance(starts, Rows):
        return {
            **{key: value for key, value in starts.values.items() if key != starts.row_key},
            "rows": starts.rows,
        }
    return dict(starts[0].values)
