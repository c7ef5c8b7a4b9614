"""Reading what agents stream: from the heartbeats of running calls, and from the ends of finished ones."""

from __future__ import annotations

from dataclasses import dataclass, field

from temporalio.client import WorkflowExecutionDescription
from temporalio.converter import DataConverter

from perdure.payloads import RunStatus, StreamTail


@dataclass(frozen=True, slots=True)
class StreamPiece:
    """A piece of what the agent at `path` streams: it begins at character `offset` of the attempt."""

    path: str
    attempt: int
    offset: int
    text: str


@dataclass(slots=True)
class StreamReader:
    """Turns tails, which overlap, into pieces, which do not."""

    converter: DataConverter
    _read: dict[tuple[str, int], int] = field(default_factory=dict[tuple[str, int], int])
    _running: set[str] = field(default_factory=set[str])
    _ended: set[str] = field(default_factory=set[str])

    async def running(self, description: WorkflowExecutionDescription) -> list[StreamPiece]:
        """The new pieces of the calls that run."""
        pieces: list[StreamPiece] = []
        now: set[str] = set()
        for call in description.raw_description.pending_activities:
            now.add(call.activity_id)
            if call.heartbeat_details.payloads:
                tails = await self.converter.decode(call.heartbeat_details.payloads, [StreamTail])
                pieces += self._new(call.activity_id, tails[0])
        self._ended |= self._running - now
        self._running = now
        return pieces

    def has_ended(self) -> bool:
        """Whether a call has ended whose last pieces were not read yet."""
        return bool(self._ended)

    def ended(self, status: RunStatus | None) -> list[StreamPiece]:
        """The last pieces of the calls that have ended."""
        self._ended.clear()
        streams = () if status is None else status.streams
        return [piece for tail in streams for piece in self._new(tail.path, tail)]

    def _new(self, path: str, tail: StreamTail) -> list[StreamPiece]:
        read = self._read.get((path, tail.attempt), 0)
        begin = max(read, tail.offset)
        end = tail.offset + len(tail.text)
        if end <= begin:
            return []
        self._read[path, tail.attempt] = end
        return [StreamPiece(path, tail.attempt, begin, tail.text[begin - tail.offset :])]
