"""What becomes of events: waited for, early, repeated, too many; and what time does to a wait."""

from __future__ import annotations

import json
from typing import Any

import pytest

from perdure.engine.inbox.events import MAX_BATCH_EVENT_COUNT, MAX_EVENT_BODY_BYTES, EventBatch, ExternalEvent
from perdure.engine.inbox.inbox import MAX_HELD_EVENT_COUNT, Inbox
from perdure.engine.inbox.seen_ids import SeenIds
from perdure.engine.inbox.topics import awaited_topics
from perdure.engine.messages import AgentCompleted, AgentFailed, RunAgent
from perdure.errors import TransientError, UsageError
from tests.support.drive import Drive


def call(number: int = 1, agent: str = "eventAgent", inputs: Any = None, **params: Any) -> RunAgent:
    timeout = {"timeout": params.pop("timeout")} if "timeout" in params else {}
    params = {"topic": "t", **params} if agent == "eventAgent" else params
    node = {"agent": agent, "params": params, "inputs": inputs or {}, **timeout}
    (command,) = Drive({"nodes": {"n": node}}).start().commands
    assert isinstance(command, RunAgent)
    command.call = number
    return command


def event(id: str, **more: Any) -> ExternalEvent:
    return ExternalEvent(**{"topic": "t", "id": id, "at": 5, "body": id, **more})


def batch(*ids: str, **more: Any) -> EventBatch:
    return EventBatch(events=tuple(event(id, **more) for id in ids))


def outcome(answer: Any) -> Any:
    """The bodies of the events of a wait that is over, and how it ended; or the failure."""
    if isinstance(answer, AgentFailed):
        return answer.message, answer.state
    result = answer.result
    return [row["body"] for row in result["events"]], result["how"]


def test_a_wait_collects_its_events() -> None:
    inbox = Inbox()
    assert inbox.open(call(count=2), 0).ended == []
    receipt, moves = inbox.take(batch("a"), 10)
    assert (receipt.taken, receipt.already, moves.ended) == (1, 0, [])
    _, moves = inbox.take(batch("b", "c"), 20)
    (answer,) = moves.ended
    assert isinstance(answer, AgentCompleted)
    assert answer.result == {
        "events": [event("a").shown(), event("b").shown()],
        "count": 2,
        "how": "count",
        "missing": [],
    }
    assert [outcome(answer) for answer in inbox.open(call(2), 30).ended] == [(["c"], "count")]


@pytest.mark.parametrize(
    ("node", "sent", "taken"),
    [
        ({}, {"key": "x"}, True),
        ({"inputs": {"key": "x"}}, {"key": "x"}, True),
        ({"inputs": {"key": 3}}, {"key": "3"}, True),
        ({"inputs": {"key": "x"}}, {"key": "y"}, False),
        ({"key": "x"}, {"key": "y"}, False),
        ({}, {"topic": "other"}, False),
        ({"inputs": {"from": "s"}}, {"sender": "s"}, True),
        ({"inputs": {"from": [{"run": "s"}, {"id": "r"}]}}, {"sender": "r"}, True),
        ({"inputs": {"from": ["s"]}}, {"sender": "r"}, False),
    ],
)
def test_which_events_a_wait_takes(node: Any, sent: Any, taken: bool) -> None:
    inbox = Inbox()
    inbox.open(call(**node), 0)
    _, moves = inbox.take(batch("a", **sent), 10)
    assert bool(moves.ended) is taken
    assert inbox.held_count == (0 if taken else 1)


def test_an_event_counts_once() -> None:
    inbox = Inbox()
    assert inbox.take(batch("a", "a"), 0)[0].already == 1
    receipt, moves = inbox.take(batch("a", "b"), 0)
    assert (receipt.taken, receipt.already, moves.ended) == (1, 1, [])
    assert inbox.take(batch("a", sender="another"), 0)[0].taken == 1  # an id is one of its sender


def test_early_events_keep_their_order() -> None:
    inbox = Inbox()
    inbox.take(batch("a", "b", "c"), 0)
    ended = [*inbox.open(call(1, count=2), 1).ended, *inbox.open(call(2), 1).ended]
    assert list(map(outcome, ended)) == [(["a", "b"], "count"), (["c"], "count")]


def test_time_ends_a_wait() -> None:
    inbox = Inbox()
    inbox.open(call(1, count=9, within="1s"), 0)
    assert inbox.next_due(1) == float("inf")
    assert [*inbox.take(batch("a"), 100)[1].changed] == [1]
    assert inbox.take(batch("b"), 200)[1].ended == []
    assert inbox.next_due(1) == 1_100
    assert inbox.fire(1, 1_099).ended == []
    assert list(map(outcome, inbox.fire(1, 1_100).ended)) == [(["a", "b"], "within")]
    inbox.open(call(2, deadline=50), 0)
    assert list(map(outcome, inbox.fire(2, 50).ended)) == [([], "deadline")]


def test_early_events_count_from_their_arrival() -> None:
    inbox = Inbox()
    inbox.take(batch("a"), 0)
    assert list(map(outcome, inbox.open(call(count=9, within="1s"), 5_000).ended)) == [(["a"], "within")]


def test_what_a_wait_had_is_not_lost() -> None:
    inbox = Inbox()
    inbox.open(call(1, count=2, timeout=10), 0)
    inbox.take(batch("a"), 1)
    assert list(map(outcome, inbox.fire(1, 10).ended)) == [("Timeout", "timed-out")]
    inbox.open(call(2, count=3), 20)
    inbox.close(2, 30)
    assert list(map(outcome, inbox.open(call(3), 40).ended)) == [(["a"], "count")]


def test_what_an_abandoned_wait_had_is_for_the_next_that_is_open() -> None:
    inbox = Inbox()
    inbox.open(call(1, count=2), 0)
    inbox.open(call(2), 0)
    inbox.take(batch("a"), 1)
    assert list(map(outcome, inbox.close(1, 2).ended)) == [(["a"], "count")]


def test_one_of_each_sender() -> None:
    inbox = Inbox()
    inbox.open(call(inputs={"from": ["a", "b"]}, count="all", deadline=100), 0)
    inbox.take(EventBatch(events=(event("1", sender="a"), event("2", sender="a"))), 1)
    (answer,) = inbox.fire(1, 100).ended
    assert isinstance(answer, AgentCompleted)
    assert (answer.result["count"], answer.result["missing"], inbox.held_count) == (1, ["b"], 1)
    assert [outcome(each) for each in inbox.open(call(2, inputs={"from": []}, count="all"), 0).ended] == [
        ([], "count")
    ]


@pytest.mark.parametrize(
    ("params", "due"),
    [
        ({"for": "2s"}, 2_500),
        ({"for": 100}, 600),
        ({"until": 700}, 700),
        ({"until": "1970-01-01T00:00:03Z"}, 3_000),
        ({"for": "1h", "timeout": 50}, 550),
    ],
)
def test_a_time(params: Any, due: float) -> None:
    inbox = Inbox()
    inbox.open(call(agent="waitAgent", **params), 500)
    assert inbox.next_due(1) == due
    (answer,) = inbox.fire(1, due).ended
    assert answer == (
        AgentFailed(1, "Timeout", "timed-out") if "timeout" in params else AgentCompleted(1, {"at": due})
    )


def test_a_time_that_has_passed() -> None:
    assert Inbox().open(call(agent="waitAgent", until=10), 500).ended == [AgentCompleted(1, {"at": 500})]


@pytest.mark.parametrize(
    ("agent", "params", "message"),
    [
        ("eventAgent", {"topic": ""}, "waits for the events of a topic"),
        ("eventAgent", {"count": 0}, "count is a number of events"),
        ("eventAgent", {"count": 2_001}, "count is a number of events"),
        ("eventAgent", {"count": "all"}, "there is no list of senders"),
        ("eventAgent", {"within": "soon"}, "within is a time"),
        ("eventAgent", {"other": 1}, "no parameter 'other'"),
        ("waitAgent", {}, "waits for a time, or until a time"),
        ("waitAgent", {"for": "1s", "until": 1}, "waits for a time, or until a time"),
        ("waitAgent", {"for": "3654d"}, "at most ten years"),
        ("waitAgent", {"until": "2031-05-01"}, "until is a point in time"),
    ],
)
def test_wrong_params(agent: str, params: Any, message: str) -> None:
    (answer,) = Inbox().open(call(agent=agent, **params), 0).ended
    assert isinstance(answer, AgentFailed)
    assert message in answer.message
    assert answer.final


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (EventBatch(events=()), "a batch has 1 to 500 events"),
        (batch(*map(str, range(MAX_BATCH_EVENT_COUNT + 1))), "a batch has 1 to 500 events"),
        (batch(""), "has a topic and an id"),
        (batch("x", topic=""), "has a topic and an id"),
        (batch("x" * 201), "the id of an event is a string of at most 200"),
        (batch("x", key=3), "the key of an event is a string"),
        (batch("x", at="now"), "is not a number of milliseconds"),
        (batch("x", at=-1), "is not a number of milliseconds"),
        (batch("x", body="y" * (MAX_EVENT_BODY_BYTES + 1)), "more than 64,000 bytes"),
        (batch("x", topic="u"), "no node of the run waits for topic 'u'; topics: t"),
    ],
)
def test_refused(sent: EventBatch, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Inbox().check(sent, ["t"])


def test_a_full_inbox_takes_nothing_and_loses_nothing() -> None:
    inbox = Inbox()
    for start in range(0, MAX_HELD_EVENT_COUNT, MAX_BATCH_EVENT_COUNT):
        inbox.take(batch(*map(str, range(start, start + MAX_BATCH_EVENT_COUNT)), body=0), 0)
    with pytest.raises(TransientError, match="send them again later"):
        inbox.check(batch("0", "new"), None)
    inbox.check(batch("0", "1"), None)  # it has these
    inbox.open(call(count=1), 0)
    inbox.check(batch("0", "new"), None)
    large = Inbox()
    large.take(batch(*map(str, range(500_000 // 60_100)), body="x" * 60_000), 0)
    with pytest.raises(TransientError):
        large.check(batch("new", body="x" * 60_000), None)


def test_ids_are_remembered_for_a_while() -> None:
    seen = SeenIds()
    for number in range(10_001):
        assert seen.add(event(str(number)))
    assert [seen.has(event(str(number))) for number in (0, 1, 10_000)] == [False, True, True]


def test_a_run_that_continues_has_all_of_it() -> None:
    inbox = Inbox()
    inbox.open(call(1, count=3, within="1s"), 0)
    inbox.open(call(2, agent="waitAgent", **{"for": "1m"}), 100)
    inbox.take(batch("a"), 50)
    inbox.take(batch("b", topic="u"), 60)
    state = json.loads(json.dumps(inbox.state()))
    later = Inbox()
    later.resume(state)
    later.open(call(1, count=3, within="1s"), 900)
    later.open(call(2, agent="waitAgent", **{"for": "1m"}), 900)
    assert (later.next_due(1), later.next_due(2)) == (1_050, 60_100)
    assert later.state() == state
    assert later.take(batch("a", "b"), 1_000)[0].already == 2
    assert Inbox().state() == {}


@pytest.mark.parametrize(
    ("nodes", "topics"),
    [
        ({"a": {"agent": "copyAgent"}}, set()),
        ({"a": {"agent": "eventAgent", "params": {"topic": "t"}}}, {"t"}),
        (
            {
                "m": {
                    "agent": "mapAgent",
                    "graph": {"nodes": {"a": {"agent": "eventAgent", "params": {"topic": "t"}}}},
                }
            },
            {"t"},
        ),
        ({"a": {"agent": "eventAgent", "params": {"topic": ":x"}}}, None),
        ({"a": {"agent": "eventAgent", "inputs": {"topic": "x"}}}, None),
        ({"a": {"agent": ":x"}}, None),
        ({"a": {"agent": "nestedAgent", "graph": ":x"}}, None),
    ],
)
def test_topics_of_a_graph(nodes: Any, topics: Any) -> None:
    assert awaited_topics({"nodes": nodes}) == topics
