"""Another graph out of the one that a run has: values under a path, nodes that are removed."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

from perdure.errors import UsageError
from perdure.graph.fields import GRAPH_KEYS, is_computed
from perdure.graph.values import Value
from perdure.lineage.change import unknown_node
from perdure.lineage.documents import PlacedNode, placed_nodes, put_at


def edited(
    document: Mapping[str, Value], values: Mapping[str, Value], removed: Sequence[str] = ()
) -> dict[str, Value]:
    """The document with `values` by path, without the nodes at the addresses `removed`.

    A path is that of a static node, of a key of a node (``draft.params.model``), or of a key of the graph
    (``concurrency``). Raises UsageError for a path that leads nowhere.
    """
    new: dict[str, Value] = copy.deepcopy(dict(document))
    for path, value in values.items():
        nodes = placed_nodes(new)
        place, steps = _owner(path, nodes)
        if place is not None:
            _put(place, path, steps, value)
        elif path.partition(".")[0] in GRAPH_KEYS:
            put_at(new, path.split("."), value)
        else:
            raise unknown_node(path.partition(".")[0], {*nodes, *GRAPH_KEYS})
    for address in removed:
        nodes = placed_nodes(new)
        place = nodes.get(address)
        if place is None:
            raise unknown_node(address, nodes)
        outer = new if place.parent is None else nodes[place.parent].node["graph"]
        del outer["nodes"][place.name]
    return new


def _owner(path: str, nodes: Mapping[str, PlacedNode]) -> tuple[PlacedNode | None, list[str]]:
    """The node that a path begins with, and the keys behind it."""
    parts = path.split(".")
    for count in range(len(parts), 0, -1):
        place = nodes.get(".".join(parts[:count]))
        if place is not None:
            return place, parts[count:]
    return None, parts


def _put(place: PlacedNode, path: str, steps: Sequence[str], value: Value) -> None:
    if steps:
        put_at(place.node, steps, value)
    elif is_computed(place.node):
        raise UsageError(
            f"node {path!r} has an agent; its result is not part of the graph",
            hint=f"perdure set RUN {path}=VALUE gives it a result, --set {path}.params.NAME=VALUE a param",
        )
    else:
        place.node["value"] = value
