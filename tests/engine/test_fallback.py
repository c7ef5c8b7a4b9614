"""A node that fails has its fallback, if it names one, and the run continues with that."""

from typing import Any

import pytest

from perdure.engine.messages import AgentFailed, StartTimer, TimerFired
from perdure.engine.snapshot import restore, snapshot
from perdure.engine.state import NodeState
from tests.support.drive import Drive, failing, graph, nested, rows, work


@pytest.mark.parametrize("value", [None, 0, "", [1], {"a": {"b": 2}}])
def test_a_fallback_takes_the_place_of_a_result(value: Any) -> None:
    drive = Drive(graph(a=work(fallback=value), b=work(inputs={"x": ":a"})), failing("a"))
    finish = drive.run()
    assert (finish.failure, finish.errors, finish.all["a"]) == (None, {}, value)
    assert drive.scheduler.root.nodes["a"].shown_error == "a failed 1"
    assert drive.moves[1:5] == ["a queued", "a executing", "a fell-back", "b queued"]


def test_attempts_come_first() -> None:
    drive = Drive(graph(a=work(fallback=0, retry=2)), failing("a", times=2))
    assert drive.run().all == {"a": {"n": 3}}
    drive = Drive(graph(a=work(fallback=0, retry=2)), failing("a"))
    assert (drive.run().all, drive.paths) == ({"a": 0}, ["a", "a#1", "a#2"])


def test_a_fallback_may_refer_to_other_nodes_and_passes_output() -> None:
    last = {"value": {"n": 5}}
    node = work(fallback={"n": ":last.n", "text": "${:last.n} again"}, output={"m": ".n", "t": ".text"})
    assert Drive(graph(last=last, a=node), failing("a")).run().all["a"] == {"m": 5, "t": "5 again"}


def test_the_deadline_of_a_node_ends_with_its_fallback() -> None:
    drive = Drive(graph(a=work(fallback="late", deadline=50), b=work(inputs={"x": ":a"}))).start()
    timer = next(command for command in drive.waiting if isinstance(command, StartTimer))
    drive.give(TimerFired(timer.call))
    assert drive.paths == ["a", "b"]
    assert drive.step().finish is not None
    assert drive.scheduler.root.result("a") == "late"


@pytest.mark.parametrize("node", [nested(fallback="f"), rows(1, 2, fallback="f")])
def test_graphs_inside_nodes(node: Any) -> None:
    finish = Drive(graph(a=node), failing("i")).run()
    assert (finish.failure, finish.all) == (None, {"a": "f"})


def test_inputs_that_cannot_be_made_are_a_failure_too() -> None:
    finish = Drive(graph(s={"value": "no json"}, a=work(inputs={"x": ":s.jsonParse()"}, fallback=1))).run()
    assert (finish.failure, finish.all["a"]) == (None, 1)


def test_a_fallback_that_cannot_be_made_fails_the_node() -> None:
    node = work(fallback=":s.jsonParse()")
    finish = Drive(graph(s={"value": "no json"}, a=node), failing("a")).run()
    assert list(finish.errors) == ["a"]
    assert "jsonParse" in (finish.failure or "")


def test_a_consumer_that_cannot_read_a_fallback_fails_the_node() -> None:
    finish = Drive(graph(a=work(fallback="no json"), b=work(**{"if": ":a.jsonParse()"})), failing("a")).run()
    assert list(finish.errors) == ["a"]


def test_loops_go_on() -> None:
    document = {**graph(a=work(fallback=0)), "loop": {"count": 3}}
    drive = Drive(document, failing("a", times=2))
    assert (drive.run().all, drive.paths) == ({"a": {"n": 3}}, ["a", "a@1", "a@2"])


def test_a_snapshot_keeps_it() -> None:
    drive = Drive(graph(a=work(fallback={"n": 1}), b=work())).start()
    drive.give(AgentFailed(1, "down"))
    copy, _ = restore(snapshot(drive.scheduler))
    node = copy.root.nodes["a"]
    assert (node.state, node.result, node.shown_error) == (NodeState.FELL_BACK, {"n": 1}, "down")


def test_a_refused_call_has_no_fallback() -> None:
    drive = Drive(graph(a=work(fallback=0))).start()
    drive.give(AgentFailed(drive.waiting[0].call, "refused", final=True, refused=True))
    assert drive.scheduler.root.errors() == {"a": "refused"}
