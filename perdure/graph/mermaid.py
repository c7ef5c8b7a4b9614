"""A picture of a graph: Mermaid text as `graphai -m` prints it, with the states of a run if passed.

Checked against recordings of GraphAI's command line. Edges come from `inputs` and `update`, not
from `if`, `unless` and `agent`. A node that is not an object is drawn as a static node.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from perdure.graph.javascript import to_string
from perdure.graph.reference import Reference, parse_reference
from perdure.graph.template_compiler import compile_inputs
from perdure.graph.values import Value, is_dict, ordered_keys

STATE_STYLES: Final[Mapping[str, str]] = {
    "waiting": "fill:#f5f5f5,stroke:#9e9e9e,color:#424242",
    "queued": "fill:#fff8e1,stroke:#ffb300,color:#424242",
    "executing": "fill:#e3f2fd,stroke:#1e88e5,color:#0d47a1",
    "completed": "fill:#e8f5e9,stroke:#43a047,color:#1b5e20",
    "fell-back": "fill:#f1f8e9,stroke:#fb8c00,color:#33691e",
    "failed": "fill:#ffebee,stroke:#e53935,color:#b71c1c",
    "timed-out": "fill:#fff3e0,stroke:#fb8c00,color:#bf4000",
    "skipped": "fill:#fafafa,stroke:#bdbdbd,color:#6b6b6b,stroke-dasharray:4",
    "injected": "fill:#f3e5f5,stroke:#8e24aa,color:#4a148c",
    "abort": "fill:#efebe9,stroke:#6d4c41,color:#3e2723",
}
"""How Mermaid draws a node in each state."""

_STATIC, _COMPUTED, _NESTED = "staticNode", "computedNode", "nestedGraph"
_NOT_WORD: Final = re.compile(r"[^\w-]")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def mermaid(data: Value, states: Mapping[str, str] | None = None) -> str:
    """The Mermaid text of the graph `data`, without a line end.

    Args:
        data: A graph, valid or not; only what can be drawn is drawn.
        states: The state of nodes by path, such as ``{"chapters.summarize": "executing"}``. Adds a
            class of that name to each of them, with a style for the states in STATE_STYLES.
    """
    classes: dict[str, list[str]] = {_STATIC: [], _COMPUTED: [], _NESTED: []}
    lines = ["flowchart TD", *_node_lines(data, classes)]
    drawn = {name for members in classes.values() for name in members}
    lines += _class_lines(classes)
    if states:
        lines += _state_lines(states, drawn)
    return "\n".join(lines)


def _node_lines(data: Value, classes: dict[str, list[str]]) -> Iterator[str]:
    """Nodes and edges in the order of the document, nested graphs inside their node. Iterative."""
    levels = [_members(data, "")]
    endings: list[list[str]] = []  # what closes the nested graphs around the current one
    while levels:
        indent = "  " * len(levels)
        member = next(levels[-1], None)
        if member is None:
            levels.pop()
            if endings:
                yield from endings.pop()
            continue
        path, node_id, node = member
        name = _name(path)
        agent = _text(to_string(node["agent"])) if node.get("agent") is not None else ""
        if "graph" in node:
            title = f"{_text(node_id)}: {agent}" if agent else _text(node_id)
            classes[_NESTED].append(name)
            yield f"{indent}subgraph {name}[{title}]"
            levels.append(_members(node["graph"], path + "."))
            endings.append([f"{indent}end", *_edges(node, path, indent)])
            continue
        classes[_COMPUTED if "agent" in node else _STATIC].append(name)
        yield f"{indent}{name}({_text(node_id)}{'<br/>' + agent if agent else ''})"
        yield from _edges(node, path, indent)


def _members(graph: Value, prefix: str) -> Iterator[tuple[str, str, dict[str, Value]]]:
    """Path, id and body of each node; the body is {} if it has none."""
    nodes = graph.get("nodes") if is_dict(graph) else None
    if is_dict(nodes):
        for node_id in ordered_keys(nodes):
            node = nodes[node_id]
            yield prefix + node_id, node_id, node if is_dict(node) else {}


def _edges(node: dict[str, Value], path: str, indent: str) -> Iterator[str]:
    """One line for each reference of a node, repeats included."""
    prefix = path.rpartition(".")[0]
    for reference in _references(node):
        source = _name(f"{prefix}.{reference.node}" if prefix else reference.node)
        label = _text(".".join(reference.props))
        yield f"{indent}{source} {f'-- {label} ' if label else ''}--> {_name(path)}"


def _references(node: dict[str, Value]) -> Iterable[Reference]:
    update = parse_reference(node.get("update"))
    inputs = compile_inputs(node.get("inputs")).references
    return inputs if update is None else (*inputs, update)


def _class_lines(classes: Mapping[str, Iterable[str]]) -> Iterator[str]:
    for name, members in classes.items():
        listed = ",".join(members)
        if listed:
            yield f"  class {listed} {name}"


def _state_lines(states: Mapping[str, str], drawn: set[str]) -> Iterator[str]:
    members: dict[str, list[str]] = {}
    for path, state in states.items():
        if _name(path) in drawn:
            members.setdefault(_NOT_WORD.sub("_", state), []).append(_name(path))
    for state in members:
        if state in STATE_STYLES:
            yield f"  classDef {state} {STATE_STYLES[state]}"
    yield from _class_lines(members)


def _name(path: str) -> str:
    return "n_" + _CONTROL.sub("_", path.replace(".", "_"))


def _text(text: str) -> str:
    """`text` on one line: a line end in an id must not add lines to the picture."""
    return _CONTROL.sub(" ", text)
