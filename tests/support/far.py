"""Playing a run whose values are kept elsewhere: the store is a dictionary."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Self

from perdure.engine.board import Starting
from perdure.engine.large_values import large_values
from perdure.engine.messages import AgentCompleted, Event, Fetch, Fetched, RunAgent
from perdure.engine.snapshot import restore, snapshot
from perdure.graph.deferred import BlobRef, deferred_in, stored
from perdure.graph.evaluate import evaluate
from perdure.graph.values import is_dict, is_list, is_object
from perdure.protocol.encoding import decode, encode
from tests.support.drive import Drive

Agent = Callable[[RunAgent], Any]


@dataclass
class Shelf:
    """The store. `chance` is that of a value, unless it is a scalar, to be put there."""

    random: Random = field(default_factory=lambda: Random(0))
    chance: float = 1.0
    values: dict[str, Any] = field(default_factory=dict[str, Any])

    def put(self, value: Any) -> BlobRef:
        """What is stored has nothing deferred in it."""
        whole = self.get(value)
        digest = f"d{len(self.values)}"
        self.values[digest] = whole
        return stored(digest, 1_000_000, whole)

    def get(self, value: Any) -> Any:
        return evaluate(value, lambda blob: self.values[blob.digest])

    def some(self, value: Any) -> Any:
        """`value`, or parts of it, put on the shelf; only what could be large: nothing empty."""
        if (is_object(value) or isinstance(value, str)) and value and self.random.random() < self.chance:
            return self.put(value)
        if is_dict(value):
            return {key: self.some(item) for key, item in value.items()}
        return [self.some(item) for item in value] if is_list(value) else value

    def graph(self, document: dict[str, Any]) -> dict[str, Any]:
        """A graph with values of its static nodes on the shelf, those of graphs inside it too."""
        nodes = {name: self._node(node) for name, node in document["nodes"].items()}
        return {**document, "nodes": nodes}

    def _node(self, node: Any) -> Any:
        if isinstance(node.get("graph"), dict):
            return {**node, "graph": self.graph(node["graph"])}
        return {**node, "value": self.some(node["value"])} if "value" in node else node


class Far(Drive):
    """Answers a Fetch before all others.

    `shelf` None plays the run with its values in place. `moved` is the chance of being written down
    and restored before an event, `puts` that of its values being put on the shelf.
    """

    def __init__(
        self,
        document: dict[str, Any],
        agent: Agent,
        shelf: Shelf | None = None,
        moved: float = 0,
        puts: float = 0,
        **options: Any,
    ) -> None:
        super().__init__(shelf.graph(document) if shelf else document, agent, **options)
        self.agent, self.shelf, self.moved, self.puts = agent, shelf, moved, puts
        self.random = Random(1)
        self.fetched: list[Fetch] = []

    def step(self) -> Self:
        if self.random.random() < self.moved:
            self.move()
        if self.shelf is not None and self.random.random() < self.puts:
            for large in list(large_values(self.scheduler)):
                large.put(
                    self.shelf.put(large.value) if is_list(large.value) else self.shelf.some(large.value)
                )
        return super().step()

    def next(self) -> Starting:
        fetches = (command for command in self.waiting if isinstance(command, Fetch))
        return next(fetches, None) or super().next()

    def answer(self, command: Starting) -> Event:
        if isinstance(command, Fetch):
            return self.fetch(command)
        if isinstance(command, RunAgent):
            assert next(deferred_in(command.params), None) is None
            command = replace(command, inputs=(self.shelf or Shelf()).get(command.inputs))
        event = super().answer(command)
        if self.shelf is not None and isinstance(event, AgentCompleted):
            return AgentCompleted(event.call, self.shelf.some(event.result))
        return event

    def fetch(self, command: Fetch) -> Event:
        assert self.shelf is not None, f"{command} of a run that has its values"
        self.fetched.append(command)
        value = self.shelf.get(command.deferred)
        is_large = bool((is_object(value) or isinstance(value, str)) and value)
        if not command.whole and is_large and self.random.random() < 0.5:
            value = self.shelf.put(value)
        return Fetched(command.call, value)

    def move(self) -> None:
        """The run is written down as JSON, and restored."""
        data, places = encode(snapshot(self.scheduler))
        state = decode(data, json.loads(json.dumps(places)))
        self.scheduler, commands = restore(state, self.options, observe=self.observe)
        again = {command.call: command for command in commands if isinstance(command, Starting)}
        assert len(again) == len(commands)
        assert set(again) == {command.call for command in self.waiting}
        self.waiting = [again[command.call] for command in self.waiting]

    @property
    def outcome(self) -> tuple[Any, ...]:
        """What the caller sees, with nothing deferred in it."""
        finish, shelf, root = self.finish, self.shelf or Shelf(), self.scheduler.root
        assert finish is not None
        states = {name: str(node.state) for name, node in root.nodes.items()}
        whole = shelf.get([dict(finish.all), dict(finish.results)])
        return *whole, finish.errors, finish.failure, states


def same(document: dict[str, Any], agent: Agent, **options: Any) -> Far:
    """Plays a graph with all its values in place and with all of them on a shelf; the latter run."""
    near, far = Far(document, agent, **options), Far(document, agent, Shelf(), **options)
    near.run()
    far.run()
    assert far.outcome == near.outcome
    assert sorted(far.paths) == sorted(near.paths)
    assert not far.scheduler.board.calls, far.scheduler.board.calls
    return far
