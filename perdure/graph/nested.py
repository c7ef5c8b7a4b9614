"""Checks of graphs inside nodes, which GraphAI looks at only when their node runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Final

from perdure.errors import Problem
from perdure.graph.check import problems
from perdure.graph.fields import GRAPH_RUNNERS, MAP_INDEX
from perdure.graph.values import Value, is_dict, js_truthy, ordered_keys
from perdure.graph.wording import Suggestions

ROW: Final = "row"


def nested_problems(
    data: Value, agents: Collection[str] | None = None, names: Suggestions | None = None
) -> Iterator[Problem]:
    """Every problem of the graphs inside nodes of `data`, at any depth; none if `data` is not a graph."""
    names = names or Suggestions()
    levels = [("", data)]
    while levels:
        prefix, graph = levels.pop()
        nodes = graph.get("nodes") if is_dict(graph) else None
        if not is_dict(nodes):
            continue
        for node_id in ordered_keys(nodes):
            node = nodes[node_id]
            if not is_dict(node) or not _may_run_graph(node):
                continue
            if not has_graph(node):
                yield from _missing_graph(f"{prefix}nodes.{node_id}", node)
                continue
            place = f"{prefix}nodes.{node_id}.graph"
            inner = with_inputs(node)
            for problem in problems(inner, agents, names):
                where = f"{place}.{problem.place}" if problem.place else place
                yield replace(problem, place=where, nested=True)
            levels.append((f"{place}.", inner))


def _may_run_graph(node: dict[str, Value]) -> bool:
    """Whether the agent runs the node's graph, or is a reference to one that may."""
    agent = node.get("agent")
    return isinstance(agent, str) and (agent in GRAPH_RUNNERS or agent[:1] == ":")


def _missing_graph(place: str, node: dict[str, Value]) -> Iterator[Problem]:
    if node["agent"] in GRAPH_RUNNERS and not js_truthy(node.get("graph")) and "graphLoader" not in node:
        finding = f"{node['agent']} runs a graph, and this node has none"
        yield Problem("no-graph", place, finding, "give it graph: {nodes: ...}", nested=True)


def every_graph(data: Value, prefix: str = "") -> Iterator[tuple[str, dict[str, Value]]]:
    """The nodes of each graph with the place of the graph, inner graphs after those around them."""
    levels = [(prefix, data)]
    while levels:
        place, graph = levels.pop()
        nodes = graph.get("nodes") if is_dict(graph) else None
        if not is_dict(nodes):
            continue
        yield place, nodes
        for node_id in ordered_keys(nodes):
            node = nodes[node_id]
            if is_dict(node) and is_dict(node.get("graph")):  # hardly any has one
                levels.append((f"{place}nodes.{node_id}.graph.", node["graph"]))


def every_node(data: Value, prefix: str = "") -> Iterator[tuple[str, dict[str, Value]]]:
    """Each node with its place, those of graphs inside nodes after those around them."""
    for place, nodes in every_graph(data, prefix):
        for node_id in ordered_keys(nodes):
            if is_dict(nodes[node_id]):
                yield f"{place}nodes.{node_id}", nodes[node_id]


def has_graph(node: dict[str, Value]) -> bool:
    """Whether the node holds the text of a graph: not a reference to one, and not nothing."""
    return "agent" in node and js_truthy(node.get("graph")) and not isinstance(node["graph"], str)


def with_inputs(node: dict[str, Value]) -> Value:
    """The graph of `node` with the static nodes that its agent adds: one for each input, and those of a map.

    Which agent it will be is not known where `agent` is a reference: then it is taken for either.
    """
    graph = node["graph"]
    nodes = graph.get("nodes") if is_dict(graph) else None
    if not is_dict(graph) or not is_dict(nodes):
        return graph
    inputs, params = node.get("inputs"), node.get("params")
    names = ordered_keys(inputs) if is_dict(inputs) else []
    if node["agent"] == "mapAgent":
        names = [key for key in names if key != "rows"]
    if node["agent"] != "nestedAgent":
        row_key = params.get("rowKey") if is_dict(params) else None
        names += [row_key if isinstance(row_key, str) and row_key else ROW, MAP_INDEX]
    added: dict[str, Value] = {key: {} for key in names if key not in nodes}
    return {**graph, "nodes": {**nodes, **added}}
