"""The heartbeats of one call: they show that the worker is alive, learn of a cancellation, and carry the
end of what the agent has streamed so far, which adds no event to the history.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from temporalio import activity

from perdure.graph.javascript import stringify
from perdure.graph.values import Value
from perdure.protocol.numpy_arrays import shown
from perdure.protocol.payloads import StreamTail
from perdure.protocol.records import to_plain

BEATS_PER_TIMEOUT_COUNT = 3
"""Heartbeats in one heartbeat timeout."""

STREAM_BEAT_INTERVAL_S = 0.1
"""Seconds between two heartbeats of an agent that streams."""

STREAM_WINDOW_CHARS = 4_000
"""Characters of the stream that one heartbeat carries: those before them were sent already."""

FINAL_STREAM_S = 3.0
"""Seconds of the stream that go out with the result, for readers that the last heartbeat missed."""


@dataclass(slots=True)
class Heartbeat:
    """What was streamed in this attempt: `text` begins at character `offset` of it all.

    `account` is that of the attempts before it (perdure.activities.attempt), which the next one needs.
    """

    attempt: int
    account: Mapping[str, Any] | None = None
    text: str = ""
    offset: int = 0
    _sent: float = 0.0
    _beats: bool = False
    _recent: deque[tuple[float, int]] = field(default_factory=deque[tuple[float, int]])

    async def beat(self, timeout: timedelta | None) -> None:
        """Beats until cancelled. Local activities have no heartbeat."""
        if timeout is None:
            return
        self._beats = True
        while True:
            await asyncio.sleep(timeout.total_seconds() / BEATS_PER_TIMEOUT_COUNT)
            self.send()

    async def emit(self, piece: Value, /) -> None:
        """Streams a piece: text as it is, anything else as a line of JSON."""
        text = piece if isinstance(piece, str) else f"{stringify(shown(piece))}\n"
        now = asyncio.get_running_loop().time()
        self._recent.append((now, self.offset + len(self.text)))
        while self._recent[0][0] < now - FINAL_STREAM_S:
            self._recent.popleft()
        self.text += text
        if len(self.text) > STREAM_WINDOW_CHARS:
            self.offset += len(self.text) - STREAM_WINDOW_CHARS
            self.text = self.text[-STREAM_WINDOW_CHARS:]
        if self._beats and now - self._sent >= STREAM_BEAT_INTERVAL_S:
            self.send()
            await asyncio.sleep(0)

    def last(self) -> dict[str, Any] | None:
        """The last seconds of the stream; None where nothing was streamed."""
        if not self._recent:
            return None
        since = max(self._recent[0][1], self.offset)
        return to_plain(StreamTail(self.attempt, since, self.text[since - self.offset :]))

    def tail(self) -> StreamTail:
        """What a heartbeat carries."""
        return StreamTail(self.attempt, self.offset, self.text, account=self.account)

    def send(self) -> None:
        """Beats now."""
        self._sent = asyncio.get_running_loop().time()
        if self.text or self.account is not None:
            activity.heartbeat(self.tail())
        else:
            activity.heartbeat()
