"""Counts what random cases contain and what became of them: whether they reach the whole language."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

_CALL = re.compile(r"\.([a-zA-Z]+)\(")


def features(case: dict[str, Any], answer: dict[str, Any]) -> Counter[str]:
    """What one case adds."""
    counts = Counter[str]({f"status {answer['status']} {answer.get('stage', '')}".strip(): 1})
    _graph(case["graph"], counts, 0)
    counts.update(f"option {name}" for name in case.get("options", {}))
    counts.update({"injects": 1} if "injects" in case else {})
    counts.update(f"state {state}" for state in answer.get("states", {}).values())
    log = answer.get("log", [])
    counts["in a later iteration"] += any(entry.get("repeatCount") for entry in log)
    counts["in a row of a map"] += any("mapIndex" in entry for entry in log)
    counts["retried"] += any("retryCount" in entry for entry in log)
    counts["ran a node"] += any(entry["state"] == "executing" for entry in log)
    counts["only valid"] += answer.get("stage") != "construct"
    return counts


def _graph(graph: Any, counts: Counter[str], depth: int) -> None:
    if not isinstance(graph, dict) or not isinstance(graph.get("nodes"), dict):
        return
    counts[f"graph at depth {depth}"] += 1
    loop = graph.get("loop")
    counts.update(f"loop.{key}" for key in loop) if isinstance(loop, dict) else None
    counts.update(f"graph key {key}" for key in graph)
    for node in graph["nodes"].values():
        if not isinstance(node, dict):
            continue
        kind = "computed" if "agent" in node else "static"
        counts.update(f"{kind} {key}" for key in node)
        if isinstance(node.get("agent"), str):
            counts[f"agent {node['agent'] if node['agent'][:1] != ':' else 'by reference'}"] += 1
        if node.get("agent") in ("nestedAgent", "mapAgent") and isinstance(node.get("params"), dict):
            counts.update(f"{node['agent']} {key}" for key in node["params"])
        counts.update(f"function {name}" for name in _CALL.findall(str({**node, "graph": 0, "value": 0})))
        counts["graph by reference"] += isinstance(node.get("graph"), str)
        _graph(node.get("graph"), counts, depth + 1)
