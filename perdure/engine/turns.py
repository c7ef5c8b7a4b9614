"""The order in which a shell feeds answers to the scheduler.

GraphAI runs agents that do not wait in turns of its event loop: a plain agent is over one turn
after it started, a nested graph some turns after its last node. Answers of pure agents and Settle
commands are handed on in that order, whatever the order in which they arrive, so that every shell
gives the same results; other answers are handed on as they come, once nothing earlier is at hand.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field

from perdure.engine.messages import Event


@dataclass(slots=True)
class Expected:
    """An answer that has its turn. `event` is None until it arrives; `dropped` ones are passed over."""

    event: Event | None = None
    dropped: bool = False


@dataclass(slots=True)
class Turns:
    """Answers waiting to be handed on."""

    _turn: int = 0
    _number: int = 0
    _due: list[tuple[int, int, Expected]] = field(default_factory=list[tuple[int, int, Expected]])
    _arrived: deque[Event] = field(default_factory=deque[Event])

    def expect(self, event: Event | None = None, turns: int = 1) -> Expected:
        """A place for an answer that is due `turns` from now; `event` where it is known already."""
        self._number += 1
        place = Expected(event)
        heapq.heappush(self._due, (self._turn + turns, self._number, place))
        return place

    def arrive(self, event: Event) -> None:
        """An answer that has no turn."""
        self._arrived.append(event)

    def next(self) -> Event | None:
        """The answer to hand on now; None when it has to be waited for."""
        while self._due:
            turn, _, place = self._due[0]
            if place.event is None and not place.dropped:
                break
            heapq.heappop(self._due)
            self._turn = max(self._turn, turn)
            if place.event is not None and not place.dropped:
                return place.event
        return self._arrived.popleft() if self._arrived else None
