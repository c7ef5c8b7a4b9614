"""What agents stream, as pieces: each follows from the last, and none comes twice.

The server holds the end of each stream: in the heartbeat of a call that runs, and in the run's status for
calls that have ended. Such tails overlap, and a repeated attempt streams again what the attempt before it
had streamed. A reader therefore keeps the text that it has delivered of each call and delivers only what
differs: an attempt that repeats the text word by word adds nothing until it goes further, and one that
takes another turn replaces the text from there on. To deliver each attempt by itself would be simpler, and
would show people the same beginning twice.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from typing import Final, Protocol

from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter

from perdure.graph.sizes import MAX_VALUE_BYTES
from perdure.monitoring.descriptions import RunDescription
from perdure.monitoring.view import StreamPiece
from perdure.protocol.payloads import RunStatus, StreamTail

UNSEEN_CALLS_INTERVAL_S: Final = 1.0
"""Seconds between two looks for calls that began and ended between two looks at those that run."""

MISSED = "\0"
"""Stands for a character that no tail held."""


@dataclass(slots=True)
class StreamText:
    """What was delivered of the stream of one call."""

    text: str = ""
    attempt: int = 0

    def add(self, path: str, tail: StreamTail, *, is_over: bool = False) -> list[StreamPiece]:
        """The piece by which `tail` differs, if it does; it ends the stream where that `is_over`.

        A tail that begins where no stream can be is left out: what is missing before it takes memory.
        """
        if tail.attempt < self.attempt or not 0 <= tail.offset <= MAX_VALUE_BYTES:
            return []
        delivered = self.text[tail.offset : tail.offset + len(tail.text)]
        same = _same(delivered, tail.text)
        begin, end = tail.offset + same, tail.offset + len(tail.text)
        is_shorter = is_over and end < len(self.text)
        if same == len(tail.text) and not is_shorter:
            return []
        before = self.text[:begin].ljust(begin, MISSED)
        self.text, self.attempt = before + tail.text[same:], tail.attempt
        return [StreamPiece(path, tail.attempt, begin, tail.text[same:])]


@dataclass(slots=True)
class StreamReader:
    """Reads the streams of one run. What ended before the reader began is not read.

    With `from_now`, neither is what calls that run by then have streamed before.
    """

    converter: DataConverter
    from_now: bool = False
    _texts: dict[str, StreamText] = field(default_factory=dict[str, StreamText])
    _running: set[str] = field(default_factory=set[str])
    _ended: set[str] = field(default_factory=set[str])
    _over: set[str] = field(default_factory=set[str])
    _knows_former: bool = False
    _length: int = 0
    _read_length: int = -1

    async def running(self, description: RunDescription) -> list[StreamPiece]:
        """The new pieces of the calls that run."""
        pieces: list[StreamPiece] = []
        now: set[str] = set()
        for call in description.raw.pending_activities:
            now.add(call.activity_id)
            if call.heartbeat_details.payloads:
                tail = await self._tail(call.heartbeat_details.payloads)
                if tail is not None:
                    text = self._texts.setdefault(call.activity_id, StreamText())
                    pieces += text.add(call.activity_id, tail)
        self._ended |= self._running - now
        self._running = now
        self._length = description.info.history_length
        if self.from_now:
            self.from_now, pieces = False, []
        return pieces

    async def _tail(self, details: Sequence[Payload]) -> StreamTail | None:
        """The tail in the details of a heartbeat; None where a worker of others beats with something else."""
        with suppress(Exception):  # of a codec or a converter, which may raise anything
            values = await self.converter.decode(details[:1], [StreamTail])
            if isinstance(values[0], StreamTail):
                return values[0]
        return None

    def has_ended(self) -> bool:
        """Whether a call has ended whose last pieces were not read yet."""
        return bool(self._ended)

    def has_news(self) -> bool:
        """Whether something has happened since the last status: calls may have begun and ended unseen."""
        return self._length != self._read_length

    def ended(self, status: RunStatus | None) -> list[StreamPiece]:
        """The last pieces of the calls that have ended; without a status, they stay to be read."""
        if status is None:
            return []
        if not self._knows_former:
            self._knows_former = True
            self._over |= {tail.path for tail in status.streams} - self._ended - self._running
        self._read_length = self._length
        pieces: list[StreamPiece] = []
        for tail in status.streams:
            if tail.path not in self._over:
                pieces += self._texts.get(tail.path, StreamText()).add(tail.path, tail, is_over=True)
                self._over.add(tail.path)
        for path in self._ended:
            self._texts.pop(path, None)
        self._ended.clear()
        return pieces


class Streamed(Protocol):
    """A run whose streams are read."""

    async def describe(self) -> RunDescription:
        """What the server knows of it."""
        ...

    async def status(self, console_from: int = 0) -> RunStatus | None:
        """What it says itself."""
        ...


async def streamed(run: Streamed, reader: StreamReader, interval: float) -> AsyncIterator[StreamPiece]:
    """The pieces of all calls until the run ends; asks every `interval` seconds.

    The server lists the calls that run. Those that have ended are in the status of the run, which costs more,
    and so is asked for when one of them has, and at times when anything has happened.
    """
    asked = -inf
    while True:
        description = await run.describe()
        for piece in await reader.running(description):
            yield piece
        is_over = description.closed is not None
        is_due = asked > -inf if is_over else time.monotonic() - asked >= UNSEEN_CALLS_INTERVAL_S
        if reader.has_ended() or (is_due and reader.has_news()):
            asked = time.monotonic()
            for piece in reader.ended(await run.status(console_from=sys.maxsize)):
                yield piece
        if is_over:
            return
        await asyncio.sleep(interval)


def _same(left: str, right: str) -> int:
    """How many characters both begin with."""
    if left == right[: len(left)]:
        return len(left)
    return next(index for index, pair in enumerate(zip(left, right, strict=False)) if pair[0] != pair[1])
