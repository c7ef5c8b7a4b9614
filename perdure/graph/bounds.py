"""Bounds on the numbers of a graph that mean work or time.

GraphAI takes any number. A graph that says `retry: 1e300` or `timeout: 1e300` would keep a worker busy
forever, or ask the server for a timer that it does not have; so numbers beyond these are refused before
the run starts. Runs that started before the bounds existed continue without them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from perdure.errors import Problem
from perdure.graph.fields import is_computed
from perdure.graph.javascript import to_number
from perdure.graph.values import Value, is_dict, ordered_keys

BOUNDS: Final = "bounds"
"""The code of these problems."""

MAX_RETRY_COUNT: Final = 1_000
MAX_NODE_TIME_MS: Final = 10 * 365 * 24 * 3_600 * 1_000
"""Ten years."""

MAX_BACKOFF_DELAY_S: Final = 24 * 3_600
MAX_HEARTBEAT_S: Final = 3_600
MAX_CONCURRENCY_COUNT: Final = 1_000_000
MAX_SESSION_CALL_COUNT: Final = 100
"""Calls between two checkpoints of a session: the run keeps their inputs."""

NODE_BOUNDS: Final[Mapping[str, tuple[float, str]]] = {
    "retry": (MAX_RETRY_COUNT, "more attempts"),
    "timeout": (MAX_NODE_TIME_MS, "milliseconds (ten years)"),
    "deadline": (MAX_NODE_TIME_MS, "milliseconds (ten years)"),
    "backoff": (MAX_BACKOFF_DELAY_S, "seconds (a day)"),
    "heartbeat": (MAX_HEARTBEAT_S, "seconds (an hour)"),
}
"""The largest number for each key of a node, and what it counts."""


def bound_problems(data: Mapping[str, Value]) -> Iterator[Problem]:
    """The numbers of a graph that are too large."""
    concurrency = data.get("concurrency")
    limits = concurrency if is_dict(concurrency) else {"": concurrency}
    labels = limits.get("labels")
    places = {f"concurrency.{key}".rstrip("."): limits[key] for key in ordered_keys(limits)}
    if is_dict(labels):
        places |= {f"concurrency.labels.{label}": labels[label] for label in ordered_keys(labels)}
    for place, value in places.items():
        yield from _problem(place, value, MAX_CONCURRENCY_COUNT, "nodes at a time")
    nodes: dict[str, Value] = data["nodes"]
    for node_id in ordered_keys(nodes):
        if is_computed(nodes[node_id]):
            for key, (limit, unit) in NODE_BOUNDS.items():
                yield from _problem(f"nodes.{node_id}.{key}", nodes[node_id].get(key), limit, unit)


def _problem(place: str, value: Value, limit: float, unit: str) -> Iterator[Problem]:
    if isinstance(value, int | float | str) and to_number(value) > limit:
        key = place.rpartition(".")[2]
        finding = f"{key} is {to_number(value):g}: at most {limit:,} {unit}"
        yield Problem(BOUNDS, place, finding, f"give {key} a number up to {limit:,}")
