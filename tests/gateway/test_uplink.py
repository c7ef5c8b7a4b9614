"""What a device sends to its hub, again where it has to, and what it makes of the hub's answers."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest

from perdure.engine.inbox.events import ExternalEvent
from perdure.errors import ConnectionFailed
from perdure.gateway.uplink import MAX_UPLINK_BATCH_BYTES, Uplink
from perdure.storage.outbox import Outbox
from tests.support.servers import Answer, Seen, Server, json_answer, serve
from tests.support.waiting import until

pytestmark = [pytest.mark.unit, pytest.mark.anyio]


def outbox(folder: Path, *events: ExternalEvent) -> Outbox:
    box = Outbox(folder / "outbox.db", 10_000_000)
    for event in events:
        box.put(event)
    (folder / "token").write_text("t0ken\n")
    return box


def event(id: str, key: str = "", body: Any = None) -> ExternalEvent:
    return ExternalEvent(topic="t", id=id, key=key, at=7, body=body)


def uplink(box: Outbox, server: Server) -> Uplink:
    return Uplink(box, server.url, box.file.with_name("token"), "store-7")


async def sent_round(box: Outbox, respond: Callable[[Seen], Answer]) -> tuple[bool, list[list[str]]]:
    """What a round said, and the ids of each request."""
    with serve(respond) as server:
        async with httpx2.AsyncClient(timeout=60) as client:
            held_up = await uplink(box, server).round(client)
    return held_up, [[row["id"] for row in seen.json["events"]] for seen in server.seen]


def taking(seen: Seen) -> Answer:
    return json_answer({"taken": len(seen.json["events"]), "refused": []})


async def test_what_a_request_says(tmp_path: Path) -> None:
    box = outbox(tmp_path, event("a", "k", {"n": 1}))
    with serve(taking) as server:
        async with httpx2.AsyncClient(timeout=60) as client:
            assert not await uplink(box, server).round(client)
    (seen,) = server.seen
    row = {"topic": "t", "key": "k", "id": "a", "body": {"n": 1}, "from": "store-7", "at": 7}
    assert (seen.path, seen.json, seen.headers["authorization"]) == (
        "/events",
        {"events": [row]},
        "Bearer t0ken",
    )
    assert (box.status().sent, box.status().waiting) == (1, 0)


async def test_what_the_hub_cannot_take_now_waits_and_holds_up_no_others(tmp_path: Path) -> None:
    full = [event(f"full-{n}", "full") for n in range(501)]
    box = outbox(tmp_path, *full, event("other", "other"))

    def respond(seen: Seen) -> Answer:
        rows = seen.json["events"]
        again = [{"index": n, "error": "again"} for n, row in enumerate(rows) if row["key"] == "full"]
        return json_answer({"taken": len(rows) - len(again), "refused": again}, 503 if again else 200)

    held_up, requests = await sent_round(box, respond)
    assert (held_up, [len(ids) for ids in requests], requests[1]) == (True, [500, 1], ["other"])
    assert (box.status().waiting, box.status().sent) == (501, 1)
    assert await sent_round(box, taking) == (False, [[one.id for one in full[:500]], ["full-500"]])


async def test_a_request_has_a_bound_in_bytes(tmp_path: Path) -> None:
    box = outbox(tmp_path, *(event(str(n), body="x" * 59_896) for n in range(8)))  # 60,000 bytes each
    _, requests = await sent_round(box, taking)
    assert [len(ids) for ids in requests] == [MAX_UPLINK_BATCH_BYTES // 60_000, 3] == [5, 3]


NO_ANSWERS = {
    "another page": (Answer(body=b"<html>"), "its answer is not JSON"),
    "a wrong token": (json_answer({"error": {"finding": "no token"}}, 401), "answers 401: no token"),
    "a proxy": (json_answer({}, 502), "answers 502: no gateway of Perdure"),
    "another service": (json_answer({"ok": True}), "does not say what it has"),
    "too few": (json_answer({"taken": 0, "refused": []}), "does not say what it has"),
    "another one": (
        json_answer({"taken": 0, "refused": [{"index": 5, "error": "no"}]}),
        "does not say what it has",
    ),
}


@pytest.mark.parametrize("name", NO_ANSWERS)
async def test_what_is_no_answer_of_a_gateway_leaves_all_that_waits(tmp_path: Path, name: str) -> None:
    answer, words = NO_ANSWERS[name]
    box = outbox(tmp_path, event("a"))
    with pytest.raises(ConnectionFailed, match=words):
        await sent_round(box, lambda seen: answer)
    assert box.status().waiting == 1


async def test_it_sends_as_soon_as_the_hub_answers(tmp_path: Path) -> None:
    box = outbox(tmp_path, event("a"))
    answers = [json_answer({}, 500)]

    async def is_there(count: int) -> bool:
        return box.status().sent == count

    with serve(lambda seen: answers.pop() if answers else taking(seen)) as server:
        sending = asyncio.create_task(uplink(box, server).run())
        await until(lambda: is_there(1), "the hub has the event")
        box.put(event("b"))
        await until(lambda: is_there(2), "the hub has the next event")
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    status = box.status()
    assert (status.hub, status.why) == (server.url, "")
    assert status.failed is not None
    assert status.reached is not None
    assert status.reached >= status.failed


def refusing(status: int, json: bool = True) -> Callable[[Seen], Answer]:
    """A hub that cannot read an event called "odd", and so none of its request."""

    def respond(seen: Seen) -> Answer:
        if all(row["id"] != "odd" for row in seen.json["events"]):
            return taking(seen)
        return (
            json_answer({"error": {"finding": "too deep"}}, status)
            if json
            else Answer(status=status, body=b"<html>")
        )

    return respond


@pytest.mark.parametrize(("status", "json"), [(400, True), (413, True), (413, False)])
async def test_an_event_that_the_hub_cannot_read_holds_up_no_others(
    tmp_path: Path, status: int, json: bool
) -> None:
    box = outbox(tmp_path, event("a"), event("odd"), event("b"), event("c"))
    held_up, requests = await sent_round(box, refusing(status, json))
    assert (held_up, [ids for ids in requests if "odd" not in ids]) == (False, [["a"], ["b", "c"]])
    why = "too deep" if json else "no gateway of Perdure"
    assert (box.status().sent, box.status().waiting, box.status().refusals) == (3, 0, (f"t odd: {why}",))


async def test_an_event_that_the_hub_fails_over_waits_and_holds_up_no_others(tmp_path: Path) -> None:
    box = outbox(tmp_path, event("a"), event("odd", "k"), event("b"), event("after", "k"))
    held_up, _ = await sent_round(box, refusing(500, json=False))
    assert (held_up, [row.event.id for row in box.waiting(0, 9, 9_999)]) == (True, ["odd", "after"])
    assert (box.status().sent, box.status().refused) == (2, 0)


async def test_half_a_pair_is_sent_as_an_escape(tmp_path: Path) -> None:
    box = outbox(tmp_path, event("a", body="x"))
    with closing(sqlite3.connect(box.file)) as base, base:
        base.execute("UPDATE events SET body = ?", ('"\\ud800"',))  # as an earlier version has put it
    assert await sent_round(box, taking) == (False, [["a"]])
