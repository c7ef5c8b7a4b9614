"""The numbers of a report, of models whose numbers are known."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from perdure.engine.granting.prices import Prices
from perdure.engine.messages import NodeOptions, RunAgent
from perdure.errors import UsageError
from perdure.graph.deferred import BlobRef
from perdure.history.measures.report import Measures, decision_times, measures_of, sum_at
from perdure.history.measures.shares import Quantiles, Share
from perdure.history.measures.time_split import TimeSplit, time_split
from perdure.history.model import AnsweredCall, Attempt, Execution, NodeModel, RunModel
from perdure.protocol.call_record import CallRecord
from perdure.protocol.encoding import encoded_size

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
        attempts=tuple(
            replace(each, activity=address if each.activity == "n" else each.activity) for each in attempts
        ),
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


def test_what_a_call_exchanges_with_the_store_is_not_its_work() -> None:
    record = CallRecord(got=10, put=20, got_ms=500, put_ms=250)
    run = model(
        node("a", attempt(0, 1_000, 3_000, record=record, byte_count=7)),
        moments=[("waiting", 0, 500), ("transfer", 5_000, 6_000)],
    )
    assert time_split(run) == TimeSplit(working=1.25, transfer=1.75, waiting=1.0, other=6.0)
    made = measured(run)
    calls = made.agents["workAgent"]
    assert (calls.working, calls.transfer, calls.byte_count) == ([1.25], [0.75], 37)
    assert made.worker_hours == 2 / 3_600


def test_a_call_that_is_shorter_than_its_exchange() -> None:
    record = CallRecord(got_ms=900, put_ms=900)
    run = model(node("a", attempt(0, 0, 1_000, record=record)))
    assert time_split(run) == TimeSplit(transfer=1.0, other=9.0)


def test_losses_are_counted_apart_from_failures() -> None:
    lost = Attempt(path="n", activity="n", number=2, failure="activity Heartbeat timeout")
    failed = Attempt(path="n", activity="n", number=1, failure="503")
    refused = "it has lost its worker 3 times"
    made = measured(
        model(
            node("a", lost, attempt(0, 4_000, 6_000, number=3)),
            node("b", failed, attempt(0, 1_000, 2_000, number=2, worker="8@south")),
            node("c", lost, attempt(0, 500, 1_000, number=4, failure=refused, worker="8@south")),
        )
    )
    north, south, unknown = made.hosts["north"], made.hosts["south"], made.hosts["unknown"]
    work = made.agents["workAgent"]
    assert (work.calls, work.attempts, work.lost, work.failed) == (3, 9, 5, 1)
    assert (work.mttr_s, work.hours) == (6.0, 3.5 / 3_600)
    assert work.mtbf_s == pytest.approx(3.5 / 5)
    assert work.losses_per_hour == pytest.approx(5 / work.hours)
    assert (north.calls, north.attempts, north.lost, north.failed) == (1, 1, 0, 0)
    assert (south.calls, south.attempts, south.lost, south.failed) == (2, 2, 0, 0)
    assert (unknown.calls, unknown.attempts, unknown.lost) == (0, 5, 5)
    assert (north.mtbf_s, north.mttr_s, unknown.mtbf_s) == (None, None, None)


def test_the_worker_knows_how_earlier_attempts_have_ended() -> None:
    record = CallRecord(host="south", transient=1, lost=2, stopped=1, lost_on="north")
    made = measured(model(node("a", attempt(0, 4_000, 6_000, number=5, record=record, queue="@west"))))
    work = made.agents["workAgent"]
    assert (work.attempts, work.lost, work.failed, work.returned) == (5, 2, 1, 1)
    assert {name: (host.calls, host.lost, host.mttr_s) for name, host in made.hosts.items()} == {
        "south": (1, 0, None),
        "north": (0, 1, 6.0),
        "west": (0, 1, 6.0),
    }


def test_calls_that_share_an_activity() -> None:
    shared = replace(attempt(0, 1_000, 3_000, byte_count=9), activity="a")
    made = measured(model(node("a", shared), node("b", replace(shared, failure="wrong"))))
    work = made.agents["workAgent"]
    assert (work.calls, work.attempts, work.failed, work.working) == (2, 1, 1, [2.0])
    assert (work.byte_count, made.traffic.calls) == (9, 9)


def test_bytes_and_what_has_to_be_moved() -> None:
    def call(key: str) -> AnsweredCall:
        command = RunAgent(
            0, "n", "n", key, "workAgent", {"x": BLOB}, {}, {}, {}, 0, False, 0.5, False, NodeOptions()
        )
        return AnsweredCall(command, 1, 0, 1)

    record = CallRecord(got=5_000, put=1_000, cached=2_000)
    nodes = [
        node("a", attempt(0, 0, 1, record=record, byte_count=60)),
        node("b", attempt(1, 1, 2, byte_count=40)),
        node("s", placement="segment"),
    ]
    chain = [Execution("e", 0, 9, byte_count=700), Execution("f", 0, 9, byte_count=300)]
    traffic = measured(model(*nodes, calls=(call("a"), call("b"), call("s")), chain=chain)).traffic
    assert (traffic.server, traffic.calls) == (1_000, 100)
    assert (traffic.got, traffic.put, traffic.cached) == (5_000, 1_000, 2_000)
    assert traffic.moved == 7_000
    assert traffic.needed == 5_000 + 2 * (encoded_size({"x": BLOB}) + 1)
    assert traffic.overhead == 7_000 / traffic.needed
    assert measured(model()).traffic.overhead is None


def test_what_it_costs() -> None:
    prices = Prices.read({"rates": {"worker_hour": 3_600, "gigabyte": 1e6, "run": 10}}, "prices.toml")
    made = measures_of(
        [model(node("a", attempt(0, 1_000, 3_000)), chain=[Execution("e", 0, 9, "", 500)])], prices
    )
    assert made.money == pytest.approx(2 + 0.5 + 10)
    for wrong in ({"rates": {"hour": 1}}, {"rates": {"run": -1}}, {"rates": 3}):
        with pytest.raises(UsageError, match=r"prices\.toml: the rates cannot be read"):
            Prices.read(wrong, "prices.toml")


def test_evaluations_of_models() -> None:
    scores = {"accuracy": 0.8, "n": 10, "f1": [1, 0.5], "macro": 0.75, "digest": "d"}
    sites = {"accuracy": 0.5, "n": 400, "worst": {"site": "a", "accuracy": 0.25, "n": 100}}
    judged = {"report": {"metric": "auc", "value": 0.9, "n": 7, "digest": "e"}, "blessed": True}
    made = measured(
        model(
            node("later", result=sites, ended=9),
            node("a", result=scores, ended=1),
            node("b", result=judged, ended=2),
            node("static", result=scores, agent=None),
            node("none", result={"accuracy": 0.5, "n": 0}),
            node("text", result={"accuracy": "high", "n": 3}),
        )
    ).evaluations
    assert [(each.address, each.metric, each.value, each.n) for each in made] == [
        ("a", "accuracy", 0.8, 10),
        ("b", "auc", 0.9, 7),
        ("later", "accuracy", 0.5, 400),
    ]
    assert (made[0].interval, made[0].f1, made[0].f1_by_class) == (Share(8, 10).interval, 0.75, (1.0, 0.5))
    assert (made[1].interval, made[1].digest, made[2].worst) == (None, "e", ("a", 0.25))


def test_from_an_event_to_the_decision() -> None:
    def decided(at: object) -> RunModel:
        return model(node("event", result={"at": at}), node("alarm", ended=5_000))

    assert decision_times([decided(4_000), decided("1970-01-01T00:00:03+00:00")], "event.at", "alarm") == [
        1,
        2,
    ]
    for at in ("1970-01-01T00:00:03", "noon", True, None):
        with pytest.raises(UsageError, match=r"run 'r' has no time at 'event\.at'"):
            decision_times([decided(at)], "event.at", "alarm")
    with pytest.raises(UsageError, match="node 'event' of run 'r' has not ended"):
        decision_times([decided(1)], "event.at", "event")


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
