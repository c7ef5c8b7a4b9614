"""Playing a scheduler by hand: the language in which the tests of the engine are written.

Events go into a scheduler, and commands come out. A Drive keeps the commands that wait for an answer, and
answers them in the order in which they came, so that a test says only what matters to it:

    nodes = graph(                          # a document; each keyword is a node
        v={"value": 1},                     # a static node
        a=work(inputs={"x": ":v"}),         # a computed node, of the agent "work"
        b=work(inputs={"x": ":a.n"}, isResult=True),
    )
    drive = Drive(nodes, {"a": {"n": 2}})   # what calls return, by node; {} for all others
    drive.start()                           # begins the run: a's call waits
    assert [command.path for command in drive.waiting] == ["a"]
    drive.step()                            # answers the call that has waited longest: now b's waits
    assert drive.paths == ["a", "b"]        # all calls so far
    drive.step()
    assert drive.finish.results == {"b": {}}
    assert drive.moves[-1] == "b completed" # every change of a node's state, as "path state"

- `run()` is `start()` and as many steps as it takes; it returns the Finish.
- Answers may be a function of the command instead; one that raises Fail fails the call, as those of
  `failing("a", times=2)` do.
- `give(event)` hands in any event: TimerFired(call), Abort(), an answer out of order.
- `nested(...)` and `rows(...)` are nodes with a graph inside; the node inside is `i`.
- `commands` holds all commands, also those that Drive takes care of: timers, settles, console.

`far.Far` is a Drive whose values are in a store: the same graph, played with its values in place and with all
of them elsewhere, must come to the same end (`far.same`). Where the order of answers is what is tested,
tests/property/simulation.py draws it at random, and checks at each step what must always hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

from perdure.engine.board import Starting
from perdure.engine.messages import (
    AgentCompleted,
    AgentFailed,
    CancelCall,
    Command,
    Console,
    Event,
    Finish,
    RunAgent,
    RunOptions,
    Settle,
    Settled,
    StartTimer,
)
from perdure.engine.scheduler import Scheduler

Answers = Mapping[str, Any] | Callable[[RunAgent], Any]


class Fail(Exception):
    """What an answer raises to fail the call; `final` as in AgentFailed."""

    def __init__(self, message: str, final: bool = False) -> None:
        self.final = final
        super().__init__(message)


class Drive:
    """Answers calls in the order in which they were sent. `answers` are results by node, or a function."""

    def __init__(self, graph: Any, answers: Answers | None = None, **options: Any) -> None:
        self.answers = answers or {}
        self.options = RunOptions(**options)
        self.moves: list[str] = []
        self.scheduler = Scheduler(graph, self.options, observe=self.observe)
        self.commands: list[Command] = []
        self.waiting: list[Starting] = []
        self.finish: Finish | None = None

    def observe(self, run: Any, name: str) -> None:
        self.moves.append(f"{run.path_of(name)} {run.nodes[name].state}")

    def start(self, now: int = 0) -> Self:
        return self._take(self.scheduler.start(now))

    def run(self) -> Finish:
        """Plays to the end."""
        self.start()
        while self.finish is None:
            self.step()
        return self.finish

    def step(self) -> Self:
        """Answers the call that has waited longest; timers do not fire."""
        return self.give(self.answer(self.next()))

    def next(self) -> Starting:
        """The call that is answered next."""
        return next(command for command in self.waiting if not isinstance(command, StartTimer))

    def answer(self, command: Starting) -> Event:
        """The answer to a call."""
        if isinstance(command, Settle):
            return Settled(command.call)
        assert isinstance(command, RunAgent)
        try:
            result = self.answers(command) if callable(self.answers) else self.answers.get(command.node, {})
        except Fail as error:
            return AgentFailed(command.call, str(error), final=error.final)
        return AgentCompleted(command.call, result)

    def give(self, event: Any, now: int = 0) -> Self:
        call = getattr(event, "call", None)
        self.waiting = [command for command in self.waiting if command.call != call]
        return self._take(self.scheduler.handle(event, now))

    def _take(self, commands: list[Command]) -> Self:
        for command in commands:
            if isinstance(command, CancelCall):
                assert any(other.call == command.call for other in self.waiting)
                self.waiting = [other for other in self.waiting if other.call != command.call]
            elif isinstance(command, Finish):
                self.finish = command
            elif not isinstance(command, Console):
                self.waiting.append(command)
        self.commands += commands
        return self

    @property
    def paths(self) -> list[str]:
        """The paths of all calls, in order."""
        return [command.path for command in self.commands if isinstance(command, RunAgent)]

    @property
    def shown(self) -> list[tuple[str, str]]:
        return [(command.path, command.text) for command in self.commands if isinstance(command, Console)]


def work(**keys: Any) -> dict[str, Any]:
    """A computed node."""
    return {"agent": "work", **keys}


def graph(**nodes: Any) -> dict[str, Any]:
    return {"nodes": nodes}


def failing(*nodes: str, times: int = 99, final: bool = False) -> Any:
    """Answers that fail the calls of these nodes, this many times."""
    calls: dict[str, int] = {}

    def answer(command: RunAgent) -> Any:
        calls[command.node] = calls.get(command.node, 0) + 1
        if command.node in nodes and calls[command.node] <= times:
            raise Fail(f"{command.node} failed {calls[command.node]}", final)
        return {"n": calls[command.node]}

    return answer


def nested(**keys: Any) -> dict[str, Any]:
    return {"agent": "nestedAgent", "graph": graph(i=work(isResult=True)), **keys}


def rows(*items: Any, **keys: Any) -> dict[str, Any]:
    inner = graph(i=work(inputs={"row": ":row"}, isResult=True))
    return {"agent": "mapAgent", "graph": inner, "inputs": {"rows": list(items)}, **keys}
