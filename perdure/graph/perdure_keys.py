"""Checks of the keys of a node that GraphAI does not know."""

from __future__ import annotations

from collections.abc import Iterator

from perdure.errors import Problem
from perdure.graph.fields import PLACEMENTS
from perdure.graph.template_compiler import references_in
from perdure.graph.values import Value, is_number


def perdure_key_problems(place: str, node: dict[str, Value]) -> Iterator[Problem]:
    """What is wrong with Perdure's own keys of the node at `place`."""
    if "queue" in node and not (isinstance(node["queue"], str) and node["queue"]):
        yield Problem("queue", f"{place}.queue", "queue names a task queue", "write a string such as 'gpu'")
    elif str(node.get("queue", ""))[:1] == ":" and not any(True for _ in references_in(node["queue"])):
        hint = "write ':node.prop', or the name of a task queue"
        yield Problem("queue", f"{place}.queue", "queue begins with ':' and refers to no node", hint)
    if "placement" in node and node["placement"] not in PLACEMENTS:
        hint = f"one of {', '.join(PLACEMENTS)}"
        yield Problem("placement", f"{place}.placement", "no such placement", hint)
    if "backoff" in node and not (is_number(node["backoff"]) and node["backoff"] > 0):
        hint = "give a number such as 2"
        yield Problem("backoff", f"{place}.backoff", "backoff is a time in seconds above 0", hint)
    if "deadline" in node and not (is_number(node["deadline"]) and node["deadline"] > 0):
        hint = "give a number such as 60000"
        yield Problem("deadline", f"{place}.deadline", "deadline is a time in milliseconds above 0", hint)
    if "heartbeat" in node and not (is_number(node["heartbeat"]) and node["heartbeat"] >= 1):
        hint = "give a number such as 2"
        yield Problem("heartbeat", f"{place}.heartbeat", "heartbeat is a time in seconds from 1 on", hint)
    if "batch" in node and not (is_number(node["batch"]) and 1 <= node["batch"] <= 1000):
        hint = "give a number such as 100"
        yield Problem("batch", f"{place}.batch", "batch is a number of calls from 1 to 1000", hint)
