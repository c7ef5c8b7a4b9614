"""Checks of how nodes refer to each other: unknown nodes, cycles, nothing that can start, long chains.

Split from check.py, which calls it; the order of findings is GraphAI's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from perdure.errors import Problem
from perdure.graph.fields import is_computed
from perdure.graph.reference import (
    MAX_FUNCTIONS_COUNT,
    TOO_LONG_HINT,
    Reference,
    parse_path,
    parse_reference,
)
from perdure.graph.template_compiler import references_in
from perdure.graph.values import Value, is_dict, is_list, is_object, js_truthy, ordered_keys
from perdure.graph.wording import Suggestions, validation

_WITH_FUNCTIONS = (
    *("inputs", "passThrough", "output", "if", "unless", "agent", "graph", "update"),
    *("queue", "fallback", "hedge", "session"),
)
_KINDS = (
    ("inputs", "Inputs"),
    ("if", "If"),
    ("unless", "Unless"),
    ("graph", "Graph"),
    ("agent", "Agent"),
    ("queue", ""),  # which GraphAI does not know, nor those that follow
    ("fallback", ""),
    ("hedge", ""),
    ("session", ""),
)


def sources(value: Value) -> list[str]:
    """The nodes that a value of `inputs` or `passThrough` refers to, repeats included."""
    return [reference.node for reference in references_in(value)]


def relation_problems(nodes: dict[str, Value], names: Suggestions) -> Iterator[Problem]:
    """Every reference to an unknown node, then what can never run."""
    needs: dict[str, set[str]] = {}
    for node_id in ordered_keys(nodes):
        if not is_computed(nodes[node_id]):
            continue
        needs[node_id] = set()
        for key, kind in _KINDS:
            if key not in nodes[node_id] or not _is_checked(key, nodes[node_id][key]):
                continue
            place, value = f"nodes.{node_id}.{key}", nodes[node_id][key]
            if key == "inputs" and not is_object(value) and not (isinstance(value, str) and "${:" in value):
                text = "sources must be array!! maybe inputs is invalid"
                yield Problem("inputs", place, "inputs is a mapping", "name each input", graphai=text)
                continue
            for source in sources(value):
                if source in nodes:
                    needs[node_id].add(source)
                    continue
                finding = f"refers to {source!r}, and there is no such node"
                text = f"{kind} not match: NodeId {node_id}, Inputs: {source}"
                problem = validation("unknown-node", place, finding, names.hint(source, nodes), text)
                yield problem if kind else replace(problem, graphai="")
    yield from _update_problems(nodes, names)
    yield from _order_problems(nodes, needs)


def _is_checked(key: str, value: Value) -> bool:
    if key == "graph":
        return isinstance(value, str) and bool(value)
    if key == "agent":
        return isinstance(value, str) and value[:1] == ":"
    return js_truthy(value)


def _update_problems(nodes: dict[str, Value], names: Suggestions) -> Iterator[Problem]:
    for node_id in ordered_keys(nodes):
        node = nodes[node_id]
        if is_computed(node) or not is_dict(node) or not js_truthy(node.get("update")):
            continue
        place, update = f"nodes.{node_id}.update", node["update"]
        reference = parse_reference(update)
        if reference is None or not reference.node:
            finding, hint = "update takes a reference", "write ':node.prop'"
            yield validation("not-a-reference", place, finding, hint, "Update it a literal")
        elif reference.node not in nodes:
            text = f"Update not match: NodeId {node_id}, update: {update}"
            finding = f"refers to {reference.node!r}, and there is no such node"
            yield validation("unknown-node", place, finding, names.hint(reference.node, nodes), text)


def function_problems(data: dict[str, Value]) -> Iterator[Problem]:
    """Every reference that calls more functions than one may. GraphAI has no such limit."""
    for node_id in ordered_keys(data["nodes"]):
        node = data["nodes"][node_id]
        for key in _WITH_FUNCTIONS if is_dict(node) else ():
            if key in node and (key != "graph" or isinstance(node[key], str)):
                for reference in _long_references(node[key], paths=key == "output"):
                    place = f"nodes.{node_id}.{key}"
                    yield Problem("too-many-functions", place, reference.too_long, TOO_LONG_HINT)
    loop = data.get("loop")
    for reference in _long_references(loop.get("while"), paths=False) if is_dict(loop) else ():
        yield Problem("too-many-functions", "loop.while", reference.too_long, TOO_LONG_HINT)


def _long_references(value: Value, *, paths: bool) -> Iterator[Reference]:
    """The references in `value` that call too many functions; with `paths`, too long ones as well."""
    pending = [value]
    while pending:
        item = pending.pop()
        if is_dict(item):
            pending.extend(item.values())
        elif is_list(item):
            pending.extend(item)
        elif isinstance(item, str) and item.count("(") > MAX_FUNCTIONS_COUNT:
            path = parse_path(item) if paths else None
            yield from (
                reference for reference in [*references_in(item), *filter(None, [path])] if reference.too_long
            )


def pass_through_problems(nodes: dict[str, Value], names: Suggestions) -> Iterator[Problem]:
    """References that only passThrough makes are not validated before the nodes are linked."""
    for node_id in ordered_keys(nodes):
        node = nodes[node_id]
        if not is_computed(node) or not js_truthy(node.get("passThrough")):
            continue
        for source in sources(node["passThrough"]):
            if source not in nodes:
                text = f"createNode: invalid input {source} for node, {node_id}"
                place = f"nodes.{node_id}.passThrough"
                yield Problem(
                    "unknown-node", place, f"no node {source!r}", names.hint(source, nodes), graphai=text
                )


def _order_problems(nodes: dict[str, Value], needs: dict[str, set[str]]) -> Iterator[Problem]:
    """Peels off, wave by wave, what can run; what is left is a cycle or hangs on one."""
    consumers: dict[str, list[str]] = {}
    for node_id, sources in needs.items():
        for source in sources:
            consumers.setdefault(source, []).append(node_id)
    left = {node_id: {source for source in sources if source in needs} for node_id, sources in needs.items()}
    ready = [node_id for node_id, sources in left.items() if not sources]
    if not ready:
        finding = "no node can start" if needs else "there is no computed node"
        hint = "give one node an agent whose inputs are static or absent"
        yield validation("nothing-starts", "nodes", finding, hint, "No Initial Runnning Node")
        if not needs:
            return
    while ready:
        node_id = ready.pop()
        del left[node_id]
        for consumer in consumers.get(node_id, []):
            left[consumer].discard(node_id)
            if not left[consumer]:
                ready.append(consumer)
    if left:
        stuck = ", ".join(left)
        finding = f"these nodes wait for each other: {_cycle(left)}"
        hint = "break the cycle; to feed a result into the next pass use loop and update"
        text = f"Some nodes are not executed: {stuck}"
        yield validation("cycle", f"nodes.{next(iter(left))}", finding, hint, text)


def _cycle(left: dict[str, set[str]]) -> str:
    """One cycle among nodes of which each waits for another one of them."""
    following = next(iter(left))
    path: dict[str, int] = {}
    while following not in path:
        path[following] = len(path)
        following = min(left[following])
    return " <- ".join([*list(path)[path[following] :], following])
