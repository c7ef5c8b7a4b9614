"""What a segment answers ahead are the calls that the run then makes."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from perdure.engine.lookahead import Answers, Lookahead
from perdure.engine.messages import (
    Abort,
    AgentCompleted,
    AgentFailed,
    CancelCall,
    Command,
    Finish,
    Quotas,
    RunAgent,
    RunOptions,
    Settle,
    Settled,
    StartTimer,
)
from perdure.engine.scheduler import Scheduler
from perdure.engine.snapshot import restore, snapshot
from perdure.engine.turn_order import TurnOrder
from perdure.errors import EngineError
from perdure.protocol.encoding import decode, encode
from tests.support.drive import graph, rows, work
from tests.support.graphs import make_graph

SEEDS = 600


def test_a_local_call_that_has_its_turn_first_is_not_made_ahead() -> None:
    scheduler = Scheduler(graph(local={"agent": "local"}, pure={"agent": "pure"}))
    turns = TurnOrder()
    commands = [command for command in scheduler.start(0) if isinstance(command, RunAgent)]
    for command in commands:
        turns.expect(command.call)
    made: list[str] = []

    def answer(command: RunAgent) -> AgentCompleted:
        made.append(command.path)
        return AgentCompleted(command.call, 1)

    copy, open_commands = restore(snapshot(scheduler))
    ahead = Lookahead(copy, TurnOrder(), 0, lambda command: command.agent == "pure", lambda _: False, answer)
    ahead.resume(open_commands, turns.written())
    assert (ahead.play(), made) == (None, [])


class Run:
    """A shell in which a segment answers pure agents, as many at a time as `share` says."""

    def __init__(self, document: dict[str, Any], salt: int, share: int | None, **options: Any) -> None:
        self.salt, self.share, self.random = salt, share, Random(salt)
        self.options = RunOptions(**options)
        self.scheduler = Scheduler(document, self.options)
        self.turns, self.answers = TurnOrder(), Answers()
        self.waiting: dict[int, RunAgent] = {}
        self.elsewhere: list[RunAgent] = []
        self.ahead: list[str] = []
        self.taken: list[str] = []
        self.now = 0
        self.finish: Finish | None = None

    def run(self) -> Finish:
        self.take(self.scheduler.start(0))
        while self.finish is None:
            event = self.turns.next()
            if event is None and self.waiting:
                self.segment()
                continue
            if event is None:
                event = self.answer(self.elsewhere.pop(self.random.randrange(len(self.elsewhere))))
            now = self.answers.time_of(event)
            self.now += 1
            self.take(self.scheduler.handle(event, self.now if now is None else now))
        return self.finish

    def is_pure(self, command: RunAgent) -> bool:
        return (len(command.node) + command.retry + self.salt) % 4 != 0

    def is_answered_with_null(self, command: RunAgent) -> bool:
        return (len(command.path) + self.salt) % 11 == 0

    def answer(self, command: RunAgent) -> AgentCompleted | AgentFailed:
        chance = Random(f"{self.salt} {command.key} {command.retry}").random()
        if chance < 0.1:
            return AgentFailed(command.call, f"failed {command.key}", final=chance < 0.05)
        return AgentCompleted(
            command.call, {"v": int(chance * 5), "flag": chance < 0.6, "in": command.inputs}
        )

    def segment(self) -> None:
        """Plays ahead on a copy as an activity gets it, or answers here one by one."""
        if self.share is None:
            for command in self.waiting.values():
                self.turns.arrive(self.answer(command))
            self.waiting.clear()
            return
        front = self.turns.front()
        carried = {call for call in self.waiting if self.random.random() < 0.8}
        carried |= set() if front is None else {front.call}
        state = snapshot(self.scheduler, light=True, calls=carried)
        data, places = encode([state, self.turns.written()])
        written, due = decode(data, json.loads(json.dumps(places)))
        scheduler, commands = restore(written, self.options)
        left = [self.share]
        answered: list[tuple[str, AgentCompleted | AgentFailed]] = []

        def answer(command: RunAgent) -> AgentCompleted | AgentFailed | None:
            left[0] -= 1
            if left[0] < 0:
                return None
            answered.append((command.path, self.answer(command)))
            return answered[-1][1]

        ahead = Lookahead(scheduler, TurnOrder(), self.now, self.is_pure, self.is_answered_with_null, answer)
        ahead.resume(commands, due)
        stopped = ahead.play()
        assert stopped is None or left[0] < 0
        self.answers = Answers(self.now)
        self.answers.extend(answered)
        self.ahead += [path for path, _ in answered]
        for call, command in list(self.waiting.items()):
            event = self.taking(command)
            if event is not None:
                del self.waiting[call]
                self.turns.arrive(event)

    def taking(self, command: RunAgent) -> AgentCompleted | AgentFailed | None:
        event = self.answers.take(command)
        if event is not None:
            self.taken.append(command.path)
        return event

    def take(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case RunAgent(call=call):
                    if self.is_answered_with_null(command):
                        self.turns.expect(call, AgentCompleted(call, None))
                    elif self.is_pure(command):
                        taken = self.taking(command)
                        self.turns.expect(call, taken)
                        if taken is None:
                            self.waiting[call] = command
                    else:
                        self.elsewhere.append(command)
                case Settle(call, turns):
                    self.turns.expect(call, Settled(call), turns)
                case CancelCall(call):
                    self.waiting.pop(call, None)
                    self.turns.drop(call)
                    self.elsewhere = [other for other in self.elsewhere if other.call != call]
                case Finish():
                    self.finish = command
                case _:
                    assert isinstance(command, StartTimer)


@pytest.mark.parametrize(
    ("share", "seeds"),
    [
        (1, SEEDS // 4),
        pytest.param(3, SEEDS // 2, marks=pytest.mark.long),
        pytest.param(1_000, SEEDS, marks=pytest.mark.long),
    ],
)
def test_what_was_answered_ahead_is_what_the_run_asks(share: int, seeds: int) -> None:
    answered = 0
    for seed in range(seeds):
        document = make_graph(Random(seed))
        run, plain = Run(document, seed, share), Run(document, seed, None)
        finish = run.run()
        assert run.taken == run.ahead or sorted(run.taken) == sorted(run.ahead), f"seed {seed}"
        if share == 1_000 and not any("@now" in str(node) for node in document["nodes"].values()):
            assert finish == plain.run(), f"seed {seed}"
        answered += len(run.ahead)
    assert answered > seeds


def test_the_time_is_that_of_the_segment_while_its_answers_are_left() -> None:
    answers = Answers(500)
    assert answers.time_of(Settled(1)) is None
    answers.extend([("a", AgentCompleted(3, 1))])
    assert answers.time_of(Settled(1)) == 500
    assert answers.time_of(Abort()) == 500
    assert answers.time_of(AgentCompleted(3, 1)) == 500
    assert answers.time_of(Settled(4)) is None


def test_another_call_of_the_same_number_is_refused() -> None:
    (command,) = Scheduler(graph(a=work())).start(0)
    assert isinstance(command, RunAgent)
    answers = Answers()
    assert answers.take(command) is None
    answers.extend([("b", AgentCompleted(command.call, 1))])
    with pytest.raises(EngineError, match="call 1 is 'a'; the segment answered 'b'"):
        answers.take(command)


def ahead_of(
    scheduler: Scheduler, turns: TurnOrder, light: bool = False, **options: Any
) -> tuple[Lookahead, list[str]]:
    """A segment in which everything is pure, and the paths that it answers."""
    paths: list[str] = []

    def answer(command: RunAgent) -> AgentCompleted:
        paths.append(command.path)
        return AgentCompleted(command.call, {"v": 1})

    copy, commands = restore(snapshot(scheduler, light=light), RunOptions(**options))
    ahead = Lookahead(copy, TurnOrder(), 0, lambda _: True, lambda _: False, answer)
    ahead.resume(commands, turns.written())
    return ahead, paths


def begun(document: dict[str, Any], **options: Any) -> tuple[Scheduler, TurnOrder]:
    scheduler, turns = Scheduler(document, RunOptions(**options)), TurnOrder()
    for command in scheduler.start(0):
        assert isinstance(command, RunAgent)
        turns.expect(command.call)
    return scheduler, turns


def test_a_quota_ends_a_segment() -> None:
    options = {"quotas": Quotas(calls=3)}
    ahead, paths = ahead_of(*begun(graph(a=work()) | {"loop": {"count": 9}}, **options), **options)
    assert ahead.play() is None
    assert paths == ["a", "a@1", "a@2"]


def test_a_place_whose_call_is_elsewhere_ends_a_segment() -> None:
    scheduler, turns = begun(graph(a=work()))
    ahead, paths = ahead_of(scheduler, turns)
    ahead.waiting.clear()
    assert (ahead.play(), paths) == (None, [])


def test_a_map_whose_results_are_withheld_ends_a_segment() -> None:
    scheduler, turns = begun(graph(m=rows(*range(700)), n=work(inputs={"m": ":m"})))
    for _ in range(600):
        front = turns.front()
        assert front is not None
        turns.arrive(AgentCompleted(front.call, 1))
        event = turns.next()
        assert event is not None
        for command in scheduler.handle(event, 0):
            assert isinstance(command, RunAgent)
            turns.expect(command.call)
    ahead, paths = ahead_of(scheduler, turns, light=True)
    assert ahead.play() is None
    assert paths == [f"m[{row}].i" for row in range(600, 700)]
    whole, paths = ahead_of(scheduler, turns)
    whole.play()
    assert paths[-1] == "n"


def test_a_segment_plays_a_run_to_its_end() -> None:
    ahead, paths = ahead_of(*begun(graph(a=work(), b=work(inputs={"a": ":a"}))))
    assert (ahead.play(), paths, ahead.scheduler.finished) == (None, ["a", "b"], True)


def test_places_are_written_and_taken_up() -> None:
    turns = TurnOrder()
    turns.expect(1)
    turns.expect(2, Settled(2), turns=3)
    turns.expect(3, AgentCompleted(3, {"a": 1}))
    turns.expect(4, AgentFailed(4, "no", "timed-out", True), turns=2)
    turns.expect(5)
    turns.drop(5)
    turns.arrive(Settled(9))
    again = TurnOrder()
    waiting = again.resume(json.loads(json.dumps(turns.written())))
    assert list(waiting) == [1]
    again.arrive(AgentCompleted(1, 0))
    events = list(iter(again.next, None))
    assert events == [
        AgentCompleted(1, 0),
        AgentCompleted(3, {"a": 1}),
        AgentFailed(4, "no", "timed-out", True),
        Settled(2),
    ]
    assert not again.has_next()
