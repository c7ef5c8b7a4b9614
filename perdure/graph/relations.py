"""Checks of how nodes refer to each other: unknown nodes, cycles, nothing that can start.

Split from check.py, which calls it; the order of findings is GraphAI's.
"""

from __future__ import annotations

from collections.abc import Iterator

from perdure.errors import Problem
from perdure.graph.fields import is_computed
from perdure.graph.reference import parse_reference
from perdure.graph.template_compiler import references_in
from perdure.graph.values import Value, is_dict, is_object, js_truthy, ordered_keys
from perdure.graph.wording import suggestion, validation

_KINDS = (("inputs", "Inputs"), ("if", "If"), ("unless", "Unless"), ("graph", "Graph"), ("agent", "Agent"))


def sources(value: Value) -> list[str]:
    """The nodes that a value of `inputs` or `passThrough` refers to, repeats included."""
    return [reference.node for reference in references_in(value)]


def relation_problems(nodes: dict[str, Value]) -> Iterator[Problem]:
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
                yield validation("unknown-node", place, finding, suggestion(source, nodes), text)
    yield from _update_problems(nodes)
    yield from _order_problems(nodes, needs)


def _is_checked(key: str, value: Value) -> bool:
    if key == "graph":
        return isinstance(value, str) and bool(value)
    if key == "agent":
        return isinstance(value, str) and value[:1] == ":"
    return js_truthy(value)


def _update_problems(nodes: dict[str, Value]) -> Iterator[Problem]:
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
            yield validation("unknown-node", place, finding, suggestion(reference.node, nodes), text)


def _order_problems(nodes: dict[str, Value], needs: dict[str, set[str]]) -> Iterator[Problem]:
    """Peels off, wave by wave, what can run; what is left is a cycle or hangs on one."""
    consumers: dict[str, list[str]] = {}
    for node_id, wanted in needs.items():
        for source in wanted:
            consumers.setdefault(source, []).append(node_id)
    left = {node_id: {source for source in wanted if source in needs} for node_id, wanted in needs.items()}
    ready = [node_id for node_id, wanted in left.items() if not wanted]
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
    path = [next(iter(left))]
    while True:
        following = min(left[path[-1]])
        if following in path:
            return " <- ".join([*path[path.index(following) :], following])
        path.append(following)
