"""What an outbox keeps, once, in order, within its limit, and what becomes of what leaves it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from perdure.engine.inbox.events import ExternalEvent
from perdure.errors import RunFailed, TransientError, UsageError
from perdure.settings import Settings
from perdure.storage.outbox import OUTBOX_ID_COUNT, REFUSED_EVENT_COUNT, Outbox
from perdure.testing import MemoryEnvironment, memory_shell


def event(id: str, body: Any = None, **more: Any) -> ExternalEvent:
    return ExternalEvent(topic="t", id=id, body=body, at=5, **more)


def outbox(folder: Path, full: str = "wait", limit_bytes: int = 1_000) -> Outbox:
    return Outbox(folder / "outbox.db", limit_bytes, full)


def ids(box: Outbox, after: int = 0, most: int = 100, most_bytes: int = 100_000) -> list[str]:
    return [row.event.id for row in box.waiting(after, most, most_bytes)]


def numbers(box: Outbox) -> list[int]:
    return [row.number for row in box.waiting(0, 100, 100_000)]


def counts(box: Outbox) -> tuple[int, int, int, int, int]:
    status = box.status()
    return status.waiting, status.waiting_bytes, status.sent, status.refused, status.dropped


def test_events_come_out_as_they_went_in_in_their_order(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    events = [event("b", {"x": [1, None, "é"]}, key="k"), event("a", "y"), event("c")]
    assert [box.put(one) for one in events] == ["kept"] * 3
    assert [row.event for row in outbox(tmp_path).waiting(0, 100, 100_000)] == events
    assert ids(box, most=2) == ["b", "a"]
    assert ids(box, after=numbers(box)[0]) == ["a", "c"]
    assert (ids(box, most_bytes=1), ids(box, most_bytes=220)) == (["b"], ["b"])


def test_an_event_is_kept_once_also_after_it_was_sent(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    assert [box.put(event("a")), box.put(event("a", "other"))] == ["kept", "already"]
    box.settle(numbers(box), [])
    assert (box.put(event("a")), counts(box)) == ("already", (0, 0, 1, 0, 0))


def test_an_event_without_a_time_happened_when_it_was_put(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    box.put(replace(event("a"), at=0))
    assert box.waiting(0, 1, 1)[0].event.at > 1.7e12


SIZE = 106
"""Bytes of an event whose body is null, with a topic and an id of one character each."""


@pytest.mark.parametrize(
    ("full", "outcome", "left", "dropped"),
    [("oldest", "kept", ["b", "c", "d"], 1), ("newest", "dropped", ["a", "b", "c"], 1)],
)
def test_a_full_outbox_drops_what_the_setting_says(
    tmp_path: Path, full: str, outcome: str, left: list[str], dropped: int
) -> None:
    box = outbox(tmp_path, full, 3 * SIZE)
    for id in "abc":
        box.put(event(id))
    assert box.put(event("d")) == outcome
    assert (ids(box), counts(box)) == (left, (3, 3 * SIZE, 0, 0, dropped))


def test_a_full_outbox_waits_by_default(tmp_path: Path) -> None:
    box = outbox(tmp_path, "wait", SIZE)
    box.put(event("a"))
    with pytest.raises(TransientError, match="the outbox is full: 106 of 106 bytes wait for the hub"):
        box.put(event("b"))
    box.settle(numbers(box), [])
    assert box.put(event("b")) == "kept"


@pytest.mark.parametrize("full", ["wait", "oldest", "newest"])
def test_what_is_larger_than_the_outbox_is_refused_and_drops_nothing(tmp_path: Path, full: str) -> None:
    box = outbox(tmp_path, full, 2 * SIZE)
    box.put(event("a"))
    with pytest.raises(UsageError, match="event 'b' has 316 bytes: more than the whole outbox may"):
        box.put(event("b", "x" * SIZE * 2))
    assert (ids(box), counts(box)[4]) == (["a"], 0)


def test_bytes_are_those_of_utf_8_and_names_count(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    box.put(ExternalEvent(topic="topic", id="öl", key="né", body="日本"))
    assert counts(box)[1] == 100 + 5 + 3 + 3 + 8


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


ODD = {
    "deep": (event("a", nested(62)), "more than 64 lists and objects inside each other"),
    "very deep": (event("a", nested(5_000)), ""),
    "half a pair": (event("a", "\ud800"), r"U\+D800, which is not a character"),
    "half a pair as a key": (event("a", key="\ud800"), r"U\+D800, which is not a character"),
    "no number": (event("a", float("inf")), "JSON compliant"),
}


@pytest.mark.parametrize("name", ODD)
def test_what_the_hub_could_not_read_is_refused(tmp_path: Path, name: str) -> None:
    odd, why = ODD[name]
    with pytest.raises(UsageError, match=f"the hub could not read event 'a': .*{why}"):
        outbox(tmp_path).put(odd)
    assert outbox(tmp_path).put(event("a", nested(61))) == "kept"


def test_what_was_dropped_is_forgotten_while_the_hub_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perdure.storage.outbox.OUTBOX_ID_COUNT", 5)
    box = outbox(tmp_path, "oldest", 3 * SIZE)
    for id in "abcdefghijklmnopqrst":
        box.put(event(id))
    assert (kept(box, "1"), ids(box), counts(box)[4]) == (8, ["r", "s", "t"], 17)


def test_what_was_refused_waits_again_when_it_is_asked_for(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    for id in "abc":
        box.put(event(id, {"n": id}))
    first, second, third = numbers(box)
    box.settle([second], [(first, "no route fits"), (third, "has ended")])
    status = box.status()
    assert (counts(box)[2:], status.refusals) == ((1, 2, 0), ("t c: has ended", "t a: no route fits"))
    assert (box.again(), ids(box), counts(box)[3]) == (2, ["a", "c"], 0)
    assert [row.event.body for row in box.waiting(0, 9, 9_999)] == [{"n": "a"}, {"n": "c"}]


def made(box: Outbox, count: int) -> None:
    """Puts many events at once."""
    box.status()
    rows = [(f"e{n}", "waiting", "t", "", 1.0, '"x"', 103, 1.0) for n in range(count)]
    with closing(sqlite3.connect(box.file)) as base, base:
        names = "id, state, topic, key, at, body, bytes, since"
        base.executemany(f"INSERT INTO events ({names}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)


def kept(box: Outbox, where: str) -> int:
    with closing(sqlite3.connect(box.file)) as base:
        return base.execute(f"SELECT count(*) FROM events WHERE {where}").fetchone()[0]


def test_what_is_kept_of_the_past_is_bounded(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    made(box, 10_003)
    first, *others = [row.number for row in box.waiting(0, 20_000, 10_000_000)]
    box.settle([], [(number, "no") for number in others[-1_002:]])
    box.settle([first, *others[:-1_002]], [])
    assert kept(box, "1") == OUTBOX_ID_COUNT == 10_000
    assert kept(box, "state = 'refused' AND body <> ''") == REFUSED_EVENT_COUNT == 1_000


def test_a_file_that_is_none_is_a_failure_for_now(tmp_path: Path) -> None:
    (tmp_path / "outbox.db").write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(TransientError, match="cannot be used"):
        outbox(tmp_path).put(event("a"))


def test_how_the_hub_is(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    assert (box.status().hub, box.status().reached) == ("", None)
    box.note("http://hub", "")
    reached = box.status().reached
    box.note("http://hub", "away")
    status = box.status()
    assert (status.hub, status.reached, status.why) == ("http://hub", reached, "away")
    assert status.failed is not None


@pytest.mark.anyio
async def test_the_agent_in_memory(tmp_path: Path) -> None:
    node = {"agent": "outboxAgent", "inputs": {"body": {"n": 1}}, "params": {"topic": "stores/7"}}
    nodes = {
        "a": node,
        "b": {**node, "inputs": {"key": 3, "at": 7, "body": [":a.state"]}},
        "none": {"agent": "outboxAgent"},
    }
    settings = Settings(home=tmp_path)
    deep = {"deep": {**node, "inputs": {"body": nested(62)}}}
    with pytest.raises(RunFailed, match="outboxAgent: the hub could not read event"):
        await memory_shell({"nodes": deep}, environment=MemoryEnvironment(settings=settings)).run()
    with pytest.raises(RunFailed, match="an event has a topic and an id"):
        await memory_shell({"nodes": nodes}, environment=MemoryEnvironment(settings=settings)).run()
    first, second = (row.event for row in Outbox.of(settings).waiting(0, 9, 9_999))
    assert (first.topic, first.key, first.body) == ("stores/7", "", {"n": 1})
    assert (second.key, second.at, second.body) == ("3", 7, ["kept"])


def test_a_word_that_says_nothing() -> None:
    with pytest.raises(UsageError, match="PERDURE_OUTBOX_FULL: 'drop' is none of wait, oldest, newest"):
        Settings.from_env({"PERDURE_OUTBOX_FULL": "drop"})
