"""windowAgent: windows by the time of events, whatever the order and the portions in which they come."""

from __future__ import annotations

import random
from typing import Any

import pytest

from perdure.agents.shipped.event_time import MAX_PENDING_EVENT_COUNT
from perdure.agents.shipped.windows import window
from perdure.errors import FinalError

HOT = {"all": [{"field": "v", "above": 7}, {"field": "t", "above": 80}]}


def events(*rows: tuple[float, dict[str, float]]) -> list[dict[str, Any]]:
    return [{"at": at, "body": body} for at, body in rows]


def played(params: dict[str, Any], *batches: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The results of a chain of calls, each of which receives the window of the one before."""
    results: list[dict[str, Any]] = []
    for batch in batches:
        before = results[-1]["window"] if results else None
        result: Any = window({"events": batch, "window": before}, params)
        results.append(result)
    return results


def fired(params: dict[str, Any], *rows: tuple[float, dict[str, float]]) -> list[float]:
    """When an episode has fired: each reading comes alone."""
    results = played(params, *([row] for row in events(*rows)))
    return [alert["at"] for result in results for alert in result["alerts"]]


def test_a_condition_that_holds_fires_once_for_each_episode() -> None:
    hot, cold = {"v": 8, "t": 90}, {"v": 8, "t": 70}
    rows = [
        (10, hot),
        (12, hot),
        (20, hot),
        (25, hot),
        (30, cold),
        (31, hot),
        (40, hot),
        (41, hot),
        (42, hot),
    ]
    assert fired({"hold": 10, **HOT}, *rows) == [20, 41]
    assert fired({"hold": 11, **HOT}, *rows) == [25, 42]
    assert fired({"hold": 16, **HOT}, *rows) == []


def test_fields_may_come_apart() -> None:
    rows = [(0, {"v": 8}), (5, {"t": 90}), (10, {"v": 9}), (15, {"t": 91})]
    (result,) = played({"hold": 10, **HOT}, events(*rows))
    assert result["alerts"] == [{"since": 5, "at": 15, "held": 10, "count": 3, "values": {"t": 91, "v": 9}}]


def test_any_of_the_conditions() -> None:
    either = {"hold": 5, "any": [{"field": "v", "above": 7}, {"field": "t", "atMost": 0}]}
    assert fired(either, (0, {"v": 8, "t": 5}), (3, {"v": 6, "t": 0}), (5, {"v": 6, "t": -1})) == [5]


def test_a_gap_starts_the_time_again_and_fires_no_second_time() -> None:
    hot = {"v": 8, "t": 90}
    rule = {"hold": 10, "gap": 5, **HOT}
    assert fired(rule, (0, hot), (4, hot), (10, hot), (15, hot), (20, hot)) == [20]
    assert fired(rule, (0, hot), (5, hot), (10, hot), (30, hot), (35, hot), (40, hot)) == [10]


def test_events_out_of_order_wait_for_those_before_them() -> None:
    rows = [(float(at), {"v": 8.0, "t": 90.0 if at != 30 else 70.0}) for at in range(0, 100, 5)]
    shuffled = sorted(rows, key=lambda row: row[0] + random.Random(row[0]).uniform(0, 10))
    assert shuffled != rows
    in_order = fired({"hold": 20, "lateness": 10, **HOT}, *rows)
    assert fired({"hold": 20, "lateness": 10, **HOT}, *shuffled) == in_order == [20, 55]


def test_late_events_are_counted_and_change_nothing() -> None:
    first, second = played({"tumbling": 10}, events((5, {"x": 1}), (25, {"x": 2})), events((7, {"x": 9})))
    assert [row["start"] for row in first["windows"]] == [0]
    assert (second["late"], second["windows"], second["window"]["open"]) == (1, [], first["window"]["open"])


def test_tumbling_windows() -> None:
    first, second = played(
        {"tumbling": 10}, events((1, {"x": 1}), (9, {"x": 5})), events((10, {"x": 2}), (21, {"x": 3}))
    )
    assert (first["fired"], first["active"]) == (False, True)
    total = {"count": 2, "sum": 6, "mean": 3, "min": 1, "max": 5, "last": 5}
    assert second["windows"][0] == {"start": 0, "end": 10, "count": 2, "values": {"x": total}}
    assert [(row["start"], row["count"]) for row in second["windows"]] == [(0, 2), (10, 1)]


def test_sliding_windows() -> None:
    (result,) = played(
        {"sliding": {"size": 10, "every": 5}}, events((6, {"x": 1}), (12, {"x": 3}), (30, {"x": 0}))
    )
    assert [(row["start"], row["count"]) for row in result["windows"]] == [(0, 1), (5, 2), (10, 1)]


def test_portions_change_nothing() -> None:
    source = random.Random(1)
    rows = events(*((at, {"x": source.random()}) for at in range(200)))
    (whole,) = played({"tumbling": 7}, rows)
    parts = played({"tumbling": 7}, *(rows[start : start + 13] for start in range(0, 200, 13)))
    assert [row for part in parts for row in part["windows"]] == whole["windows"]
    assert parts[-1]["window"] == whole["window"]


def test_what_waits_is_bounded() -> None:
    many = events(*((float(at), {"x": 1}) for at in range(MAX_PENDING_EVENT_COUNT + 10)))
    (result,) = played({"tumbling": 10, "lateness": "1d"}, many)
    assert len(result["window"]["pending"]) == MAX_PENDING_EVENT_COUNT


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "neither hold, nor tumbling, nor sliding"),
        ({"hold": "5m"}, "hold needs conditions"),
        ({"hold": "5m", "all": []}, "hold needs conditions"),
        ({"hold": "5m", "all": [{"field": "x"}]}, "condition 0"),
        ({"hold": "5m", "any": [{"field": "x", "above": "1"}]}, "condition 0"),
        ({"tumbling": "long"}, "is not a time"),
        ({"sliding": {"size": "1d", "every": "1s"}}, "more than 100 windows"),
    ],
)
def test_wrong_params(params: dict[str, Any], message: str) -> None:
    with pytest.raises(FinalError, match=message):
        window({"events": []}, params)
