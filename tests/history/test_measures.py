"""The numbers of a report, of models whose numbers are known."""

from __future__ import annotations

import math
from typing import Any

import pytest

from perdure.engine.granting.prices import Prices
from perdure.engine.messages import NodeOptions, RunAgent
from perdure.errors import UsageError
from perdure.graph.deferred import BlobRef
from perdure.history.measures import Measures, Quantiles, Share, TimeSplit, measures_of, sum_at, time_split
from perdure.history.model import AnsweredCall, Attempt, NodeModel, RunModel

pytestmark = pytest.mark.unit

BLOB = BlobRef("d", 5_000, "string", 5_000)


def attempt(scheduled: int, started: int | None, ended: int | None, **more: Any) -> Attempt:
    worker = more.pop("worker", "7@north")
    return Attempt(
        path="n", activity="n", worker=worker, scheduled=scheduled, started=started, ended=ended, **more
    )


def node(address: str, *attempts: Attempt, **more: Any) -> NodeModel:
    return NodeModel(
        address=address,
        node=address,
        agent=more.pop("agent", "workAgent"),
        placement=more.pop("placement", "activity"),
        attempts=attempts,
        **more,
    )


def model(*nodes: NodeModel, **more: Any) -> RunModel:
    more = {"started": 0, "ended": 10_000, "state": "completed", **more}
    return RunModel(id="r", name="g", graph={}, nodes={each.address: each for each in nodes}, **more)


def measured(*models: RunModel) -> Measures:
    return measures_of(models, Prices())


def test_each_moment_counts_once() -> None:
    run = model(
        node("a", attempt(1_000, 2_000, 4_000)),
        node("b", attempt(1_500, 3_000, 5_000)),  # overlaps with a
        node("p", placement="person", started=4_000, ended=7_000, agent="humanInputAgent"),
        node("c", attempt(8_000, None, None)),  # waits to the end
    )
    assert time_split(run) == TimeSplit(working=3.0, waiting=3.0, asked=2.0, other=2.0)
    assert time_split(run).total == 10.0


def test_a_run_without_calls_is_its_own_time() -> None:
    assert time_split(model()) == TimeSplit(other=10.0)


def test_losses_are_counted_apart_from_failures() -> None:
    lost = Attempt(path="n", activity="n", number=2, failure="activity Heartbeat timeout")
    failed = Attempt(path="n", activity="n", number=1, failure="503")
    made = measured(
        model(
            node("a", lost, attempt(0, 4_000, 6_000, number=3)),
            node("b", failed, attempt(0, 1_000, 2_000, number=2, worker="8@south")),
            node("c", attempt(0, 500, 1_000, failure="it has lost its worker 3 times", worker="8@south")),
        )
    )
    north, south = made.hosts["north"], made.hosts["south"]
    work = made.agents["workAgent"]
    assert (work.calls, work.attempts, work.lost, work.failed) == (3, 6, 3, 1)
    assert (work.mttr_s, work.hours) == (6.0, 3.5 / 3_600)
    assert work.mtbf_s == pytest.approx(3.5 / 3)
    assert work.losses_per_hour == pytest.approx(3 / work.hours)
    assert (north.calls, north.attempts, north.lost, north.failed) == (1, 1, 0, 0)
    assert (south.calls, south.attempts, south.lost, south.failed) == (2, 2, 1, 0)
    assert (north.mtbf_s, south.mttr_s) == (None, None)
    assert south.waiting == [0.5]


def test_bytes_and_what_has_to_be_moved() -> None:
    def call(key: str) -> AnsweredCall:
        command = RunAgent(
            0, "n", "n", key, "workAgent", {"x": BLOB}, {}, {}, {}, 0, False, 0.5, False, NodeOptions()
        )
        return AnsweredCall(command, 1, 0, 1)

    nodes = [node("a", attempt(0, 0, 1)), node("b", attempt(0, 0, 1)), node("s", placement="segment")]
    traffic = measured(model(*nodes, calls=(call("a"), call("b"), call("s")))).traffic
    assert (traffic.stored, traffic.distinct) == (10_000, 5_000)
    assert traffic.overhead == (traffic.inline + 10_000) / (traffic.inline + 5_000)
    assert measured(model()).traffic.overhead is None


def test_quantiles_are_nearest_ranks() -> None:
    assert Quantiles.of(range(1, 101)) == Quantiles(100, 50, 95, 99, 100)
    assert Quantiles.of([]) == Quantiles(0, 0, 0, 0, 0)


def test_the_interval_is_wilsons() -> None:
    low, high = Share(8, 10).interval
    assert (round(low, 4), round(high, 4)) == (0.4902, 0.9433)
    assert Share(0, 10).interval[0] == pytest.approx(0.0, abs=1e-12)


def test_latency_is_of_runs_that_are_over() -> None:
    made = measured(model(), model(ended=None, state="running"), model(ended=30_000))
    assert dict(made.states) == {"completed": 2, "running": 1}
    assert (made.latency.count, made.latency.p50, made.latency.longest) == (2, 10.0, 30.0)
    assert made.split.total == 40.0


def test_numbers_of_nodes() -> None:
    runs = [model(node("a", result={"rows": {"count": n}})) for n in (2, 3)]
    assert sum_at(runs, "a.rows.count") == 5
    with pytest.raises(UsageError, match=r"run 'r' has no number at 'a\.rows'"):
        sum_at(runs, "a.rows")
    assert math.isclose(sum_at([model(node("b", result=0.5))], "b"), 0.5)
