"""The params of the agents that wait for events or for a time: what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final

from perdure.errors import Problem
from perdure.graph.params.durations import DURATION_HINT, duration_ms
from perdure.graph.values import Value, is_dict, is_number

EVENT_WAIT: Final = "eventAgent"
"""The agent that waits for events."""

TIME_WAIT: Final = "waitAgent"
"""The agent that waits for a time."""

ALL_SENDERS: Final = "all"
"""The count of an eventAgent that waits for one event of each sender."""

MAX_EVENTS_PER_WAIT_COUNT: Final = 2_000
"""Events that one call of eventAgent may collect."""

MAX_WAIT_MS: Final = 3_653 * 86_400_000
"""Milliseconds that a node may wait: ten years."""

_PARAMS: Final = {
    EVENT_WAIT: ("topic", "key", "from", "count", "within", "deadline"),
    TIME_WAIT: ("for", "until"),
}
_COUNT_HINT: Final = f"give a number from 1 to {MAX_EVENTS_PER_WAIT_COUNT:,}, or all for one of each sender"


def wait_node_problems(nodes: Iterable[tuple[str, Value]]) -> Iterator[Problem]:
    """What is wrong with the params of those nodes that wait; `nodes` have their places."""
    for place, node in nodes:
        if node.get("agent") in _PARAMS and is_dict(node.get("params")):
            inputs: Value = node.get("inputs")
            names = frozenset(inputs) if is_dict(inputs) else frozenset[str]()
            yield from wait_problems(node["agent"], node["params"], f"{place}.params", names)


def wait_problems(
    agent: str, params: Mapping[str, Value], place: str, inputs: frozenset[str] = frozenset()
) -> Iterator[Problem]:
    """What is wrong with the params at `place`; `inputs` are names that come as inputs."""
    known = _PARAMS[agent]
    for key in params:
        if key not in known:
            yield Problem(
                "wait", f"{place}.{key}", f"{agent} has no parameter {key!r}", f"there is {', '.join(known)}"
            )
    fixed = {key: value for key, value in params.items() if not _is_computed(value)}
    if agent == TIME_WAIT:
        yield from _time_problems(fixed, place, len(({*params, *inputs}) & {*known}))
        return
    if "topic" not in {*params, *inputs} or not (
        fixed.get("topic", "-") and isinstance(fixed.get("topic", "-"), str)
    ):
        yield Problem(
            "wait", f"{place}.topic", "eventAgent waits for the events of a topic", "topic: telemetry"
        )
    count = fixed.get("count", 1)
    if count != ALL_SENDERS and not (
        is_number(count) and float(count).is_integer() and 1 <= count <= MAX_EVENTS_PER_WAIT_COUNT
    ):
        yield Problem("wait", f"{place}.count", "count is a number of events", _COUNT_HINT)
    for key in ("within", "deadline"):
        if key in fixed and not _is_wait(duration_ms(fixed[key])):
            yield Problem("wait", f"{place}.{key}", f"{key} is a time of at most ten years", DURATION_HINT)


def _time_problems(fixed: Mapping[str, Value], place: str, count: int) -> Iterator[Problem]:
    if count != 1:
        yield Problem("wait", place, "waitAgent waits for a time, or until a time", "for: 5m")
    if "for" in fixed and not _is_wait(duration_ms(fixed["for"])):
        yield Problem("wait", f"{place}.for", "for is a time of at most ten years", DURATION_HINT)
    if "until" in fixed and instant_ms(fixed["until"]) is None:
        hint = "give a time such as 2031-05-01T08:00:00Z, or milliseconds since 1970"
        yield Problem("wait", f"{place}.until", "until is a point in time", hint)


def _is_wait(milliseconds: float | None) -> bool:
    return milliseconds is not None and milliseconds <= MAX_WAIT_MS


def _is_computed(value: Value) -> bool:
    """Whether data decides: a reference, or a template."""
    return isinstance(value, str) and (value.startswith(":") or "${" in value)


def instant_ms(value: Value) -> float | None:
    """Milliseconds since 1970 of a time in ISO 8601 with its offset, or of such a number; None for others."""
    if is_number(value):
        return float(value) if 0 <= value < 1e15 else None
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return None if moment is None or moment.tzinfo is None else moment.timestamp() * 1000
