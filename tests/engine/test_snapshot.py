"""What a snapshot holds. That a run resumes from any is in tests/property."""

from typing import Any

import pytest

from perdure.engine.messages import (
    AgentCompleted,
    Fetch,
    Fetched,
    Finish,
    RunAgent,
    RunOptions,
    Settle,
    Settled,
    StartTimer,
)
from perdure.engine.scheduler import Scheduler
from perdure.engine.snapshot import restore, snapshot
from perdure.errors import UsageError
from perdure.graph.deferred import BlobRef
from perdure.graph.values import UNDEFINED
from tests.support.drive import work

INNER = {"nodes": {"i": work(isResult=True)}}


def test_a_run_that_has_begun() -> None:
    graph = {
        "nodes": {
            "s": {"value": 1},
            "t": {"value": 2},
            "a": work(inputs={"s": ":s"}),
            "b": work(inputs={"a": ":a"}),
        }
    }
    scheduler = Scheduler(graph, RunOptions(injects=(("s", 5),)))
    scheduler.start(1_000)
    assert snapshot(scheduler) == {
        "format": 3,
        "now": 1_000,
        "finished": False,
        "last_call": 1,
        "last_run": 1,
        "used": [1, 0],
        "documents": [graph],
        "runs": [
            {
                "id": 1,
                "document": 0,
                "values": {"s": 5},
                "nodes": {
                    "s": {"state": "injected"},
                    "t": {"state": "injected"},
                    "__loopIndex": {"state": "injected"},
                    "a": {"state": "executing", "call": 1},
                },
            }
        ],
        "calls": [
            {
                "call": 1,
                "run": 1,
                "node": "a",
                "since": 1_000,
                "agent": "work",
                "inputs": {"s": 5},
                "params": {},
            }
        ],
        "known": {},
        "queue": [],
    }


def test_what_is_queued_stays_in_order() -> None:
    nodes = {"a": work(), "b": work(), "c": work(priority=1), "d": work(label="gpu")}
    scheduler = Scheduler({"nodes": nodes, "concurrency": {"global": 1, "labels": {"gpu": 1}}})
    scheduler.start(0)
    assert snapshot(scheduler)["queue"] == [[1, "b"], [1, "c"], [1, "d"]]
    moved, commands = restore(snapshot(scheduler))
    for call in range(1, 4):
        commands += moved.handle(AgentCompleted(call, call), 0)
    assert [command.node for command in commands if isinstance(command, RunAgent)] == ["a", "c", "b", "d"]


def test_nodes_that_wait_for_several_keep_what_is_still_missing() -> None:
    nodes = {"a": work(), "b": work(), "c": work(inputs={"a": ":a", "b": ":b"})}
    scheduler = Scheduler({"nodes": nodes})
    scheduler.start(0)
    scheduler.handle(AgentCompleted(1, 1), 0)
    assert snapshot(scheduler)["runs"][0]["nodes"]["c"] == {"pending": ["b"]}
    moved, _ = restore(snapshot(scheduler))
    (command,) = moved.handle(AgentCompleted(2, 2), 0)
    assert isinstance(command, RunAgent)
    assert command.inputs == {"a": 1, "b": 2}


def test_a_timer_is_asked_for_the_time_that_is_left() -> None:
    nodes = {"n": {"agent": "nestedAgent", "graph": INNER, "timeout": 500}, "b": work()}
    scheduler = Scheduler({"nodes": nodes})
    assert scheduler.start(1_000)[0] == StartTimer(2, 500)
    scheduler.handle(AgentCompleted(4, 1), 1_200)
    moved, commands = restore(snapshot(scheduler))
    assert commands[0] == StartTimer(2, 300)
    moved.handle(AgentCompleted(9, "late"), 1_900)
    assert restore(snapshot(moved))[1][0] == StartTimer(2, 0)


def test_graphs_that_are_over_and_settle_keep_only_their_outcome() -> None:
    scheduler = Scheduler({"nodes": {"m": {"agent": "mapAgent", "graph": INNER, "inputs": {"rows": [1, 2]}}}})
    scheduler.start(0)
    scheduler.handle(AgentCompleted(2, UNDEFINED), 0)
    scheduler.handle(AgentCompleted(3, 7), 0)
    data = snapshot(scheduler)
    nested = data["runs"][0]["nodes"]["m"]["nested"]
    assert (nested["rows"], nested["results"]) == ([[0, 1]], [{}, {"i": 7}])
    assert len(data["runs"]) == 1
    moved, commands = restore(data)
    assert commands == [Settle(1, 4)]
    (finish,) = moved.handle(Settled(1), 0)
    assert isinstance(finish, Finish)
    assert finish.all == {"m": [{}, {"i": 7}]}


def test_a_run_that_is_over_stays_so() -> None:
    scheduler = Scheduler({"nodes": {"a": work()}})
    scheduler.start(0)
    scheduler.handle(AgentCompleted(1, 1), 0)
    moved, commands = restore(snapshot(scheduler))
    assert (moved.finished, commands) == (True, [])
    assert moved.root.results(True) == {"a": 1}


def test_loops_and_results_go_on() -> None:
    count = 3
    graph = {"nodes": {"s": {"value": 0, "update": ":a"}, "a": work(inputs={"s": ":s"})}}
    scheduler = Scheduler(graph, RunOptions(loop_count=count))
    commands: list[Any] = scheduler.start(0)
    for call in range(1, count + 1):
        scheduler, again = restore(snapshot(scheduler))
        assert again == commands
        commands = scheduler.handle(AgentCompleted(call, call * 10), 0)
    assert commands == [Finish(all={"s": 30, "a": 30}, results={})]


def test_moves_are_observed_again() -> None:
    scheduler = Scheduler({"nodes": {"a": work()}})
    scheduler.start(0)
    seen: list[str] = []
    moved, _ = restore(snapshot(scheduler), observe=lambda run, name: seen.append(name))
    moved.handle(AgentCompleted(1, 1), 0)
    assert seen == ["a"]


def test_a_snapshot_of_the_form_before_is_taken_up() -> None:
    """Nothing is known in it of distant values; what it has asked for is still under way."""
    graph = {"nodes": {"a": work(), "b": work(**{"if": ":a.v", "unless": ":a.w"})}}
    scheduler = Scheduler(graph)
    scheduler.start(0)
    scheduler.handle(AgentCompleted(1, BlobRef("d", 9, "object", 1)), 0)
    old = {key: value for key, value in snapshot(scheduler).items() if key != "known"}
    old["calls"] = [{key: value for key, value in call.items() if key != "told"} for call in old["calls"]]
    moved, (asked,) = restore(old | {"format": 2})
    assert isinstance(asked, Fetch)
    (again,) = moved.handle(Fetched(asked.call, 1), 0)
    (call,) = moved.handle(Fetched(again.call, 0), 0)
    assert isinstance(call, RunAgent)


def test_a_snapshot_of_another_form_is_refused() -> None:
    with pytest.raises(UsageError, match=r"form 7, and only \(2, 3\) are known here"):
        restore({"format": 7})


@pytest.mark.parametrize(
    "change",
    [
        {"runs": []},
        {"runs": [{"id": 1, "document": 5, "nodes": {}}]},
        {"runs": [{"id": 1, "document": 0, "nodes": {"unknown": {}}}]},
        {"calls": [{"call": 1, "run": 7, "node": "a", "since": 0, "milliseconds": 5}]},
        {"queue": [[1, "unknown"]]},
        {"used": 5},
        {"documents": []},
    ],
)
def test_what_refers_to_nothing_is_refused(change: dict[str, Any]) -> None:
    scheduler = Scheduler({"nodes": {"a": work()}})
    scheduler.start(0)
    with pytest.raises(UsageError, match="this snapshot is malformed"):
        restore(snapshot(scheduler) | change)
