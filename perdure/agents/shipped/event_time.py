"""Windows over events by the time at which they happened: the arithmetic of windowAgent.

The watermark is the time up to which events are complete: that of the newest event, less the allowed
`lateness`. Events wait until it has passed them, and are then processed in the order of their times, so the
result does not depend on the order in which they came. One from before the watermark is late: it is counted,
and changes nothing.

Rejected: the clock of the worker. A replay, or an hour without a connection, would give another result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

from perdure.graph.values import Value, is_dict, is_number

MAX_PENDING_EVENT_COUNT: Final = 5_000
"""Events that wait for the watermark; beyond that the oldest do not wait any longer."""

MAX_WINDOWS_PER_EVENT_COUNT: Final = 100
"""Sliding windows that an event may be in."""

TESTS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "above": lambda value, limit: value > limit,
    "below": lambda value, limit: value < limit,
    "atLeast": lambda value, limit: value >= limit,
    "atMost": lambda value, limit: value <= limit,
}


@dataclass(frozen=True, slots=True)
class Reading:
    """What an event says: numbers by name, at a time in milliseconds."""

    at: float
    values: Mapping[str, float]


def due_readings(
    events: Sequence[Value], pending: Sequence[Value], done: float, lateness: float
) -> tuple[list[Reading], list[Value], float, int]:
    """The readings to process now, those that wait, the watermark, and how many were late.

    `pending` are [time, values] that waited before, and `done` is the watermark so far.
    """
    waiting = [Reading(float(at), dict(values)) for at, values in pending]
    late, newest = 0, max((reading.at for reading in waiting), default=done)
    for event in events:
        reading = _reading(event)
        newest = max(newest, reading.at)
        if reading.at < done:
            late += 1
        else:
            waiting.append(reading)
    waiting.sort(key=lambda reading: reading.at)
    watermark = newest - lateness
    count = sum(reading.at <= watermark for reading in waiting)
    count = max(count, len(waiting) - MAX_PENDING_EVENT_COUNT)
    ready, rest = waiting[:count], waiting[count:]
    done = max(done, watermark, ready[-1].at if ready else done)
    return ready, [[reading.at, dict(reading.values)] for reading in rest], done, late


def _reading(event: Value) -> Reading:
    body: Value = event.get("body") if is_dict(event) else None
    values = {name: float(value) for name, value in body.items() if is_number(value)} if is_dict(body) else {}
    at: Value = event.get("at") if is_dict(event) else None
    return Reading(float(at) if is_number(at) else 0.0, values)


@dataclass(slots=True)
class HeldFor:
    """Whether conditions have held for a time, once for each episode.

    An episode begins with the first reading at which all (or any) of them hold, and ends with one at which
    they do not. A field without a reading for longer than `gap` is unknown: the time starts again, but an
    episode that has fired does not fire a second time before a reading has ended it.
    """

    hold: float
    conditions: Sequence[Mapping[str, Value]]
    needs_all: bool
    gap: float
    state: dict[str, Value]

    def add(self, reading: Reading) -> Value:
        """What fires with this reading, None for nothing."""
        state, latest = self.state, self.state["latest"]
        fields = {str(condition["field"]) for condition in self.conditions}
        known = [name for name in fields if name in latest]
        if any(reading.at - latest[name][1] > self.gap for name in known):
            state["since"] = None
        for name in fields & reading.values.keys():
            latest[name] = [reading.values[name], reading.at]
        holds = self._holds(reading.at)
        if holds is None:
            return None
        if not holds:
            state["since"], state["fired"] = None, False
            return None
        if state["since"] is None:
            state["since"], state["count"] = reading.at, 0
        state["count"] += 1
        if state["fired"] or reading.at - state["since"] < self.hold:
            return None
        state["fired"] = True
        held = reading.at - state["since"]
        return {
            "since": state["since"],
            "at": reading.at,
            "held": held,
            "count": state["count"],
            "values": {name: latest[name][0] for name in sorted(fields & latest.keys())},
        }

    def _holds(self, now: float) -> bool | None:
        """Whether the conditions hold; None where that depends on a field without a recent reading."""
        outcomes = [self._test(condition, now) for condition in self.conditions]
        decisive = not self.needs_all
        if decisive in outcomes:
            return decisive
        return None if None in outcomes else not decisive

    def _test(self, condition: Mapping[str, Value], now: float) -> bool | None:
        value, at = self.state["latest"].get(condition["field"], (None, -inf))
        if value is None or now - at > self.gap:
            return None
        return all(TESTS[name](value, condition[name]) for name in TESTS if name in condition)


@dataclass(slots=True)
class Buckets:
    """Windows of `size` that begin every `every` milliseconds, with the sums of their readings."""

    size: float
    every: float
    open: dict[str, Value]

    def add(self, reading: Reading) -> None:
        """Counts a reading in each window that it is in."""
        last = reading.at - reading.at % self.every
        start = last
        while start > reading.at - self.size:
            bucket = self.open.setdefault(f"{start:.0f}", {"count": 0, "values": {}})
            bucket["count"] += 1
            for name, value in reading.values.items():
                _count(bucket["values"], name, value)
            start -= self.every

    def closed(self, until: float) -> Iterator[Value]:
        """The windows that end at `until` or before, in order; they are removed."""
        for key in sorted(self.open, key=float):
            end = float(key) + self.size
            if end <= until:
                bucket = self.open.pop(key)
                values = {name: _summary(*sums) for name, sums in bucket["values"].items()}
                yield {"start": float(key), "end": end, "count": bucket["count"], "values": values}


def _count(values: dict[str, Value], name: str, value: float) -> None:
    count, total, least, most, _ = values.get(name, (0, 0.0, inf, -inf, 0))
    values[name] = [count + 1, total + value, min(least, value), max(most, value), value]


def _summary(count: int, total: float, least: float, most: float, last: float) -> Value:
    return {"count": count, "sum": total, "mean": total / count, "min": least, "max": most, "last": last}
