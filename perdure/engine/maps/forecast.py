"""How many steps a graph takes at least, as far as its text says: rows inside rows are multiplied.

A map of a thousand maps of a thousand rows ends with the quota `steps` after most of a minute; its text
says at once that it will. Where a number of rows is not in the text, or a condition may leave a node out,
nothing is counted: what is refused is more than the quota whatever its agents return, unless one fails.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import inf
from typing import Final

from perdure.engine.fuel import graph_steps
from perdure.graph.deferred import BlobRef
from perdure.graph.fields import is_computed
from perdure.graph.values import Value, is_dict, is_list, is_number

CONDITIONS: Final = ("if", "unless")
EARLY_ENDS: Final = ("quorum", "limit", "supressError")
"""Params of a map that may end with fewer of its rows, or without them."""


def least_steps(graph: Mapping[str, Value], known: Mapping[str, Value], own: Collection[str]) -> int:
    """Steps of one run of `graph`, whose static nodes have the `known` values besides those in its text.

    `own` are the agents that run graphs.
    """
    count, inner = len(graph["nodes"]), inner_steps(graph, known, own)
    return graph_steps(count) + inner + (_passes(graph) - 1) * (1 + count + inner)


def inner_steps(graph: Mapping[str, Value], known: Mapping[str, Value], own: Collection[str]) -> int:
    """The same without the graph itself: the steps of graphs inside its nodes."""
    nodes: Mapping[str, Value] = graph["nodes"]
    if _has_conditions(nodes):
        return 0
    static = {name: node["value"] for name, node in nodes.items() if _has_value(node)}
    return sum(_steps_of(node, {**static, **known}, own) for node in nodes.values() if is_dict(node))


def _passes(graph: Mapping[str, Value]) -> int:
    """How many passes a graph surely makes that is a loop; 1 for any other."""
    loop = graph.get("loop")
    if not is_dict(loop) or "while" in loop or _has_conditions(graph["nodes"]):
        return 1
    count = loop.get("count", 1)
    return int(count) if is_number(count) and 1 < count < inf else 1


def _has_conditions(nodes: Mapping[str, Value]) -> bool:
    return any(is_dict(node) and any(key in node for key in CONDITIONS) for node in nodes.values())


def _has_value(node: Value) -> bool:
    return is_dict(node) and not is_computed(node) and "value" in node


def _steps_of(node: Mapping[str, Value], known: Mapping[str, Value], own: Collection[str]) -> int:
    agent, graph = node.get("agent"), node.get("graph")
    if (
        not isinstance(agent, str)
        or agent not in own
        or not is_dict(graph)
        or not is_dict(graph.get("nodes"))
    ):
        return 0
    params, inputs = node.get("params"), node.get("inputs")
    if is_dict(params) and any(key in params for key in EARLY_ENDS):
        return 0
    if is_dict(inputs) and "loopCount" in inputs:
        return 0
    values = {name: _known(value, known) for name, value in inputs.items()} if is_dict(inputs) else {}
    count = _count(values.pop("rows", None)) if agent == "mapAgent" else int(agent == "nestedAgent")
    return count * least_steps(graph, {name: value for name, value in values.items() if _count(value)}, own)


def _known(value: Value, known: Mapping[str, Value]) -> Value:
    """An input as far as it is known: a list in the text, or all of a node."""
    return known.get(value[1:]) if isinstance(value, str) and value[:1] == ":" else value


def _count(value: Value) -> int:
    if isinstance(value, BlobRef):
        return value.length if value.kind == "list" else 0
    return len(value) if is_list(value) else 0
