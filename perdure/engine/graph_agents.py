"""The agents that the engine itself carries out: they run graphs instead of functions.

`prepare` decides which graph runs, once or once per row, and with which values; `collect` makes
the agent's result of theirs. Neither runs anything. See docs/language.md, "Nested graphs".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from perdure.engine import tools
from perdure.engine.maps.starts import Rows, Start
from perdure.engine.plan import spread
from perdure.engine.slots import Slots
from perdure.errors import BadCall
from perdure.graph.deferred import BlobRef, Projection
from perdure.graph.fields import MAP_INDEX, STATIC_KEYS, VERSION, is_computed
from perdure.graph.javascript import to_number, to_string
from perdure.graph.values import (
    UNDEFINED,
    Value,
    is_dict,
    is_list,
    is_object,
    js_truthy,
    ordered,
    ordered_keys,
)

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
    """How a graph agent differs from nestedAgent: one run per row, or a graph of its own.

    `needs` is an agent in that graph, without which a run takes the `earlier` graph.
    `turns` are those of GraphAI's event loop between the end of the last graph and that of the
    agent, one less for a graph that ends as soon as it begins; `refusal_turns` those that it takes
    to refuse a call.
    """

    rows: bool = False
    document: Mapping[str, Value] | None = None
    needs: str = ""
    earlier: Mapping[str, Value] | None = None
    result_node: str | None = None
    turns: int = 4
    refusal_turns: int = 1


GRAPH_AGENTS: Final[Mapping[str, GraphAgent]] = {
    "nestedAgent": GraphAgent(refusal_turns=2),
    "mapAgent": GraphAgent(rows=True),
    "stringUpdateTextAgent": GraphAgent(document=_UPDATE_TEXT, result_node="resultText", turns=3),
    "toolsAgent": GraphAgent(
        document=tools.TOOLS,
        needs=tools.OFFERED_AGENT,
        earlier=tools.EARLIER_TOOLS,
        result_node=tools.RESULT_NODE,
        turns=3,
    ),
    "toolsSequentialAgent": GraphAgent(
        document=tools.TOOLS_IN_SEQUENCE,
        needs=tools.OFFERED_AGENT,
        earlier=tools.EARLIER_TOOLS_IN_SEQUENCE,
        result_node=tools.RESULT_NODE,
        turns=3,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """What a graph agent wants to run: one document, started once or once per row.

    `refused` says that an input has the name of a computed node, which the checks will not take.
    """

    document: Mapping[str, Value]
    starts: Sequence[Start]
    want_all: bool = False
    refused: bool = False
    rule: Mapping[str, Value] | None = None


def prepare(
    name: str,
    inputs: dict[str, Value],
    params: Mapping[str, Value],
    graph: Value,
    slots: Slots | None = None,
    agents: Collection[str] | None = None,
) -> Preparation:
    """What the graph agent `name` runs. `graph` is None where the node has none at all.

    `slots` are those of the run if this is a retry: its node gave its own back with the failure. `agents` are
    those that the run may call, None for any.

    Raises BadCall with GraphAI's message.
    """
    kind = GRAPH_AGENTS[name]
    if kind.document is not None:
        _refuse_crowd("nestedAgent", slots)
        is_earlier = kind.earlier is not None and agents is not None and kind.needs not in agents
        return _nested(kind.earlier if is_earlier else kind.document, inputs)
    if graph is None:
        raise BadCall("Please update graphai to 0.5.19 or higher")
    if not kind.rows and not js_truthy(graph):
        raise BadCall("No GraphData", turns=1)
    _refuse_crowd(name, slots)
    return _mapped(inputs, params, graph) if kind.rows else _nested(graph, inputs)


def _refuse_crowd(name: str, slots: Slots | None) -> None:
    """GraphAI wants a free slot: a retry has none, when another node took it after the failure.

    A first attempt has the slot with which its node left the queue, also if it begins later because the
    scheduler had other things to do: by then, graphs that have ended may have taken theirs back.
    """
    if slots is not None and slots.is_crowded:
        raise BadCall(f"{name}: Concurrency is too low: {slots.concurrency}")


def _nested(graph: Value, inputs: dict[str, Value]) -> Preparation:
    nodes_param = graph.get("nodes") if is_dict(graph) else None
    if nodes_param is None or nodes_param is UNDEFINED:
        raise BadCall("the graph of a nested node is not a graph: it has no nodes")
    nodes: dict[str, Value] = {key: _copied(node) for key, node in spread(nodes_param).items()}
    values: dict[str, Value] = {}
    refused = False
    for key in ordered_keys(inputs):
        if key not in nodes:
            nodes[key] = {}
        elif inputs[key] is UNDEFINED:
            continue
        elif "agent" in nodes[key]:
            nodes[key] = {**nodes[key], "value": inputs[key]}
            refused = True
            continue
        values[key] = inputs[key]
    count = inputs.get("loopCount")
    return Preparation(
        document={**graph, "nodes": nodes, "version": VERSION},
        starts=[Start(values=values)],
        refused=refused,
        rule={"count": count} if js_truthy(count) else None,
    )


def _copied(node: Value) -> dict[str, Value]:
    """A node as nestedAgent takes it over: of a static one only the keys that it knows."""
    if not is_object(node):
        raise BadCall("the graph of a nested node has a node that is not a mapping")
    if is_list(node):
        return {}
    return node if "agent" in node else {key: node[key] for key in STATIC_KEYS if key in node}


def _mapped(inputs: dict[str, Value], params: Mapping[str, Value], graph: Value) -> Preparation:
    rows = _rows(inputs.get("rows"), graph)
    count = _limited(rows.length if isinstance(rows, BlobRef) else len(rows), params.get("limit"))
    key_param = params.get("rowKey")
    row_key = "row" if key_param is None or key_param is UNDEFINED else to_string(key_param)
    document = spread(graph)
    nodes, values = _nodes_of_rows(inputs, row_key, document.get("nodes"))
    expand = params.get("expandKeys")
    columns = [to_string(key) for key in expand] if is_list(expand) else []
    starts = Rows(
        rows=rows,
        row_key=row_key,
        columns={key: inputs.get(key) for key in columns},
        values=values,
        limit=count,
        invalid=_invalid(row_key, columns, expand, nodes),
    )
    return Preparation(
        document={**document, "nodes": nodes, "version": VERSION},
        starts=starts,
        want_all=js_truthy(params.get("resultAll")),
    )


def _rows(rows: Value, graph: Value) -> Value:
    """The rows of a map, which needs a graph besides."""
    if not js_truthy(rows):
        raise BadCall("mapAgent: rows property is required in namedInput")
    if not js_truthy(graph):
        raise BadCall("mapAgent: graph is required")
    if not is_list(rows) and not (isinstance(rows, BlobRef) and rows.kind == "list"):
        raise BadCall("mapAgent: rows is not a list")
    return rows


def _nodes_of_rows(
    inputs: dict[str, Value], row_key: str, nodes_param: Value
) -> tuple[dict[str, Value], dict[str, Value]]:
    """The nodes of the graph with a static one for each input, and the values that these start with."""
    nodes: dict[str, Value] = {**spread(nodes_param), MAP_INDEX: {}}
    values: dict[str, Value] = {}
    for key in ordered_keys(inputs):
        node_id = row_key if key == "rows" else key
        if node_id not in nodes:
            nodes[node_id] = {}
        elif not is_object(nodes[node_id]):
            raise BadCall("the graph of a map has a node that is not a mapping")
        elif is_computed(nodes[node_id]):
            continue
        values[node_id] = inputs[key]
    return nodes, values


def _limited(count: int, limit: Value) -> int:
    """`rows.length = limit` of JavaScript, where `limit` is less."""
    if not js_truthy(limit):
        return count
    length = to_number(limit)
    if not length < count:
        return count
    if length < 0 or length != int(length):
        raise BadCall(f"mapAgent: limit {to_string(limit)} is not a number of rows")
    return int(length)


def _invalid(row_key: str, columns: Sequence[str], expand: Value, nodes: Mapping[str, Value]) -> str | None:
    """Why no row can be started."""
    if isinstance(expand, str) and expand:
        return "mapAgent: expandKeys is not a list"
    required = (row_key, MAP_INDEX, *columns)
    wrong = next((key for key in required if key not in nodes or is_computed(nodes[key])), None)
    return None if wrong is None else f"injectValue with Invalid nodeId, {wrong}"


def collect(name: str, params: Mapping[str, Value], results: Sequence[Value]) -> Value:
    """The result of the graph agent, from those of its graphs in row order. May raise BadCall.

    The first result is here; others may be Parts of lists in the store.
    """
    kind = GRAPH_AGENTS[name]
    if not kind.rows:
        result_node = kind.result_node if kind.document is not None else params.get("resultNodeId")
        return results[0].get(to_string(result_node), UNDEFINED) if js_truthy(result_node) else results[0]
    if not results:
        raise BadCall(
            f"{name}: there are no rows, so there is no result",
            suppressible=True,
            hint="skip the node then, `if: :list.length()`, or take the failure as its result, "
            "`params: {supressError: true}`",
            graphai="Cannot convert undefined or null to object",
        )
    key = params.get("compositeResultKey")
    if not js_truthy(key) and not js_truthy(params.get("compositeResult")):
        return list(results)
    columns: dict[str, Value] = {
        node: [_column(result, node) for result in results] for node in ordered(results[0])
    }
    return columns.get(to_string(key), UNDEFINED) if js_truthy(key) else columns


def _column(result: Value, node: str) -> Value:
    if isinstance(result, Projection):
        return Projection(result.source, (*result.steps, (node, False)))
    return result.get(node, UNDEFINED)


def suppressed(message: str) -> dict[str, Any]:
    """What supressError makes of a failure."""
    return {"onError": {"message": message, "error": {}}}
