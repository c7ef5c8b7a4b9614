"""The agents that the engine itself carries out: they run graphs instead of functions.

`prepare` decides which graph runs, once or once per row, and with which values; `collect` makes
the agent's result of theirs. Neither runs anything. Source: language.md §11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from perdure.errors import AgentError
from perdure.graph.fields import VERSION
from perdure.graph.values import UNDEFINED, Value, is_number, is_object, js_truthy, ordered, ordered_keys

MAP_INDEX: Final = "__mapIndex"

_UPDATE_TEXT: Final[Mapping[str, Value]] = {
    "nodes": {
        "newText": {"value": ""},
        "oldText": {"value": ""},
        "isNewText": {"agent": "copyAgent", "if": ":newText", "inputs": {"text": ":newText"}},
        "isOldText": {"agent": "copyAgent", "unless": ":newText", "inputs": {"text": ":oldText"}},
        "updatedText": {
            "agent": "copyAgent",
            "anyInput": True,
            "inputs": {"text": [":isNewText.text", ":isOldText.text"]},
        },
        "resultText": {
            "agent": "copyAgent",
            "anyInput": True,
            "isResult": True,
            "inputs": {"text": ":updatedText.text.$0"},
        },
    }
}


@dataclass(frozen=True, slots=True)
class GraphAgent:
    """How a graph agent differs from nestedAgent: one run per row, or a graph of its own."""

    rows: bool = False
    document: Mapping[str, Value] | None = None
    result_node: str | None = None


GRAPH_AGENTS: Final[Mapping[str, GraphAgent]] = {
    "nestedAgent": GraphAgent(),
    "mapAgent": GraphAgent(rows=True),
    "stringUpdateTextAgent": GraphAgent(document=_UPDATE_TEXT, result_node="resultText"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One graph to run: the values its static nodes begin with, and its row."""

    values: Mapping[str, Value]
    map_index: int | None = None
    invalid: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """What a graph agent wants to run: one document, started once or once per row."""

    document: Mapping[str, Value]
    starts: Sequence[Start]
    want_all: bool = False
    rule: Mapping[str, Value] | None = None
    turns: int = 4
    """Turns of GraphAI's event loop between the end of the graph and that of the agent."""


class BadCall(AgentError):
    """The agent was called in a way it refuses; `suppressible` by supressError."""

    def __init__(self, message: str, suppressible: bool = False) -> None:
        self.suppressible = suppressible
        super().__init__(message)


def prepare(
    name: str, inputs: dict[str, Value], params: Mapping[str, Value], graph: Value
) -> Preparation:
    """What the graph agent `name` runs. `graph` is UNDEFINED where the node has none at all.

    Raises BadCall with GraphAI's message.
    """
    kind = GRAPH_AGENTS[name]
    if kind.document is not None:
        return _nested(kind.document, inputs, turns=3)
    if graph is None:
        raise BadCall("Please update graphai to 0.5.19 or higher")
    if kind.rows:
        return _mapped(inputs, params, graph)
    if not js_truthy(graph):
        raise BadCall("No GraphData")
    return _nested(_document(graph), inputs, turns=4)


def _document(graph: Value) -> Mapping[str, Value]:
    if not isinstance(graph, dict) or not isinstance(graph.get("nodes"), dict):
        raise BadCall("the graph of a nested node is no graph: it has no nodes")
    return graph


def _nested(graph: Mapping[str, Value], inputs: dict[str, Value], turns: int) -> Preparation:
    nodes: dict[str, Value] = {key: _copied(node) for key, node in graph["nodes"].items()}
    values: dict[str, Value] = {}
    for key in ordered_keys(inputs):
        if key not in nodes:
            nodes[key] = {}
        elif inputs[key] is UNDEFINED:
            continue
        elif isinstance(nodes[key], dict) and "agent" in nodes[key]:
            nodes[key] = {**nodes[key], "value": inputs[key]}  # refused by the checks, as in GraphAI
            continue
        values[key] = inputs[key]
    count = inputs.get("loopCount")
    return Preparation(
        document={**graph, "nodes": nodes, "version": VERSION},
        starts=[Start(values=values)],
        rule={"count": count} if js_truthy(count) else None,
        turns=turns,
    )


def _copied(node: Value) -> Value:
    if isinstance(node, dict) and "agent" not in node:
        return {key: node[key] for key in ("value", "update", "isResult", "console") if key in node}
    if not is_object(node):
        raise BadCall("the graph of a nested node has a node that is no mapping")
    return node


def _mapped(inputs: dict[str, Value], params: Mapping[str, Value], graph: Value) -> Preparation:
    rows = inputs.get("rows")
    if not js_truthy(rows):
        raise BadCall("mapAgent: rows property is required in namedInput")
    if not js_truthy(graph):
        raise BadCall("mapAgent: graph is required")
    if not isinstance(rows, list):
        raise BadCall("mapAgent: rows is not a list")
    limit = params.get("limit")
    if is_number(limit) and limit and limit < len(rows):
        rows = rows[: max(0, int(limit))]
    row_key = str(params.get("rowKey") or "row")
    nodes: dict[str, Value] = {**_document(graph)["nodes"], MAP_INDEX: {}}
    values: dict[str, Value] = {}
    for key in ordered_keys(inputs):
        node_id = row_key if key == "rows" else key
        if node_id not in nodes:
            nodes[node_id] = {}
        elif isinstance(nodes[node_id], dict) and "agent" in nodes[node_id]:
            continue
        values[node_id] = inputs[key]
    expand = params.get("expandKeys")
    expand_keys = expand if isinstance(expand, list) else []
    starts = [_row(index, row, row_key, expand_keys, inputs, nodes, values) for index, row in enumerate(rows)]
    document = {**graph, "nodes": nodes, "version": VERSION}
    return Preparation(document=document, starts=starts, want_all=js_truthy(params.get("resultAll")))


def _row(
    index: int,
    row: Value,
    row_key: str,
    expand_keys: list[Value],
    inputs: dict[str, Value],
    nodes: Mapping[str, Value],
    shared: Mapping[str, Value],
) -> Start:
    injected: dict[str, Value] = {row_key: row, MAP_INDEX: index}
    for key in expand_keys:
        column = inputs.get(str(key), UNDEFINED)
        inside = isinstance(column, list) and index < len(column)
        injected[str(key)] = column[index] if inside else UNDEFINED
    for node_id in injected:
        node = nodes.get(node_id)
        if node is None or (isinstance(node, dict) and "agent" in node):
            invalid = f"injectValue with Invalid nodeId, {node_id}"
            return Start(values={}, map_index=index, invalid=invalid)
    return Start(values={**shared, **injected}, map_index=index)


def collect(name: str, params: Mapping[str, Value], results: Sequence[dict[str, Value]]) -> Value:
    """The result of the graph agent, from those of its graphs in row order. May raise BadCall."""
    kind = GRAPH_AGENTS[name]
    if not kind.rows:
        wanted = kind.result_node if kind.document is not None else params.get("resultNodeId")
        return results[0].get(str(wanted), UNDEFINED) if js_truthy(wanted) else results[0]
    if not results:
        raise BadCall("mapAgent: there are no rows, and GraphAI fails for an empty map", suppressible=True)
    key = params.get("compositeResultKey")
    if not js_truthy(key) and not js_truthy(params.get("compositeResult")):
        return list(results)
    columns: dict[str, Value] = {
        node: [result.get(node, UNDEFINED) for result in results] for node in ordered(results[0])
    }
    return columns.get(str(key), UNDEFINED) if js_truthy(key) else columns


def suppressed(message: str) -> dict[str, Any]:
    """What supressError makes of a failure."""
    return {"onError": {"message": message, "error": {}}}
