"""Random graphs in which values carry marks of where they come from: no mark may arrive where it may not."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from perdure.agents.agent import agent
from perdure.errors import GraphError, RunFailed
from perdure.policy.labels import AgentLabels
from perdure.settings import Settings
from perdure.testing import MemoryEnvironment, run_in_memory

KINDS = ("static", "private", "page", "mix", "send", "send", "nested", "map", "name", "pass")


def marks(value: Any) -> set[str]:
    """The marks anywhere in a value."""
    if isinstance(value, dict):
        return set().union(*map(marks, value.values()))
    if isinstance(value, list):
        return set().union(*map(marks, value))
    return {mark for mark in ("PRIVATE", "UNTRUSTED") if isinstance(value, str) and mark in value}


class Trial:
    """One random graph, and what its agents have seen."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.leaks: list[str] = []
        self.calls = self.refusals = 0
        self.graph = self.graph_of(3)

    def graph_of(self, depth: int, outer: tuple[str, ...] = ()) -> dict[str, Any]:
        """A graph whose nodes refer to earlier ones, and to those that come from outside."""
        chance, nodes, names = self.random, {}, list(outer)
        for number in range(chance.randint(2, 7)):
            name = f"n{number}"
            nodes[name] = self.node(depth, names)
            names.append(name)
        graph: dict[str, Any] = {"nodes": nodes}
        if chance.random() < 0.3:
            graph["loop"] = {"count": 2}
            nodes["carried"] = {"value": "x", "update": f":{chance.choice(names)}"}
            nodes["seen"] = {"agent": "send", "inputs": {"x": ":carried", "to": ":carried"}}
        return graph

    def node(self, depth: int, names: list[str]) -> dict[str, Any]:
        """One node."""
        chance = self.random
        kind = chance.choice(KINDS)
        node: dict[str, Any] = {"isResult": True}
        if kind == "static":
            return {"value": chance.choice(["x", "mix", ["y", "z"]])}
        inputs = {key: self.data(names) for key in ("x", "to")[: chance.randint(1, 2)]}
        if kind in ("private", "page", "mix", "send"):
            return {**node, "agent": kind, "inputs": inputs}
        if kind == "pass":
            return {**node, "agent": "mix", "inputs": {"x": 1}, "passThrough": {"y": self.data(names)}}
        if kind == "name":
            named = {"value": "mix"} if not names else {"agent": "mix", "inputs": inputs}
            return {**node, **named, "fallback": "mix"} if names else named
        if depth <= 1:
            return {**node, "agent": "mix", "inputs": inputs}
        if kind == "nested":
            graph = self.graph_of(depth - 1, ("x", "to")[: len(inputs)])
            return {**node, "agent": "nestedAgent", "inputs": inputs, "graph": graph}
        rows = {**inputs, "rows": [self.data(names), self.data(names)]}
        graph = self.graph_of(depth - 1, (*inputs, "row"))
        return {**node, "agent": "mapAgent", "inputs": rows, "graph": graph}

    def data(self, names: list[str]) -> Any:
        """What an input is: a constant, a reference, a string or a list with some."""
        chance = self.random
        if not names or chance.random() < 0.2:
            return "constant"
        name = chance.choice(names)
        return chance.choice([f":{name}", f"a ${{:{name}}} b", [f":{name}", 1], {"k": f":{name}"}])

    def agents(self) -> list[Any]:
        """Sources of marks, one that mixes, one that sends."""

        @agent("private", labels=AgentLabels(gives=("private",)))
        async def private(inputs: Any) -> Any:
            return [inputs, "PRIVATE"]

        @agent("page", labels=AgentLabels(gives=("untrusted",)))
        async def page(inputs: Any) -> Any:
            return [inputs, "UNTRUSTED"]

        @agent("mix", pure=True)
        def mix(inputs: Any) -> Any:
            return {"mixed": inputs}

        @agent("send", labels=AgentLabels(effect="sends", trusted=("to",)))
        async def send(inputs: Any) -> Any:
            self.calls += 1
            if "PRIVATE" in marks(inputs):
                self.leaks.append(f"private data was sent: {inputs}")
            if "UNTRUSTED" in marks(inputs.get("to")):
                self.leaks.append(f"untrusted data chose: {inputs}")
            return "sent"

        return [private, page, mix, send]

    def play(self, home: Path, *, trusts: bool = False) -> None:
        """Runs the graph, with the rules for data or without."""
        settings = Settings(home=home, trust_graphs=trusts)
        environment = MemoryEnvironment(settings=settings, console=lambda _: None)
        try:
            run_in_memory(self.graph, self.agents(), environment=environment)
        except GraphError:
            return
        except RunFailed as error:
            self.refusals += "not granted" in str(error)
