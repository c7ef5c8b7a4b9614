"""Calls that are made a second time when they take long."""

from typing import Any

from perdure.engine.messages import AgentCompleted, AgentFailed, CancelCall, RunAgent, StartTimer, TimerFired
from perdure.engine.snapshot import restore, snapshot
from tests.support.drive import Drive, graph, work


def hedged(**keys: Any) -> Drive:
    """A run whose only call has been made a second time."""
    drive = Drive(graph(q={"value": "there"}, a=work(hedge={"after": 500, "queue": ":q"}, **keys))).start()
    first, timer = drive.waiting
    assert isinstance(first, RunAgent)
    assert isinstance(timer, StartTimer)
    assert timer.milliseconds == 500
    return drive.give(TimerFired(timer.call))


def test_the_second_call_is_the_same_work_elsewhere() -> None:
    first, second = (command for command in hedged(inputs={"x": 1}).waiting if isinstance(command, RunAgent))
    assert (second.path, second.options.queue) == ("a~2", "there")
    assert (second.key, second.inputs, second.retry) == (first.key, first.inputs, first.retry)


def test_the_first_answer_counts_and_the_other_call_is_cancelled() -> None:
    for winner, loser in ((1, 3), (3, 1)):
        drive = hedged().give(AgentCompleted(winner, winner))
        assert drive.finish is not None
        assert drive.finish.all["a"] == winner
        assert CancelCall(loser) in drive.commands


def test_a_failure_counts_when_both_calls_have_failed() -> None:
    drive = hedged().give(AgentFailed(1, "first"))
    assert drive.finish is None
    drive.give(AgentFailed(3, "second"))
    assert drive.finish is not None
    assert drive.finish.failure == "second"
    assert hedged().give(AgentFailed(3, "second")).give(AgentCompleted(1, "slow")).finish is not None


def test_an_answer_in_time_needs_no_second_call() -> None:
    drive = Drive(graph(a=work(hedge={"after": 500}))).start().give(AgentCompleted(1, "soon"))
    assert drive.commands[-2:-1] == [CancelCall(2)]
    assert drive.paths == ["a"]


def test_each_attempt_has_its_own() -> None:
    drive = Drive(graph(a=work(hedge={"after": 500}, retry=1))).start()
    drive.give(AgentFailed(1, "down"))
    timer = next(command for command in drive.waiting if isinstance(command, StartTimer))
    assert drive.give(TimerFired(timer.call)).paths == ["a", "a#1", "a#1~2"]


def test_a_deadline_ends_both() -> None:
    drive = Drive(graph(a=work(hedge={"after": 5}, deadline=50))).start()
    timers = [command for command in drive.waiting if isinstance(command, StartTimer)]
    by_time = {timer.milliseconds: timer.call for timer in timers}
    drive.give(TimerFired(by_time[5])).give(TimerFired(by_time[50]))
    assert drive.finish is not None
    assert drive.waiting == []


def test_a_snapshot_keeps_both_calls() -> None:
    drive = hedged()
    copy, again = restore(snapshot(drive.scheduler))
    assert [command.path for command in again if isinstance(command, RunAgent)] == ["a", "a~2"]
    assert [command.options.queue for command in again if isinstance(command, RunAgent)] == [None, "there"]
    copy.handle(AgentCompleted(3, "fast"), 0)
    assert copy.root.result("a") == "fast"
