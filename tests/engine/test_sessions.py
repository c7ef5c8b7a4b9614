"""Sessions: which call is sent, what it brings along, what follows from its answer."""

from __future__ import annotations

import pytest

from perdure.engine.messages import AgentCompleted, AgentFailed, RunAgent, SessionOptions
from perdure.engine.placing.sessions import Sessions
from perdure.engine.snapshot import restore, snapshot
from perdure.errors import MalformedPayload
from tests.support.drive import Drive, graph, work

HOLDER = "perdure.session.a"


def calls(count: int, **keys: object) -> list[RunAgent]:
    """The calls of nodes that are in one session."""
    nodes = {f"n{number}": work(session={"id": 7, **keys}, inputs={"n": number}) for number in range(count)}
    return [command for command in Drive(graph(**nodes)).start().commands if isinstance(command, RunAgent)]


def answer(sessions: Sessions, command: RunAgent, *answer: object) -> list[RunAgent]:
    """The calls that may be sent after an answer."""
    result = sessions.answered(command, [*answer])
    sessions.over(AgentCompleted(command.call, result))
    return sessions.take_ready()


def test_the_id_comes_from_data() -> None:
    drive = Drive(graph(row={"value": {"id": "a"}}, n=work(session=":row.id"))).start()
    _, commands = restore(snapshot(drive.scheduler), drive.scheduler.rules.options)
    for command in (drive.waiting[0], commands[0]):
        assert isinstance(command, RunAgent)
        assert command.options.session == SessionOptions(id="a")


@pytest.mark.parametrize("id", [None, "", [1], "x" * 201, True])
def test_what_is_no_id_fails_its_node(id: object) -> None:
    drive = Drive(graph(row={"value": {"id": id}}, n=work(session=":row.id"))).start()
    assert drive.finish is not None
    assert "is not the id of a session" in (drive.finish.failure or "")


def test_calls_are_sent_in_order_and_only_the_first_brings_a_state() -> None:
    sessions = Sessions()
    first, second, third = calls(3, checkpoint=2)
    assert [sessions.admits(command) for command in (first, second, third)] == [True, False, False]
    assert sessions.ticket(first) == {"id": "7", "count": 0, "every": 2, "resume": {"calls": []}}
    assert sessions.holder(first, "q") == ""
    assert answer(sessions, first, "one", HOLDER) == [second]
    assert sessions.ticket(second) == {"id": "7", "count": 1, "every": 2}
    assert sessions.holder(second, "q") == HOLDER
    assert answer(sessions, second, "two", HOLDER, {"state": 2}) == [third]


def test_a_lost_worker_is_replaced_with_the_checkpoint_and_the_calls_since() -> None:
    sessions = Sessions()
    first, second, third = calls(3, checkpoint=2)
    for command in (first, second, third):
        sessions.admits(command)
    answer(sessions, first, "one", HOLDER, "saved")
    answer(sessions, second, "two", HOLDER)
    assert sessions.lost(third) is None
    again = {"calls": [[second.inputs, second.params, second.key, 0]], "checkpoint": "saved"}
    assert sessions.ticket(third) == {"id": "7", "count": 2, "every": 2, "resume": again}


def test_calls_go_to_the_queue_of_the_run_until_one_misses_the_holder() -> None:
    sessions = Sessions("q")
    first, second, third = calls(3)
    for command in (first, second, third):
        sessions.admits(command)
    assert sessions.holder(first, "q") == ""
    answer(sessions, first, "one", HOLDER)
    assert sessions.holder(second, "q") == ""
    assert "resume" not in (sessions.ticket(second) or {})
    assert sessions.lost(second) is None  # it has reached another worker
    assert sessions.holder(second, "q") == HOLDER
    assert sessions.lost(second) is None
    assert sessions.holder(second, "q") == ""
    assert "resume" in (sessions.ticket(second) or {})
    answer(sessions, second, "two", "perdure.session.b")
    assert sessions.holder(third, "q") == ""
    assert sessions.holder(third, "of-the-node") == "perdure.session.b"


def test_a_call_that_fails_leaves_no_trace() -> None:
    sessions = Sessions()
    first, second = calls(2)
    sessions.admits(first)
    answer(sessions, first, "one", HOLDER, 1)
    sessions.admits(second)
    sessions.over(AgentFailed(second.call, "broken"))
    assert sessions.ticket(second) == {
        "id": "7",
        "count": 1,
        "every": 1,
        "resume": {"calls": [], "checkpoint": 1},
    }


def test_a_call_that_loses_every_worker_fails() -> None:
    sessions = Sessions()
    (call,) = calls(1)
    sessions.admits(call)
    losses = [sessions.lost(call) for _ in range(5)]
    assert losses[:-1] == [None] * 4
    assert losses[-1] == AgentFailed(call.call, "SessionLost: session '7' has lost its worker 5 times")


def test_abandoned_calls_make_room() -> None:
    sessions = Sessions()
    first, second, third = calls(3)
    for command in (first, second, third):
        sessions.admits(command)
    sessions.drop(second.call)
    sessions.drop(first.call)
    assert sessions.take_ready() == [third]
    assert sessions.answered(first, ["late", HOLDER]) == "late"
    assert sessions.ticket(third) == {"id": "7", "count": 0, "every": 1, "resume": {"calls": []}}


def test_a_lossy_session_keeps_nothing() -> None:
    sessions = Sessions()
    first, second = calls(2, lossy=True)
    sessions.admits(first)
    answer(sessions, first, "one", HOLDER)
    sessions.admits(second)
    sessions.lost(second)
    assert sessions.ticket(second) == {
        "id": "7", "count": 1, "every": 1, "lossy": True, "resume": {"calls": []}
    }  # fmt: skip


def test_a_run_that_continues_knows_its_sessions() -> None:
    sessions, later = Sessions(), Sessions()
    assert sessions.state() == {}
    (call,) = calls(1, checkpoint=3)
    sessions.admits(call)
    answer(sessions, call, "one", HOLDER)
    later.resume(sessions.state())
    later.admits(call)
    assert later.ticket(call) == {"id": "7", "count": 1, "every": 3}
    assert later.holder(call, "q") == HOLDER
    later.lost(call)
    assert later.ticket(call) == sessions.ticket(call) | {
        "resume": {"calls": [[call.inputs, call.params, call.key, 0]]}
    }


@pytest.mark.parametrize("strange", ["result", [1], [1, "another-queue"], [1, 2], [1, HOLDER, 3, 4]])
def test_answers_of_workers_that_know_no_sessions_are_refused(strange: object) -> None:
    sessions = Sessions()
    (call,) = calls(1)
    sessions.admits(call)
    with pytest.raises(MalformedPayload):
        sessions.answered(call, strange)
