"""Checks of the keys of a node that GraphAI does not know."""

from __future__ import annotations

from collections.abc import Iterator

from perdure.errors import Problem
from perdure.graph.fields import PLACEMENTS
from perdure.graph.values import Value, is_number


def perdure_key_problems(place: str, node: dict[str, Value]) -> Iterator[Problem]:
    """What is wrong with `queue`, `placement`, `backoff`, `deadline` and `batch` of the node at `place`."""
    if "queue" in node and not (isinstance(node["queue"], str) and node["queue"]):
        yield Problem("queue", f"{place}.queue", "queue names a task queue", "write a string such as 'gpu'")
    if "placement" in node and node["placement"] not in PLACEMENTS:
        hint = f"one of {', '.join(PLACEMENTS)}"
        yield Problem("placement", f"{place}.placement", "no such placement", hint)
    if "backoff" in node and not (is_number(node["backoff"]) and node["backoff"] > 0):
        hint = "give a number such as 2"
        yield Problem("backoff", f"{place}.backoff", "backoff is a time in seconds above 0", hint)
    if "deadline" in node and not (is_number(node["deadline"]) and node["deadline"] > 0):
        hint = "give a number such as 60000"
        yield Problem("deadline", f"{place}.deadline", "deadline is a time in milliseconds above 0", hint)
    if "batch" in node and not (is_number(node["batch"]) and 1 <= node["batch"] <= 1000):
        hint = "give a number such as 100"
        yield Problem("batch", f"{place}.batch", "batch is a number of calls from 1 to 1000", hint)
