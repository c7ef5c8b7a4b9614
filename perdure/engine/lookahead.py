"""Running ahead: a copy of a run is played on as far as pure agents alone carry it.

Why
    A call of its own costs events in the history and a way to a worker and back; most pure agents take
    less time than that by orders of magnitude. So the durable shell plays a copy of the run inside one
    activity, a *segment*, and the history holds one marker with all of its answers.

Invariant
    The copy and the run start from the same state, hand on answers in the same order (turn_order.py), and at
    the same time (`now_ms`). So the run makes the very calls that the segment has answered, under the
    same numbers. `Answers.take` checks the path of each, and raises if it is another call's.
    Where the copy knows less than the run (results of a large map, `Withheld`) or may do less (a quota),
    it stops; it never guesses.

Rejected
    To take over the state that the copy has come to, instead of its answers: the history would hold all
    of the state again and again, and a replay would rest on what another version of the engine had
    computed.
    To call pure agents in the workflow itself: a replay would call them again, on whatever version of
    them the worker has, and a slow one would block the workflow task.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from itertools import count

from perdure.engine.lifecycle.nested import Withheld
from perdure.engine.messages import (
    Abort,
    AgentCompleted,
    AgentFailed,
    CancelCall,
    Command,
    Console,
    Event,
    Finish,
    RunAgent,
    Settle,
    Settled,
)
from perdure.engine.scheduler import Scheduler
from perdure.engine.turn_order import TurnOrder
from perdure.errors import EngineError, QuotaExceeded
from perdure.graph.human_input import APPROVAL
from perdure.graph.values import Value


@dataclass(slots=True)
class Lookahead:
    """A copy of a run. `answer` gives the answer of a pure agent, or None to stop before it.

    `is_pure` and `is_answered_with_null` say whether a call may be answered here, and whether null
    is its answer. `console` is what was shown, `finish` how the run ended, once it has.

    A run with a record has `recall`: for a call that is not pure, the number of its answer in the record, or
    None, and then the call is `missed`. `release` is called with a call that was cancelled, `handed_on` with
    each event.
    """

    scheduler: Scheduler
    turns: TurnOrder
    now_ms: int
    is_pure: Callable[[RunAgent], bool]
    is_answered_with_null: Callable[[RunAgent], bool]
    answer: Callable[[RunAgent], AgentCompleted | AgentFailed | None]
    waiting: dict[int, RunAgent] = field(default_factory=dict[int, RunAgent])
    console: list[str] = field(default_factory=list[str])
    finish: Finish | None = None
    recall: Callable[[RunAgent], int | None] | None = None
    release: Callable[[int], None] | None = None
    handed_on: Callable[[Event], None] | None = None
    missed: list[int] = field(default_factory=list[int])

    def begin(self) -> None:
        """Begins the run."""
        self._take(self.scheduler.start(self.now_ms))

    def resume(
        self, commands: list[Command], places: list[list[Value]], unsent: Collection[int] = ()
    ) -> None:
        """Takes over the places of the run, and of its open `commands` those of pure agents that have one.

        A call with `placement: local` has a place as well, and its effects: it is on its way elsewhere.
        Calls that are `unsent` may be answered by the record.
        """
        expected = self.turns.resume(places)
        for command in commands:
            if not isinstance(command, RunAgent):
                continue
            if command.call in unsent:
                self._recall(command)
            elif command.call in expected and self.is_pure(command):
                self.waiting[command.call] = command

    def play(self) -> RunAgent | None:
        """Plays until something else has to answer; gives the call before which `answer` stopped."""
        board = self.scheduler.board
        while not board.finished:
            front = self.turns.front()
            if front is None:
                return None
            event = front.event
            if event is None:
                command = self.waiting.get(front.call)
                if command is None:
                    return None
                event = self.answer(command)
                if event is None:
                    return command
                del self.waiting[front.call]
            self.turns.pop()
            if self.handed_on is not None:
                self.handed_on(event)
            try:
                self._take(self.scheduler.handle(event, self.now_ms))
            except (QuotaExceeded, Withheld):
                return None  # the run will come to the same place
        return None

    def _take(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case RunAgent():
                    call = command.call
                    if self.is_answered_with_null(command):
                        self.turns.expect(call, AgentCompleted(call, None))
                    elif self.is_pure(command):
                        self.waiting[call] = command
                        self.turns.expect(call)
                    else:
                        self._recall(command)
                case Settle(call, turns):
                    self.turns.expect(call, Settled(call), turns)
                case CancelCall(call):
                    self.waiting.pop(call, None)
                    self.turns.drop(call)
                    if self.release is not None:
                        self.release(call)
                case Console(_, text):
                    self.console.append(text)
                case Finish():
                    self.finish = command
                case _:
                    pass

    def _recall(self, command: RunAgent) -> None:
        """Looks the answer of a call up that is not pure."""
        if self.recall is None or command.agent == APPROVAL:  # which no record answers
            return
        order = self.recall(command)
        if order is None:
            self.missed.append(command.call)
        else:
            self.waiting[command.call] = command
            self.turns.recall(command.call, order)


@dataclass(slots=True)
class Answers:
    """The answers of a segment, until the run has made the calls that they belong to.

    While some are left, the time of the run is that of the segment: it was the same for both.
    """

    now_ms: int = 0
    _answers: dict[int, tuple[str, AgentCompleted | AgentFailed]] = field(
        default_factory=dict[int, tuple[str, AgentCompleted | AgentFailed]]
    )
    _left: set[int] = field(default_factory=set[int])
    _order: dict[int, int] = field(default_factory=dict[int, int])

    def extend(self, answers: Iterable[tuple[str, AgentCompleted | AgentFailed]]) -> None:
        """More answers, each with the path of its call."""
        added = {answer[1].call: answer for answer in answers}
        self._order.update(zip(added, count(len(self._order))))
        self._answers.update(added)
        self._left.update(added)

    def order_of(self, call: int) -> int:
        """The number of the answer to this call, in the order in which the segment handed them on."""
        return self._order[call]

    def find_order(self, command: RunAgent) -> int | None:
        """The same, None for a call that the segment has not answered."""
        return self._order.get(command.call)

    def time_of(self, event: Event) -> int | None:
        """The time at which the segment handed this event on; None for one that came after it."""
        if not self._left:
            return None
        self._left.discard(event.call if not isinstance(event, Abort) else 0)
        return self.now_ms

    def take(self, command: RunAgent) -> AgentCompleted | AgentFailed | None:
        """The answer to this call, if the segment gave one. Raises EngineError if it was another call's."""
        answer = self._answers.pop(command.call, None)
        if answer is None:
            return None
        path, event = answer
        if path != command.path:
            raise EngineError(f"call {command.call} is {command.path!r}; the segment answered {path!r}")
        return event
