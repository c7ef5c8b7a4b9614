"""The order in which a shell feeds answers to the scheduler.

GraphAI runs agents that do not wait in turns of its event loop: a plain agent is over one turn
after it started, a nested graph some turns after its last node. Answers of pure agents and Settle
commands are handed on in that order, whatever the order in which they arrive, so that every shell
gives the same results; other answers are handed on as they come, once nothing earlier is available.

A rerun takes answers from the record of an earlier run, where they are all available at once. Those of
agents that do wait are handed on when no turn is due, in the order in which they came in the earlier run:
a race between two of them has the same winner.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from perdure.engine.messages import Abort, AgentCompleted, AgentFailed, CallId, Event, Settled
from perdure.engine.outcomes import decoded, encoded
from perdure.graph.values import Value


@dataclass(slots=True)
class PendingAnswer:
    """An answer that has its turn. `event` is None until it arrives; `dropped` ones are passed over.

    `left` counts the turns that it takes after this one.
    """

    call: CallId
    event: Event | None = None
    dropped: bool = False
    left: int = 0


@dataclass(slots=True)
class TurnOrder:
    """Answers waiting to be handed on.

    One queue serves all turns, as in an event loop: what takes another turn goes to its end, behind
    everything that was begun meanwhile.
    """

    _due: deque[PendingAnswer] = field(default_factory=deque[PendingAnswer])
    _missing: dict[CallId, PendingAnswer] = field(default_factory=dict[CallId, PendingAnswer])
    _arrived: deque[Event] = field(default_factory=deque[Event])
    _recalled: list[tuple[int, CallId, PendingAnswer]] = field(
        default_factory=list[tuple[int, CallId, PendingAnswer]]
    )

    def expect(self, call: CallId, event: Event | None = None, turns: int = 1) -> None:
        """An answer is due `turns` from now; `event` is the answer if it is known already.

        A call that is expected already, since an earlier run of the chain, keeps its turn.
        """
        if call in self._missing:
            if event is not None:
                self.arrive(event)
            return
        expected = PendingAnswer(call, event, False, turns - 1)
        self._due.append(expected)
        if event is None:
            self._missing[call] = expected

    def recall(self, call: CallId, order: int, event: Event | None = None) -> None:
        """An answer is in a record, where it was the one with the number `order`; `event` if it was read."""
        expected = PendingAnswer(call, event)
        heappush(self._recalled, (order, call, expected))
        if event is None:
            self._missing[call] = expected

    def arrive(self, event: Event) -> None:
        """An answer: handed on in its turn if it has one, else as it comes."""
        expected = None if isinstance(event, Abort) else self._missing.pop(event.call, None)
        if expected is None:
            self._arrived.append(event)
        else:
            expected.event = event

    def arrive_first(self, events: Iterable[Event]) -> None:
        """Answers that were waited for before anything else: handed on before all that have no turn."""
        self._arrived.extendleft(reversed([*events]))

    def drop(self, call: CallId) -> None:
        """The call was cancelled. An answer that has arrived is handed on all the same, and ignored."""
        expected = self._missing.pop(call, None)
        if expected is not None:
            expected.dropped = True

    def next(self) -> Event | None:
        """The answer to hand on now; None when it has to be waited for."""
        front = self.front()
        if front is not None and front.event is not None:
            self.pop()
            return front.event
        return self._arrived.popleft() if self._arrived else None

    def has_next(self) -> bool:
        """Whether an answer can be handed on now."""
        front = self.front()
        return bool(self._arrived) or (front is not None and front.event is not None)

    def front(self) -> PendingAnswer | None:
        """The place whose turn it is, whether its answer is there or not; it stays where it is."""
        while self._due:
            place = self._due[0]
            if place.dropped:
                self._due.popleft()
            elif place.left:
                place.left -= 1
                self._due.rotate(-1)
            else:
                return place
        while self._recalled and self._recalled[0][2].dropped:
            heappop(self._recalled)
        return self._recalled[0][2] if self._recalled else None

    def pop(self) -> None:
        """The answer in front is handed on."""
        place = self._due.popleft() if self._due else heappop(self._recalled)[2]
        self._missing.pop(place.call, None)

    def written(self) -> list[Value]:
        """The places in order, as plain data. What has arrived without a turn is not among them.

        Nor are recalled answers: a run hands on all that it has read of a record before it is written.
        """
        return [[place.call, place.left, _written(place.event)] for place in self._due if not place.dropped]

    def resume(self, places: Iterable[Sequence[Value]]) -> Collection[CallId]:
        """Takes over the turns that `written` gave; the calls that still wait for their answers."""
        for call, left, event in places:
            self.expect(call, _read(call, event), left + 1)
        return self._missing.keys()


def _written(event: Event | None) -> list[Value] | None:
    if isinstance(event, Settled):
        return ["settled"]
    return encoded(event) if isinstance(event, AgentCompleted | AgentFailed) else None


def _read(call: CallId, data: Sequence[Value] | None) -> Event | None:
    if data is None:
        return None
    return Settled(call) if data == ["settled"] else decoded(call, data)
