"""windowAgent: windows over events, and conditions that hold for a time."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from perdure.agents.agent import Sample, agent
from perdure.agents.schema import anything, array, fields, flag, mapping, number
from perdure.agents.shipped.event_time import (
    MAX_WINDOWS_PER_EVENT_COUNT,
    TESTS,
    Buckets,
    HeldFor,
    due_readings,
)
from perdure.errors import FinalError
from perdure.graph.params.durations import DURATION_HINT, duration_ms
from perdure.graph.values import Value, is_dict, is_list, is_number

_CONDITION = "{field, above, below, atLeast, atMost}"
_SINCE_MS = 1_900_000_000_000


@agent(
    "windowAgent",
    pure=True,
    category="event",
    inputs=fields(
        "events",
        events=array("with `at`, in milliseconds, and a `body` with numbers", mapping()),
        window=anything("its result `window` of the time before, null at first"),
    ),
    params=fields(
        hold=anything("fires when the conditions have held for this time, such as 5m"),
        all=array(f"conditions that all hold: {_CONDITION}", mapping()),
        any=array("instead: conditions of which one holds", mapping()),
        gap=anything("a field without a reading for longer is unknown, and the time starts again"),
        tumbling=anything("instead of hold: the length of windows that follow each other"),
        sliding=mapping("instead of hold: {size, every}, windows that overlap"),
        lateness=anything("how long to wait for events that come out of order (0)"),
    ),
    output=fields(
        window=mapping("for the next time"),
        fired=flag("once for each episode; for windows, whether any has closed"),
        quiet=flag("whether it has not fired"),
        active=flag("whether the conditions hold"),
        alerts=array("what has fired: since, at, held, count, values", mapping()),
        windows=array("that have closed: start, end, count, values with count, sum, mean, min, max, last"),
        late=number("of events that came after their time had been processed, so far"),
    ),
    samples=[
        Sample(
            inputs={
                "events": [
                    {"at": _SINCE_MS, "body": {"temperature": 91}},
                    {"at": _SINCE_MS + 60_000, "body": {"temperature": 93}},
                ],
                "window": None,
            },
            params={"hold": "1m", "all": [{"field": "temperature", "above": 80}]},
            result={
                "window": {
                    "done": _SINCE_MS + 60_000,
                    "pending": [],
                    "late": 0,
                    "held": {
                        "since": _SINCE_MS,
                        "fired": True,
                        "count": 2,
                        "latest": {"temperature": [93, _SINCE_MS + 60_000]},
                    },
                },
                "fired": True,
                "quiet": False,
                "active": True,
                "alerts": [
                    {
                        "since": _SINCE_MS,
                        "at": _SINCE_MS + 60_000,
                        "held": 60_000,
                        "count": 2,
                        "values": {"temperature": 93},
                    }
                ],
                "windows": [],
                "late": 0,
            },
        )
    ],
)
def window(inputs: dict[str, Value], params: Mapping[str, Value]) -> Value:
    """Windows over events by their own time: tumbling, sliding, or a condition that holds for a time."""
    events: Value = inputs.get("events")
    if not is_list(events):
        raise FinalError("windowAgent: inputs.events: expected a list")
    before: Value = inputs.get("window")
    before = before if is_dict(before) else {}
    lateness = _time(params, "lateness", 0)
    ready, pending, done, late = due_readings(
        events, before.get("pending") or [], before.get("done", -1.0), lateness
    )
    state: dict[str, Value] = {"done": done, "pending": pending, "late": before.get("late", 0) + late}
    if params.get("hold") is not None:
        held = _held(params, before)
        fired = [evidence for reading in ready if (evidence := held.add(reading)) is not None]
        return _result(state | {"held": held.state}, fired, [], active=held.state["since"] is not None)
    buckets = _buckets(params, before)
    for reading in ready:
        buckets.add(reading)
    closed = [*buckets.closed(done)]
    return _result(state | {"open": buckets.open}, [], closed, active=bool(buckets.open))


def _result(state: dict[str, Value], fired: list[Value], closed: list[Value], *, active: bool) -> Value:
    has_fired = bool(fired or closed)
    return {
        "window": state,
        "fired": has_fired,
        "quiet": not has_fired,
        "active": active,
        "alerts": fired,
        "windows": closed,
        "late": state["late"],
    }


def _held(params: Mapping[str, Value], before: Mapping[str, Value]) -> HeldFor:
    needs_all = params.get("all") is not None
    conditions: Value = params.get("all" if needs_all else "any")
    if not is_list(conditions) or not conditions:
        hint = "all: [{field: temperature, above: 80}]"
        raise FinalError("windowAgent: params: hold needs conditions, `all` or `any`", hint=hint)
    for index, condition in enumerate(conditions):
        limits = [condition[name] for name in TESTS if name in condition] if is_dict(condition) else []
        if not limits or not all(map(is_number, limits)) or "field" not in condition:
            raise FinalError(f"windowAgent: params: condition {index}: expected {_CONDITION} with numbers")
    state: Value = before.get("held") or {"since": None, "fired": False, "count": 0, "latest": {}}
    state = {**state, "latest": dict(state["latest"])}
    gap = _time(params, "gap", inf)
    return HeldFor(_time(params, "hold", 0), conditions, needs_all, gap, state)


def _buckets(params: Mapping[str, Value], before: Mapping[str, Value]) -> Buckets:
    sliding: Value = params.get("sliding")
    if is_dict(sliding):
        size, every = _time(sliding, "size", 0), _time(sliding, "every", 0)
    else:
        size = every = _time(params, "tumbling", 0)
    if not size or not every:
        hint = "hold: 5m, tumbling: 1m, or sliding: {size: 5m, every: 1m}"
        raise FinalError("windowAgent: params: there is neither hold, nor tumbling, nor sliding", hint=hint)
    if size / every > MAX_WINDOWS_PER_EVENT_COUNT:
        finding = (
            f"windowAgent: params.sliding: an event is in more than {MAX_WINDOWS_PER_EVENT_COUNT} windows"
        )
        raise FinalError(finding, hint="let them begin less often: every")
    before_open: dict[str, Value] = before.get("open") or {}
    return Buckets(size, every, {key: _copied(bucket) for key, bucket in before_open.items()})


def _copied(bucket: Value) -> Value:
    return {"count": bucket["count"], "values": dict(bucket["values"])}


def _time(params: Mapping[str, Value], name: str, default: float) -> float:
    value: Value = params.get(name)
    if value is None or value == 0:
        return default
    milliseconds = duration_ms(value)
    if milliseconds is None:
        raise FinalError(f"windowAgent: params.{name}: {value!r} is not a time", hint=DURATION_HINT)
    return milliseconds
