"""Checks of graphs inside nodes, which GraphAI looks at only when their node runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Final

from perdure.errors import Problem
from perdure.graph.check import problems
from perdure.graph.fields import MAP_INDEX
from perdure.graph.values import Value, is_dict, js_truthy, ordered_keys

ROW: Final = "row"


def nested_problems(data: Value, agents: Collection[str] | None = None) -> Iterator[Problem]:
    """Every problem of the graphs inside nodes of `data`, at any depth; none where `data` is no graph."""
    levels = [("", data)]
    while levels:
        prefix, graph = levels.pop()
        nodes = graph.get("nodes") if is_dict(graph) else None
        if not is_dict(nodes):
            continue
        for node_id in ordered_keys(nodes):
            node = nodes[node_id]
            if not is_dict(node) or not has_graph(node):
                continue
            place = f"{prefix}nodes.{node_id}.graph"
            inner = with_inputs(node)
            for problem in problems(inner, agents):
                where = f"{place}.{problem.place}" if problem.place else place
                yield replace(problem, place=where, nested=True)
            levels.append((f"{place}.", inner))


def every_node(data: Value, prefix: str = "") -> Iterator[tuple[str, dict[str, Value]]]:
    """Each node with its place, those of graphs inside nodes after those around them."""
    levels = [(prefix, data)]
    while levels:
        place, graph = levels.pop()
        nodes = graph.get("nodes") if is_dict(graph) else None
        if not is_dict(nodes):
            continue
        for node_id in ordered_keys(nodes):
            node = nodes[node_id]
            if is_dict(node):
                yield f"{place}nodes.{node_id}", node
                levels.append((f"{place}nodes.{node_id}.graph.", node.get("graph")))


def has_graph(node: dict[str, Value]) -> bool:
    """Whether the node holds the text of a graph: not a reference to one, and not nothing."""
    return "agent" in node and js_truthy(node.get("graph")) and not isinstance(node["graph"], str)


def with_inputs(node: dict[str, Value]) -> Value:
    """The graph of `node` with the static nodes that its agent adds: one for each input, and those of a map.

    Which agent it will be is not known where `agent` is a reference, or one that is not shipped:
    then it is taken for either.
    """
    graph = node["graph"]
    nodes = graph.get("nodes") if is_dict(graph) else None
    if not is_dict(graph) or not is_dict(nodes):
        return graph
    inputs, params = node.get("inputs"), node.get("params")
    given = ordered_keys(inputs) if is_dict(inputs) else []
    if node["agent"] == "mapAgent":
        given = [key for key in given if key != "rows"]
    if node["agent"] != "nestedAgent":
        row_key = params.get("rowKey") if is_dict(params) else None
        given += [row_key if isinstance(row_key, str) and row_key else ROW, MAP_INDEX]
    added: dict[str, Value] = {key: {} for key in given if key not in nodes}
    return {**graph, "nodes": {**nodes, **added}}
