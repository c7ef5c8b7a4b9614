"""Tails of streams, which overlap, as pieces, which do not."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.monitoring.streams import StreamReader, StreamText, streamed
from perdure.monitoring.view import StreamPiece
from perdure.protocol.payloads import RunStatus, StreamTail

pytestmark = pytest.mark.anyio

CASES: dict[str, tuple[list[StreamTail], list[tuple[int, int, str]]]] = {
    "grows": (
        [StreamTail(1, 0, "ab"), StreamTail(1, 0, "abcd"), StreamTail(1, 0, "abcd")],
        [(1, 0, "ab"), (1, 2, "cd")],
    ),
    "moves on": ([StreamTail(1, 0, "abcd"), StreamTail(1, 2, "cdef")], [(1, 0, "abcd"), (1, 4, "ef")]),
    "something was missed": ([StreamTail(1, 0, "ab"), StreamTail(1, 5, "fg")], [(1, 0, "ab"), (1, 5, "fg")]),
    "what was missed comes later": (
        [StreamTail(1, 2, "cd"), StreamTail(2, 0, "abcd")],
        [(1, 2, "cd"), (2, 0, "abcd")],
    ),
    "a retry repeats": (
        [StreamTail(1, 0, "abc"), StreamTail(2, 0, "a"), StreamTail(2, 0, "abcd")],
        [(1, 0, "abc"), (2, 3, "d")],
    ),
    "a retry says something else": (
        [StreamTail(1, 0, "abcd"), StreamTail(2, 0, "ab"), StreamTail(2, 0, "abX"), StreamTail(2, 0, "abXY")],
        [(1, 0, "abcd"), (2, 2, "X"), (2, 3, "Y")],
    ),
    "an old attempt comes late": (
        [StreamTail(1, 0, "ab"), StreamTail(2, 0, "x"), StreamTail(1, 0, "abc")],
        [(1, 0, "ab"), (2, 0, "x")],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_tails_become_pieces(name: str) -> None:
    tails, pieces = CASES[name]
    text = StreamText()
    assert [piece for tail in tails for piece in text.add("n", tail)] == [
        StreamPiece("n", *piece) for piece in pieces
    ]


def test_a_retry_that_ends_earlier_takes_the_rest_back() -> None:
    text = StreamText()
    text.add("n", StreamTail(1, 0, "abcd"))
    assert text.add("n", StreamTail(2, 0, "ab")) == []
    assert text.add("n", StreamTail(2, 0, "ab"), is_over=True) == [StreamPiece("n", 2, 2, "")]


class Decoder:
    """Heartbeats are tails here."""

    async def decode(self, tails: Any, kinds: Any) -> Any:
        return tails


class Running:
    """What a server says of a run whose calls have these heartbeats."""

    def __init__(self, *, length: int = 0, closed: Any = None, **tails: StreamTail) -> None:
        self.raw = self.info = self
        self.history_length, self.closed = length, closed
        self.pending_activities = [Call(path, tail) for path, tail in tails.items()]


class Call:
    def __init__(self, path: str, tail: StreamTail) -> None:
        self.activity_id = path
        self.heartbeat_details = self
        self.payloads = [tail]


async def read(reader: StreamReader, **tails: StreamTail) -> list[StreamPiece]:
    return await reader.running(Running(**tails))


def reader(*, from_now: bool = False) -> StreamReader:
    return StreamReader(Decoder(), from_now)


FORMER = StreamTail(1, 0, "long ago", "former")


async def test_turns_that_had_ended_are_not_replayed() -> None:
    new = reader()
    assert await read(new, now=StreamTail(1, 0, "ab")) == [StreamPiece("now", 1, 0, "ab")]
    assert (await read(new), new.has_ended()) == ([], True)
    assert new.ended(None) == []  # no worker answers: they are read later
    status = RunStatus(streams=(FORMER, StreamTail(1, 0, "abcd", "now")))
    assert new.ended(status) == [StreamPiece("now", 1, 2, "cd")]
    assert (new.ended(status), new.has_ended()) == ([], False)
    next_turn = RunStatus(streams=(*status.streams, StreamTail(1, 0, "quick", "next")))
    assert new.ended(next_turn) == [StreamPiece("next", 1, 0, "quick")]


class Run:
    """A run in which these moments follow each other: what the server says of it, and it itself."""

    def __init__(self, *moments: tuple[Running, list[StreamTail]]) -> None:
        self.moments, self.asked = list(moments), 0

    async def describe(self) -> Any:
        return self.moments[0][0]

    async def status(self, console_from: int = 0) -> RunStatus:
        self.asked += 1
        return RunStatus(streams=tuple(self.moments.pop(0)[1]))


async def test_a_call_that_begins_and_ends_between_two_looks_is_not_missed() -> None:
    quick = StreamTail(1, 0, "quick", "quick")
    run = Run((Running(length=5), [FORMER]), (Running(length=9, closed=1), [FORMER, quick]))
    pieces = [piece async for piece in streamed(run, reader(), 0.0)]
    assert (pieces, run.asked) == ([StreamPiece("quick", 1, 0, "quick")], 2)


async def test_a_run_that_is_over_is_not_asked() -> None:
    run = Run((Running(length=5, closed=1), [FORMER]))
    assert ([piece async for piece in streamed(run, reader(), 0.0)], run.asked) == ([], 0)


async def test_from_now() -> None:
    new = reader(from_now=True)
    assert await read(new, now=StreamTail(1, 0, "ab")) == []
    assert await read(new, now=StreamTail(1, 0, "abc")) == [StreamPiece("now", 1, 2, "c")]


@pytest.mark.parametrize("offset", [-1, 64_000_001, 10**400])
def test_a_tail_where_no_stream_can_be_is_left_out(offset: int) -> None:
    text = StreamText("before", 1)
    assert text.add("a", StreamTail(1, offset, "piece")) == []
    assert text.text == "before"
