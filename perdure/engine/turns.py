"""The order in which a shell feeds answers to the scheduler.

GraphAI runs agents that do not wait in turns of its event loop: a plain agent is over one turn
after it started, a nested graph some turns after its last node. Answers of pure agents and Settle
commands are handed on in that order, whatever the order in which they arrive, so that every shell
gives the same results; other answers are handed on as they come, once nothing earlier is at hand.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from perdure.engine.messages import Event


@dataclass(slots=True)
class Expected:
    """An answer that has its turn. `event` is None until it arrives; `dropped` ones are passed over.

    `left` counts the turns that it takes after this one.
    """

    event: Event | None = None
    dropped: bool = False
    left: int = 0


@dataclass(slots=True)
class Turns:
    """Answers waiting to be handed on.

    One queue serves all turns, as in an event loop: what takes another turn goes to its end, behind
    everything that was begun meanwhile.
    """

    _due: deque[Expected] = field(default_factory=deque[Expected])
    _arrived: deque[Event] = field(default_factory=deque[Event])

    def expect(self, event: Event | None = None, turns: int = 1) -> Expected:
        """A place for an answer that is due `turns` from now; `event` where it is known already."""
        place = Expected(event, left=turns - 1)
        self._due.append(place)
        return place

    def arrive(self, event: Event) -> None:
        """An answer that has no turn."""
        self._arrived.append(event)

    def next(self) -> Event | None:
        """The answer to hand on now; None when it has to be waited for."""
        while self._due:
            place = self._due[0]
            if place.dropped:
                self._due.popleft()
            elif place.left:
                place.left -= 1
                self._due.rotate(-1)
            elif place.event is None:
                break
            else:
                return self._due.popleft().event
        return self._arrived.popleft() if self._arrived else None
