"""When each node of a run executed, as bars, and the critical path."""

from __future__ import annotations

from typing import Any, Final

from perdure.history.model import RunModel
from perdure.pictures.edges import edges_of
from perdure.web.node_views import attempt_view

MAX_BAR_COUNT: Final = 400
"""Bars of a timeline; those that took longest are kept."""


def timeline(model: RunModel) -> dict[str, Any]:
    """A bar for each node run that took time, at most MAX_BAR_COUNT: the critical path and the longest."""
    timed = [node for node in model.nodes.values() if node.started is not None and node.rows is None]
    now = model.ended or max((line.time for line in model.transitions), default=model.started or 0)
    critical = critical_path(model)
    timed.sort(key=lambda node: (node.address not in critical, (node.started or now) - (node.ended or now)))
    order = {address: number for number, address in enumerate(model.nodes)}
    kept = sorted(timed[:MAX_BAR_COUNT], key=lambda node: (node.started or 0, order[node.address]))
    return {
        "started": model.started,
        "now": now,
        "hidden": len(timed) - len(kept),
        "bars": [
            {
                "address": node.address,
                "agent": node.agent,
                "phase": str(node.phase),
                "ready": node.ready,
                "started": node.started,
                "ended": node.ended,
                "critical": node.address in critical,
                "attempts": [attempt_view(attempt) for attempt in node.attempts],
            }
            for node in kept
        ],
    }


def critical_path(model: RunModel) -> frozenset[str]:
    """The addresses that the end had to wait for: from the node that ended last, the input that came last.

    It is that of the run's own graph, in its last pass; a node with a graph counts as one.
    """
    nodes = {node.node: node for node in model.inside(None) if node.ended is not None and node.agent}
    sources: dict[str, list[str]] = {}
    for source, target, kind in edges_of(model.graph.get("nodes", {})):
        if kind != "update":
            sources.setdefault(target, []).append(source)
    path: set[str] = set()
    current = max(nodes.values(), key=lambda node: node.ended or 0, default=None)
    while current is not None and current.address not in path:
        path.add(current.address)
        before = [nodes[name] for name in sources.get(current.node, ()) if name in nodes]
        current = max(before, key=lambda node: node.ended or 0, default=None)
    return frozenset(path)
