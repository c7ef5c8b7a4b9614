"""Playing a run whose values are kept elsewhere: the store is a dictionary."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from perdure.encoding import decode, encode
from perdure.engine.held import held
from perdure.engine.messages import (
    AgentCompleted,
    AgentFailed,
    CancelCall,
    Command,
    Console,
    Fetch,
    Fetched,
    Finish,
    RunAgent,
    RunOptions,
    Settle,
    Settled,
    StartTimer,
)
from perdure.engine.scheduler import Scheduler
from perdure.engine.snapshot import restore, snapshot
from perdure.graph.distant import Stored, distant_in, stored
from perdure.graph.evaluate import evaluate
from tests.engine.drive import Fail

Agent = Callable[[RunAgent], Any]


@dataclass
class Shelf:
    """The store. `chance` is that of a value that is no scalar to be put there."""

    random: Random = field(default_factory=lambda: Random(0))
    chance: float = 1.0
    values: dict[str, Any] = field(default_factory=dict)

    def put(self, value: Any) -> Stored:
        """What is stored has nothing distant in it."""
        whole = self.get(value)
        digest = f"d{len(self.values)}"
        self.values[digest] = whole
        return stored(digest, 1_000_000, whole)

    def get(self, value: Any) -> Any:
        return evaluate(value, lambda found: self.values[found.digest])

    def some(self, value: Any) -> Any:
        """`value`, or parts of it, put on the shelf; only what could be large: nothing empty."""
        if isinstance(value, dict | list | str) and value and self.random.random() < self.chance:
            return self.put(value)
        if isinstance(value, dict):
            return {key: self.some(item) for key, item in value.items()}
        return [self.some(item) for item in value] if isinstance(value, list) else value

    def graph(self, document: dict[str, Any]) -> dict[str, Any]:
        """A graph with values of its static nodes on the shelf, those of graphs inside it too."""
        nodes = {name: self._node(node) for name, node in document["nodes"].items()}
        return {**document, "nodes": nodes}

    def _node(self, node: Any) -> Any:
        if isinstance(node.get("graph"), dict):
            return {**node, "graph": self.graph(node["graph"])}
        return {**node, "value": self.some(node["value"])} if "value" in node else node


class Far:
    """Answers calls in the order in which they were sent, and a Fetch before all others.

    `shelf` None plays the run with its values at hand. `moves` is the chance of being written down
    and taken up again before an event, `puts` that of what it holds being put on the shelf.
    """

    def __init__(
        self,
        document: dict[str, Any],
        agent: Agent,
        shelf: Shelf | None = None,
        moves: float = 0,
        puts: float = 0,
        **options: Any,
    ) -> None:
        self.agent, self.shelf, self.moves, self.puts = agent, shelf, moves, puts
        self.options = RunOptions(**options)
        self.scheduler = Scheduler(shelf.graph(document) if shelf else document, self.options)
        self.random = Random(1)
        self.due: deque[Command] = deque()
        self.fetched: list[Fetch] = []
        self.shown: list[str] = []
        self.paths: list[str] = []
        self.finish: Finish | None = None

    def start(self) -> Far:
        self.take(self.scheduler.start(0))
        return self

    def run(self) -> Finish:
        self.start()
        while self.finish is None:
            self.step()
        return self.finish

    def step(self) -> None:
        if self.random.random() < self.moves:
            self.move()
        if self.shelf is not None and self.random.random() < self.puts:
            for each in list(held(self.scheduler)):
                each.put(
                    self.shelf.put(each.value)
                    if isinstance(each.value, list)
                    else self.shelf.some(each.value)
                )
        command = next((command for command in self.due if isinstance(command, Fetch)), None)
        if command is None:
            command = next(command for command in self.due if not isinstance(command, StartTimer))
        self.due.remove(command)
        self.take(self.scheduler.handle(self.answer(command), 0))

    def answer(self, command: Command) -> Any:
        if isinstance(command, Settle):
            return Settled(command.call)
        if isinstance(command, Fetch):
            return self.fetch(command)
        assert isinstance(command, RunAgent)
        shelf = self.shelf or Shelf()
        assert next(distant_in(command.params), None) is None
        inputs = shelf.get(command.inputs)
        self.paths.append(command.path)
        try:
            command.inputs, kept = inputs, command.inputs
            result = self.agent(command)
            command.inputs = kept
        except Fail as error:
            return AgentFailed(command.call, str(error), final=error.final)
        return AgentCompleted(command.call, self.shelf.some(result) if self.shelf else result)

    def fetch(self, command: Fetch) -> Any:
        assert self.shelf is not None, f"{command} of a run that has its values"
        self.fetched.append(command)
        value = self.shelf.get(command.distant)
        if (
            not command.whole
            and isinstance(value, dict | list | str)
            and value
            and self.random.random() < 0.5
        ):
            value = self.shelf.put(value)
        return Fetched(command.call, value)

    def move(self) -> None:
        """The run is written down as JSON, and taken up again."""
        data, places = encode(snapshot(self.scheduler))
        again = decode(data, json.loads(json.dumps(places)))
        before = {command.call for command in self.due}
        self.scheduler, commands = restore(again, self.options)
        assert {command.call for command in commands} == before
        found = {command.call: command for command in commands}
        self.due = deque(found[command.call] for command in self.due)

    def take(self, commands: list[Command]) -> None:
        for command in commands:
            if isinstance(command, Finish):
                self.finish = command
            elif isinstance(command, CancelCall):
                assert any(other.call == command.call for other in self.due)
                self.due = deque(other for other in self.due if other.call != command.call)
            elif isinstance(command, Console):
                self.shown.append(command.text)
            else:
                self.due.append(command)

    @property
    def outcome(self) -> tuple[Any, ...]:
        """What the caller sees, with nothing distant in it."""
        finish, shelf, root = self.finish, self.shelf or Shelf(), self.scheduler.root
        assert finish is not None
        states = {name: str(node.state) for name, node in root.nodes.items()}
        whole = shelf.get([dict(finish.all), dict(finish.results)])
        return *whole, finish.errors, finish.failure, states


def same(document: dict[str, Any], agent: Agent, **options: Any) -> Far:
    """Plays a graph with all its values at hand and with all of them on a shelf; the latter run."""
    near, far = Far(document, agent, **options), Far(document, agent, Shelf(), **options)
    near.run()
    far.run()
    assert far.outcome == near.outcome
    assert sorted(far.paths) == sorted(near.paths)
    assert not far.scheduler.board.calls, far.scheduler.board.calls
    return far
