"""How much one segment does: for how long, how many answers, how many bytes.

Time: until a segment ends, nothing else reaches the run, a cancellation included. It may take longer only
where it took long to take the run over, or taking over would be most of the work, and as long as a record
answers: a rerun that comes to its end in one segment need not play any of it again.

Answers: the run pauses while it plays them (perdure.engine.fuel), but where they have carried it to its end,
a query plays them in one activation, for which Temporal has a deadlock limit. A run of a version that never
paused always does.

Bytes: all results go into one marker.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

SEGMENT_WORK_S: Final = 0.2
"""After this long a segment begins no further call ..."""

SEGMENT_WORK_FACTOR: Final = 5
"""... but where it took long to take the run over, it works this many times as long as that."""

MAX_SEGMENT_WORK_S: Final = 2.0
"""... up to this many seconds."""

MAX_RECALL_WORK_S: Final = 4.0
"""Seconds of a segment that has called no agent: a record has answered each call."""

MAX_SEGMENT_ANSWER_COUNT: Final = 6_000
"""Answers that a query plays in one activation, where they have carried the run to its end."""

MAX_UNPAUSED_ANSWER_COUNT: Final = 3_000
"""Answers where the run plays them in one activation, for which there is half a second."""

MAX_SEGMENT_BYTES: Final = 900_000
"""Bytes of all results."""


@dataclass(slots=True)
class SegmentBounds:
    """The bounds of one segment. `bytes` are those of its results so far."""

    asked: float = field(default_factory=time.perf_counter)
    bytes: float = 0
    _began: float = 0.0
    _until: float = 0.0
    _called_until: float = 0.0
    _max_answers: int = MAX_UNPAUSED_ANSWER_COUNT

    @property
    def seconds(self) -> float:
        """Since the segment was asked for."""
        return time.perf_counter() - self.asked

    def take_over(self) -> None:
        """The segment takes the run over, from now on."""
        self._began = time.perf_counter()

    def work(self, *, recalls: bool, pauses: bool) -> None:
        """It has: it begins to work. A record may answer if it `recalls`; the run `pauses` in long work."""
        now = time.perf_counter()
        taken = now - self._began
        self._called_until = now + min(max(SEGMENT_WORK_S, SEGMENT_WORK_FACTOR * taken), MAX_SEGMENT_WORK_S)
        self._until = now + MAX_RECALL_WORK_S if recalls else self._called_until
        self._max_answers = MAX_SEGMENT_ANSWER_COUNT if pauses else MAX_UNPAUSED_ANSWER_COUNT

    def calls(self) -> None:
        """An agent is called."""
        self._until = self._called_until

    def are_reached(self, answers: int) -> bool:
        """Whether a segment ends here that has as many `answers`."""
        if answers >= self._max_answers or self.bytes >= MAX_SEGMENT_BYTES:
            return True
        return time.perf_counter() > self._until
