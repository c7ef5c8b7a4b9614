"""Agents that a case brings along: they return, throw, or report what they were called with."""

from __future__ import annotations

from typing import Any

from perdure.graph.values import UNDEFINED
from tests.differential import calls
from tests.differential.draw import Draw
from tests.differential.references import References

NAMES = ("mockOk", "mockFail", "mockTwice", "mockContext", "mockNothing")


class Mocks:
    """The agents of one case; `specs` is what the case says of them."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.specs: dict[str, Any] = {}

    def call(self, node: str, refs: References) -> tuple[dict[str, Any], Any]:
        """A node that calls one of them, and what may come of it."""
        draw = self.draw
        agent = draw.weighted(dict(zip(NAMES, (4, 1.2, 1.5, 2, 0.7), strict=True)))
        inputs, _, _ = calls.call("copyAgent", draw, refs)
        self.add(agent)
        if draw.chance(0.2):
            self.specs[agent].setdefault("nodes", {})[node] = self._behaviour()
        example = self.specs[agent]["default"].get("return", UNDEFINED)
        return {"agent": agent, "inputs": inputs}, example

    def add(self, agent: str) -> None:
        """Makes sure that there is this agent."""
        draw = self.draw
        context = draw.pick((["params", "config", "debugInfo"], "config", "params", "namedInputs"))
        defaults: dict[str, Any] = {
            "mockOk": {"return": draw.value()},
            "mockFail": {"throw": draw.pick(("no", "Intentional Error for Debugging", "", "é"))},
            "mockTwice": {"sequence": [self._behaviour() for _ in range(draw.count(2, 4))]},
            "mockContext": {"context": context},
            "mockNothing": {},
        }
        self.specs.setdefault(agent, {"default": defaults[agent]})

    def _behaviour(self) -> dict[str, Any]:
        if self.draw.chance(0.35):
            return {"throw": self.draw.pick(("no", "later", "boom"))}
        return {"return": self.draw.value()} if self.draw.chance(0.9) else {}
