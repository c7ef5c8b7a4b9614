"""Inputs of a run: values for static nodes."""

from __future__ import annotations

from collections.abc import Iterable

from perdure.errors import UsageError
from perdure.graph.fields import is_computed
from perdure.graph.values import Value, is_dict
from perdure.graph.wording import suggestion


def check_inputs(graph: Value, names: Iterable[str]) -> None:
    """Raises UsageError for a name that is not a static node of `graph`, a document without problems."""
    nodes: dict[str, Value] = graph["nodes"] if is_dict(graph) and is_dict(graph.get("nodes")) else {}
    statics = {key for key, node in nodes.items() if not is_computed(node)}
    for name in names:
        if name not in statics:
            finding = "is computed" if name in nodes else "is not a node of the graph"
            hint = suggestion(name, statics) or "there is none"
            raise UsageError(f"input {name!r} {finding}", hint=f"inputs go into static nodes: {hint}")
