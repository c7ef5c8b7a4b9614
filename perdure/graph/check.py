"""Checks of a whole graph: every problem, in the order in which GraphAI meets them.

The first problem of `problems` is the one that GraphAI 2.0.18 reports, with its message in
`Problem.graphai`; people get them all, with place, finding and hint. Source of the order and the
messages: GraphAI's validators; checked against its recordings.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final

from perdure.errors import Problem
from perdure.graph.bounds import BOUNDS, bound_problems
from perdure.graph.fields import (
    COMPUTED_KEYS,
    GRAPH_KEYS,
    OWN_NAMES_PREFIX,
    STATIC_KEYS,
    SUCCESSORS,
    is_computed,
)
from perdure.graph.javascript import to_string
from perdure.graph.perdure_keys import perdure_key_problems
from perdure.graph.reference import parse_reference
from perdure.graph.relations import function_problems, pass_through_problems, relation_problems
from perdure.graph.values import (
    UNDEFINED,
    Value,
    is_dict,
    is_list,
    is_number,
    is_object,
    js_truthy,
    number,
    ordered_keys,
)
from perdure.graph.wording import Suggestions, validation

ENDLESS_LOOP: Final = "endless-loop"


def problems(
    data: Value, agents: Collection[str] | None = None, names: Suggestions | None = None
) -> Iterator[Problem]:
    """Every problem of the graph `data`; `agents` are the names it may use, None for any.

    `names` makes the suggestions, where several graphs share them.
    """
    names = names or Suggestions()
    if not is_dict(data):
        finding = "a graph is a mapping with the key 'nodes'"
        yield Problem("not-a-graph", "", finding, "write nodes: at the top", graphai="TypeError")
        return
    problem = _nodes_problem(data)
    if problem is not None:
        yield problem
        return
    yield from _graph_key_problems(data, names)
    yield from _loop_problems(data)
    yield from _concurrency_problems(data)
    for node_id in ordered_keys(data["nodes"]):
        yield from _node_problems(node_id, data["nodes"][node_id], names)
    if not all(is_object(node) for node in data["nodes"].values()):
        return
    yield from _agent_problems(data["nodes"], agents, names)
    yield from relation_problems(data["nodes"], names)
    for node_id in ordered_keys(data["nodes"]):
        if is_computed(data["nodes"][node_id]):
            yield from _construction_problems(node_id, data["nodes"][node_id])
    yield from pass_through_problems(data["nodes"], names)
    yield from function_problems(data)
    yield from _endless_loop_problems(data)
    yield from bound_problems(data)


def first_problem(
    data: Value, agents: Collection[str] | None = None, *, bounded: bool = True
) -> Problem | None:
    """The problem that GraphAI reports, None for a graph that it accepts; BOUNDS are for `bounded` graphs.

    An endless loop is none: the caller of the run may still replace it by a count.
    """
    passed = (ENDLESS_LOOP,) if bounded else (ENDLESS_LOOP, BOUNDS)
    return next((problem for problem in problems(data, agents) if problem.code not in passed), None)


def _nodes_problem(data: dict[str, Value]) -> Problem | None:
    nodes = data.get("nodes", UNDEFINED)
    hint = "nodes is a mapping from node id to node, with at least one node"
    if nodes is None:
        return Problem("nodes", "nodes", "nodes is null", hint, graphai="TypeError")
    if nodes is UNDEFINED:
        text = "no nodes"
    elif is_list(nodes):
        text = "nodes must be object"
    elif not is_dict(nodes):
        text = "invalid nodes"
    elif not nodes:
        text = "nodes is empty"
    else:
        return None
    return validation("nodes", "nodes", text, hint, f"Invalid Graph Data: {text}")


def _graph_key_problems(data: dict[str, Value], names: Suggestions) -> Iterator[Problem]:
    for key in ordered_keys(data):
        if key not in GRAPH_KEYS:
            yield validation(
                "unknown-key",
                key,
                f"a graph has no key {key!r}",
                names.hint(key, GRAPH_KEYS),
                f"Graph Data does not allow {key}",
            )


def _loop_problems(data: dict[str, Value]) -> Iterator[Problem]:
    loop = data.get("loop", UNDEFINED)
    if not js_truthy(loop):
        return
    rule = loop if is_dict(loop) else {}
    set_keys = [key for key in ("count", "while") if rule.get(key, UNDEFINED) is not UNDEFINED]
    if len(set_keys) == 1:
        return
    text = "Both count and while cannot be set" if set_keys else "Either count or while is required in loop"
    yield validation("loop", "loop", text, "give loop either count or while", f"Loop: {text}")


def _endless_loop_problems(data: dict[str, Value]) -> Iterator[Problem]:
    loop = data.get("loop", UNDEFINED)
    if not is_dict(loop) or "while" not in loop or loop["while"] is UNDEFINED:
        return
    if parse_reference(loop["while"]) is None:
        yield Problem(
            ENDLESS_LOOP,
            "loop.while",
            f"{to_string(loop['while'])!r} is not a reference, so the loop could never end",
            "refer to a node, such as ':counter.again', or use loop.count",
        )


def _concurrency_problems(data: dict[str, Value]) -> Iterator[Problem]:
    concurrency = data.get("concurrency", UNDEFINED)
    if concurrency is UNDEFINED:
        return
    if not is_dict(concurrency):
        yield from _positive_integer(concurrency, "concurrency", "Concurrency")
        return
    hint = "concurrency is a positive integer, or {global: 8, labels: {name: 2}}"
    for key in ordered_keys(concurrency):
        if key not in ("global", "labels"):
            text = f"Concurrency object does not allow {key}"
            yield validation("concurrency", f"concurrency.{key}", text, hint, text)
    if "global" not in concurrency:
        text = "Concurrency object must have a global field"
        yield validation("concurrency", "concurrency", text, hint, text)
    else:
        yield from _positive_integer(concurrency["global"], "concurrency.global", "Concurrency.global")
    labels = concurrency.get("labels", UNDEFINED)
    if labels is UNDEFINED:
        return
    if not is_dict(labels):
        text = "Concurrency.labels must be an object"
        yield validation("concurrency", "concurrency.labels", text, hint, text)
        return
    for label in ordered_keys(labels):
        name = f"oncurrency.labels.{label}"
        yield from _positive_integer(labels[label], f"c{name}", f"C{name}")


def _positive_integer(value: Value, place: str, name: str) -> Iterator[Problem]:
    text = None
    if not is_number(value) or not float(number(value)).is_integer():
        text = f"{name} must be an integer"
    elif value < 1:
        text = f"{name} must be a positive integer"
    if text:
        yield validation("concurrency", place, text, "give a whole number, 1 or more", text)


def _node_problems(node_id: str, node: Value, names: Suggestions) -> Iterator[Problem]:
    place = f"nodes.{node_id}"
    if not is_dict(node):
        if not is_list(node):
            finding = f"a node is a mapping, not {to_string(node)!r}"
            hint = "give it agent: (computed) or value: (static)"
            yield Problem("not-a-node", place, finding, hint, graphai="TypeError")
            return
        node = {str(index): item for index, item in enumerate(node)}
    both = js_truthy(node.get("agent", UNDEFINED)) and js_truthy(node.get("value", UNDEFINED))
    if both:
        text = "Cannot set both agent and value"
        yield validation("agent-and-value", place, text, "remove one: a node is computed or static", text)
    kind, keys = ("Computed", COMPUTED_KEYS) if "agent" in node else ("Static", STATIC_KEYS)
    unknown = [key for key in node if key not in keys and not (both and key == "value")]
    for key in ordered_keys(unknown):
        finding = f"a {kind.lower()} node has no key {key!r}"
        hint = names.hint(key, keys) if "agent" in node else _static_hint(key, names)
        text = f"{kind} node does not allow {key}"
        yield validation("unknown-key", f"{place}.{key}", finding, hint, text)
    if "agent" in node:
        yield from _own_key_problems(place, node)


def _static_hint(key: str, names: Suggestions) -> str:
    if key in COMPUTED_KEYS:
        return "without agent: a node is static; name its agent"
    return names.hint(key, STATIC_KEYS)


def _own_key_problems(place: str, node: dict[str, Value]) -> Iterator[Problem]:
    label = node.get("label", UNDEFINED)
    if label is not UNDEFINED and not isinstance(label, str):
        text = "Computed node label must be a string"
        yield validation("label", f"{place}.label", text, "quote it", text)
    loader = node.get("graphLoader")
    for key in ordered_keys(loader) if is_dict(loader) else ():
        if key != "fileName":
            finding = f"graphLoader has no key {key!r}: it reads a file"
            yield Problem("graph-loader", f"{place}.graphLoader.{key}", finding, "give it fileName only")
    yield from perdure_key_problems(place, node)


def _agent_problems(
    nodes: dict[str, Value], agents: Collection[str] | None, names: Suggestions
) -> Iterator[Problem]:
    if agents is None:
        return
    for node_id in ordered_keys(nodes):
        node = nodes[node_id]
        name = node.get("agent") if is_computed(node) else None
        if not isinstance(name, str) or name in agents or name[:1] == ":":
            continue
        if "queue" in node and not name.startswith(OWN_NAMES_PREFIX):
            continue  # the workers of that queue know their agents
        successor = SUCCESSORS.get(name)
        match = successor if successor in agents else names.near(name, agents)
        hint = f"did you mean {match!r}?" if match else "perdure agents lists those that are shipped"
        hint += "; your own come with --agents MODULE"
        text = f"Invalid Agent : {name} is not in AgentFunctionInfoDictionary."
        yield validation("unknown-agent", f"nodes.{node_id}.agent", f"no agent {name!r}", hint, text)


def _construction_problems(node_id: str, node: dict[str, Value]) -> Iterator[Problem]:
    """What GraphAI finds only while it builds the node, as plain errors."""
    place = f"nodes.{node_id}"
    if not isinstance(node["agent"], str):
        text = "agent must be either string or function"
        yield Problem("agent", f"{place}.agent", text, "name an agent, or refer to one", graphai=text)
    passed = node.get("passThrough")
    if (
        passed is not None
        and js_truthy(passed)
        and not is_object(passed)
        and not (isinstance(passed, str) and "${:" in passed)
    ):
        hint = "name what is passed through: passThrough: {key: ':node'}"
        yield Problem(
            "pass-through", f"{place}.passThrough", "passThrough is a mapping", hint, graphai="TypeError"
        )
    if is_list(node.get("inputs")):
        text = (
            f"array inputs have been deprecated. nodeId: {node_id}: see "
            "https://github.com/receptron/graphai/blob/main/docs/NamedInputs.md"
        )
        hint = "name each input: inputs: {array: [...]}"
        yield Problem("array-inputs", f"{place}.inputs", "inputs is a mapping", hint, graphai=text)
    for key in ("graph", "if", "unless"):
        value = node.get(key)
        if value is None or not js_truthy(value) or (key == "graph" and not isinstance(value, str)):
            continue
        reference = parse_reference(value)
        if reference is None or not reference.node:
            text = f"Invalid data source {to_string(value)}"
            finding = f"{key} takes a reference, not {to_string(value)!r}"
            yield Problem("not-a-reference", f"{place}.{key}", finding, "write ':node.prop'", graphai=text)


def modernized(data: Any) -> Any:
    """The graph with `agentId` of old examples read as `agent`, nested graphs included."""
    if not is_dict(data) or not is_dict(data.get("nodes")):
        return data
    nodes = {node_id: _modern_node(node) for node_id, node in data["nodes"].items()}
    return {**data, "nodes": nodes}


def _modern_node(node: Any) -> Any:
    if not is_dict(node):
        return node
    if "agentId" in node and "agent" not in node:
        node = {("agent" if key == "agentId" else key): value for key, value in node.items()}
    if is_dict(node.get("graph")):
        node = {**node, "graph": modernized(node["graph"])}
    return node
