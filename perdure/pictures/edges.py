"""Which nodes of a graph a picture joins by lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal, TypeAlias

from perdure.graph.reference import Reference, parse_reference
from perdure.graph.template_compiler import references_in
from perdure.graph.values import Value, is_dict, ordered_keys

LineKind: TypeAlias = Literal["data", "condition", "update"]
Edge: TypeAlias = tuple[str, str, LineKind]
"""The node that gives, the node that takes, and what flows."""

_CONDITIONS: Final = ("if", "unless")
_DATA_KEYS: Final = ("inputs", "passThrough", "agent", "graph")


def edges_of(nodes: Mapping[str, Value]) -> Iterator[Edge]:
    """What every node refers to, in the order of the document; references to no node are left out."""
    for name in ordered_keys(nodes):
        node = nodes[name]
        if not is_dict(node):
            continue
        for kind, references in _references(node):
            for reference in references:
                if reference is not None and reference.node in nodes:
                    yield reference.node, name, kind


def _references(node: Mapping[str, Value]) -> Iterator[tuple[LineKind, Iterable[Reference | None]]]:
    if "agent" not in node:
        yield "update", [parse_reference(node.get("update"))]
        return
    for key in _DATA_KEYS:
        value = node.get(key)
        if isinstance(value, str) or key not in ("agent", "graph"):
            yield "data", references_in(value)
    for key in _CONDITIONS:
        yield "condition", references_in(node.get(key))


def leads_on(line: Edge) -> bool:
    """Whether a line takes part in the layers: updates lead back up, and a node is not below itself."""
    return line[2] != "update" and line[0] != line[1]
