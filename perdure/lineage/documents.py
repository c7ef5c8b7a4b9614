"""The nodes of a document by address, and which of them depend on which: without running anything.

Graphs that a run computes or loads are unknown here; what is in them is recognised by its fingerprint alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from perdure.graph.fields import is_computed
from perdure.graph.template_compiler import references_in
from perdure.graph.values import Value, is_dict


@dataclass(frozen=True, slots=True)
class PlacedNode:
    """A node with its address, which is without the numbers of rows and passes, and that of its `parent`."""

    address: str
    name: str
    node: dict[str, Value]
    parent: str | None = None

    @property
    def has_graph(self) -> bool:
        """Whether there is a graph inside."""
        return is_computed(self.node) and is_dict(self.node.get("graph"))

    @property
    def is_agent(self) -> bool:
        """Whether it calls an agent."""
        return is_computed(self.node) and not self.has_graph


def placed_nodes(document: Mapping[str, Value]) -> dict[str, PlacedNode]:
    """All nodes of a document by address, inner graphs behind the node that they are in."""
    return {place.address: place for place in _placed(document, "", None)}


def _placed(graph: Mapping[str, Value], prefix: str, parent: str | None) -> Iterator[PlacedNode]:
    nodes = graph.get("nodes")
    for name, node in nodes.items() if is_dict(nodes) else ():
        if not is_dict(node):
            continue
        place = PlacedNode(prefix + name, name, node, parent)
        yield place
        if place.has_graph:
            end = "[]." if node["agent"] == "mapAgent" else "."
            yield from _placed(node["graph"], place.address + end, place.address)


def dependents(nodes: Mapping[str, PlacedNode], of: Collection[str]) -> set[str]:
    """The addresses of all nodes that a change of the nodes `of` may reach.

    One of these is among them only where another leads to it, or a loop leads back.
    """
    readers = _readers(nodes)
    reached: set[tuple[str, bool]] = set()
    pending = [step for address in of for step in _steps(nodes, readers, address, by_inner=False)]
    while pending:
        step = pending.pop()
        if step not in reached and (step[0], False) not in reached:
            reached.add(step)
            pending += _steps(nodes, readers, step[0], by_inner=step[1])
    return {address for address, _ in reached}


def _steps(
    nodes: Mapping[str, PlacedNode], readers: Mapping[str, Sequence[str]], address: str, *, by_inner: bool
) -> Iterator[tuple[str, bool]]:
    """Where a change of a node leads; `by_inner` says that it is one of its result alone."""
    yield from ((reader, False) for reader in readers.get(address, ()))
    place = nodes.get(address)
    if place is not None and place.parent is not None:
        yield place.parent, True
    if not by_inner:  # its inputs may differ, and so may those of all that is inside
        yield from ((inner.address, False) for inner in nodes.values() if inner.parent == address)


def _readers(nodes: Mapping[str, PlacedNode]) -> dict[str, list[str]]:
    """The nodes that read the result of a node."""
    readers: dict[str, list[str]] = {}
    for place in nodes.values():
        prefix = place.address[: len(place.address) - len(place.name)]
        for source in _sources(place):
            readers.setdefault(prefix + source, []).append(place.address)
    return readers


def _sources(place: PlacedNode) -> Iterator[str]:
    keys = [key for key in place.node if key != "value" and not (key == "graph" and place.has_graph)]
    for key in keys:
        yield from (reference.node or "" for reference in references_in(place.node[key]))


def put_at(target: dict[str, Value], steps: Sequence[str], value: Value) -> None:
    """Sets the member that `steps` lead to; objects on the way that are missing are made."""
    for step in steps[:-1]:
        inner = target.get(step)
        if not is_dict(inner):
            inner = target[step] = {}
        target = inner
    target[steps[-1]] = value
