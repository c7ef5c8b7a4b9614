"""Runs of many kinds, by seed, each with what it must come to.

What a run must give is computed here from the seed, by plain arithmetic: nothing is recorded, and
the engine has no part in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.chaos.agents import grown
from tests.chaos.effects import Place

Node = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Mixed:
    """A run: its graph, its end, the effects that it has, and the answers that it needs from people."""

    id: str
    kind: str
    document: Mapping[str, Any]
    results: Mapping[str, Any]
    errors: Mapping[str, str] = field(default_factory=dict)
    effects: frozenset[Place] = frozenset()
    answers: Mapping[str, str] = field(default_factory=dict)


class Builder:
    """Writes nodes, and remembers what they do."""

    def __init__(self, id: str, kind: str, rng: Random, book: Path | None, more: Mapping[str, Any]) -> None:
        self.id = id
        self.kind = kind
        self.rng = rng
        self._common = {} if book is None else {"book": str(book), "run": id}
        self._more = dict(more)
        self._effects: set[str] = set()

    def node(self, agent: str, inputs: Mapping[str, Any], add: int, **more: Any) -> Node:
        """A node of one of the agents here. `more` are its other keys."""
        params = {"add": add, **more.pop("params", {})}
        if agent != "pureAgent":
            params |= {**self._common, "seconds": round(self.rng.uniform(0.02, 0.3), 3)} | params
            more = {**self._more, **more}
        return {"agent": agent, "inputs": dict(inputs), "params": params, **more}

    def any_node(self, path: str, inputs: Mapping[str, Any], add: int, **more: Any) -> Node:
        """A node of an agent that is drawn, at `path`."""
        agent = self.rng.choice(("effectAgent", "effectAgent", "syncAgent", "flakyAgent", "pureAgent"))
        if agent == "flakyAgent":
            fails = self.rng.randrange(3)
            more = {
                "params": {"seed": self.rng.randrange(1000), "fails": fails},
                "retry": fails,
                "backoff": 0.2,
                **more,
            }
        if agent != "pureAgent":
            self.has_effect(path)
        return self.node(agent, inputs, add, **more)

    def has_effect(self, *paths: str) -> None:
        self._effects |= set(paths)

    def run(self, document: Mapping[str, Any], results: Mapping[str, Any], **more: Any) -> Mixed:
        places = frozenset((self.id, path) for path in self._effects)
        document = {"version": 0.5, **document}
        return Mixed(id=self.id, kind=self.kind, document=document, results=results, effects=places, **more)


def chain(make: Builder) -> Mixed:
    """One node after the other, of all agents."""
    length, value = make.rng.randint(4, 9), 1
    nodes: dict[str, Node] = {}
    for index in range(length):
        add = make.rng.randrange(1000)
        source = f":n{index - 1}.value" if index else value
        nodes[f"n{index}"] = make.any_node(f"n{index}", {"x": source}, add)
        value = grown(value, add)
    nodes[f"n{length - 1}"]["isResult"] = True
    return make.run({"nodes": nodes}, {f"n{length - 1}": {"value": value}})


def mapped(make: Builder) -> Mixed:
    """An effect and a pure node for each row, then one for all of them."""
    rows = [make.rng.randrange(1000) for _ in range(make.rng.randint(3, 10))]
    first, second, third = (make.rng.randrange(1000) for _ in range(3))
    inner = {
        "work": make.node("effectAgent", {"x": ":row"}, first),
        "more": make.node("pureAgent", {"x": ":work.value"}, second, isResult=True),
    }
    make.has_effect(*(f"rows[{index}].work" for index in range(len(rows))), "last")
    values = [grown(grown(row, first), second) for row in rows]
    last = {"x": ":rows.$last.more.value", "y": ":rows.$0.more.value"}
    nodes = {
        "rows": {
            "agent": "mapAgent",
            "inputs": {"rows": rows},
            "graph": {"nodes": inner},
            "isResult": True,
        },
        "last": make.node("effectAgent", last, third, isResult=True),
    }
    results = {
        "rows": [{"more": {"value": value}} for value in values],
        "last": {"value": grown(values[-1] + values[0], third)},
    }
    document: dict[str, Any] = {"nodes": nodes}
    if make.rng.random() < 0.5:
        document["concurrency"] = make.rng.randint(2, 4)
    return make.run(document, results)


def looped(make: Builder) -> Mixed:
    """Passes that hand a number on."""
    count, value, add = make.rng.randint(3, 6), make.rng.randrange(1000), make.rng.randrange(1000)
    nodes = {
        "state": {"value": value, "update": ":after.value"},
        "work": make.node("effectAgent", {"x": ":state"}, add, isResult=True),
        "after": make.node("pureAgent", {"x": ":work.value", "pass": "@loop"}, 7),
    }
    work = 0
    for index in range(count):
        make.has_effect(f"work@{index}" if index else "work")
        work = grown(value, add)
        value = grown(work + index, 7)
    return make.run({"loop": {"count": count}, "nodes": nodes}, {"work": {"value": work}})


def nested(make: Builder) -> Mixed:
    """A graph in a graph in a graph: a map at the bottom, a loop in the middle."""
    start, first, second = (make.rng.randrange(1000) for _ in range(3))
    passes, rows = make.rng.randint(2, 3), make.rng.randint(2, 3)
    bottom = {"work": make.node("effectAgent", {"x": ":row", "y": ":seed"}, first, isResult=True)}
    middle = {
        "seed": {"value": 0, "update": ":sum.value"},
        "each": {
            "agent": "mapAgent",
            "inputs": {"rows": list(range(rows)), "seed": ":seed"},
            "graph": {"nodes": bottom},
        },
        "sum": make.node("pureAgent", {"x": ":each.$last.work.value"}, second, isResult=True),
    }
    inner = {"agent": "nestedAgent", "inputs": {"seed": ":seed"}, "isResult": True}
    inner["graph"] = {"loop": {"count": passes}, "nodes": middle}
    nodes = {
        "first": make.node("effectAgent", {"x": start}, first),
        "outer": {
            "agent": "nestedAgent",
            "inputs": {"seed": ":first.value"},
            "timeout": 3_600_000,
            "graph": {"nodes": {"seed": {"value": 0}, "inner": inner}},
            "isResult": True,
        },
    }
    make.has_effect("first")
    value = grown(start, first)
    for index in range(passes):
        turn = f"@{index}" if index else ""
        make.has_effect(*(f"outer.inner.each{turn}[{row}].work" for row in range(rows)))
        value = grown(grown(rows - 1 + value, first), second)
    return make.run({"nodes": nodes}, {"outer": {"inner": {"sum": {"value": value}}}})


def asked(make: Builder) -> Mixed:
    """A person is asked, before and inside a map."""
    start, add = make.rng.randrange(1000), make.rng.randrange(1000)
    ask = {"agent": "textInputAgent", "params": {"message": "How many?", "required": True}}
    inner = {
        "ask": {**ask, "inputs": {"row": ":row"}},
        "work": make.node("effectAgent", {"x": ":row", "y": ":ask.text"}, add, isResult=True),
    }
    nodes = {
        "first": make.node("effectAgent", {"x": start}, add),
        "ask": {**ask, "inputs": {"after": ":first.value"}},
        "second": make.node("effectAgent", {"x": ":first.value", "y": ":ask.text"}, add, isResult=True),
        "rows": {
            "agent": "mapAgent",
            "inputs": {"rows": [1, 2], "after": ":ask.text"},
            "graph": {"nodes": {"after": {"value": ""}, **inner}},
            "isResult": True,
        },
    }
    answers = {path: "x" * make.rng.randint(1, 40) for path in ("ask", "rows[0].ask", "rows[1].ask")}
    make.has_effect("first", "second", "rows[0].work", "rows[1].work")
    second = grown(grown(start, add) + len(answers["ask"]), add)
    rows = [grown(row + len(answers[f"rows[{row - 1}].ask"]), add) for row in (1, 2)]
    results = {"second": {"value": second}, "rows": [{"work": {"value": value}} for value in rows]}
    return make.run({"nodes": nodes}, results, answers=answers)


def timed(make: Builder) -> Mixed:
    """A graph and an agent that take too long, next to a chain that does not."""
    start, add = make.rng.randrange(1000), make.rng.randrange(1000)
    slow = {"agent": "sleeperAgent", "params": {"duration": 600_000}, "inputs": {"a": 1}}
    nodes = {
        "graph": {
            "agent": "nestedAgent",
            "timeout": make.rng.randint(200, 3000),
            "graph": {"nodes": {"slow": {**slow, "isResult": True}}},
        },
        "agent": {**slow, "timeout": make.rng.randint(200, 2000), "retry": 1},
        "first": make.node("effectAgent", {"x": start}, add),
        "second": make.node("effectAgent", {"x": ":first.value"}, add, isResult=True),
        "never": make.node("effectAgent", {"x": ":graph.slow.a"}, add, isResult=True),
    }
    make.has_effect("first", "second")
    results = {"second": {"value": grown(grown(start, add), add)}}
    return make.run({"nodes": nodes}, results, errors={"graph": "Timeout", "agent": "Timeout"})


KINDS: tuple[Callable[[Builder], Mixed], ...] = (chain, mapped, looped, nested, asked, timed)


def mix(count: int, seed: int, book: Path | None, **more: Any) -> list[Mixed]:
    """That many runs, of all kinds in turn. `more` are keys for every node that has an effect."""
    return [one(KINDS[index % len(KINDS)], index, seed, book, **more) for index in range(count)]


def one(
    kind: Callable[[Builder], Mixed], index: int, seed: int, book: Path | None, id: str = "", **more: Any
) -> Mixed:
    """The run of this kind and number, under its own name or under `id`."""
    name = f"{kind.__name__}-{index}"
    return kind(Builder(id or name, kind.__name__, Random(f"{seed}/{name}"), book, more))
