"""What agents stream, as pieces: each follows from the last, and none comes twice.

The server holds the end of each stream: in the heartbeat of a call that runs, and in the run's status for
calls that have ended. Such tails overlap, and a repeated attempt streams again what the attempt before it
had streamed. A reader therefore keeps the text that it has delivered of each call and delivers only what
differs: an attempt that repeats the text word by word adds nothing until it goes further, and one that
takes another turn replaces the text from there on. To deliver each attempt by itself would be simpler, and
would show people the same beginning twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter

from perdure.graph.sizes import MAX_VALUE_BYTES
from perdure.monitoring.descriptions import RunDescription
from perdure.monitoring.view import StreamPiece
from perdure.protocol.payloads import RunStatus, StreamTail

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

    def ended(self, status: RunStatus | None) -> list[StreamPiece]:
        """The last pieces of the calls that have ended; without a status, they stay to be read."""
        if status is None:
            return []
        if not self._knows_former:
            self._knows_former = True
            self._over |= {tail.path for tail in status.streams} - self._ended
        pieces: list[StreamPiece] = []
        for tail in status.streams:
            if tail.path not in self._over:
                pieces += self._texts.get(tail.path, StreamText()).add(tail.path, tail, is_over=True)
                self._over.add(tail.path)
        for path in self._ended:
            self._texts.pop(path, None)
        self._ended.clear()
        return pieces


def _same(left: str, right: str) -> int:
    """How many characters both begin with."""
    if left == right[: len(left)]:
        return len(left)
    return next(index for index, pair in enumerate(zip(left, right, strict=False)) if pair[0] != pair[1])
