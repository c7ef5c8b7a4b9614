"""Calling an agent as it was recorded, and what differs then."""

from __future__ import annotations

import copy
import inspect
import math
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from perdure.agents.agent import Agent, AgentContext
from perdure.engine.graph_agents import GRAPH_AGENTS
from perdure.errors import AgentError, RunFailed
from perdure.graph.javascript import normalize_json
from perdure.graph.values import UNDEFINED, Undefined
from perdure.settings import Settings
from perdure.testing import memory_shell

SPECIAL: dict[str, Any] = {
    "undefined": UNDEFINED,
    "NaN": math.nan,
    "Infinity": math.inf,
    "-Infinity": -math.inf,
    "-0": -0.0,
}


def engine_agent(name: str) -> Agent | None:
    """An agent that the engine carries out, as a function: it runs a graph of one node."""
    if name not in GRAPH_AGENTS:
        return None

    async def run(inputs: dict[str, Any], params: dict[str, Any], graph: Any = None) -> Any:
        node = {"agent": name, "params": params, "inputs": {key: f":given.{key}" for key in inputs}}
        if graph is not None:
            node["graph"] = graph
        document = {"nodes": {"given": {"value": inputs}, "node": node}}
        try:
            return (await memory_shell(document).run()).all.get("node", UNDEFINED)
        except RunFailed as error:
            raise AgentError(str(error)) from error

    return Agent(name=name, function=run, arguments=("inputs", "params"))


async def difference_of(agent: Agent, body: dict[str, Any], files: Path) -> str:
    """What is not as recorded, in words; nothing where all is."""
    inputs = restored(body["inputs"], body.get("inputsSpecial", ()))
    params = restored(body["params"], ())
    settings = Settings(home=files / "home", file_root=files, file_writes=True)
    context = AgentContext(node="test", agent=agent.name, settings=settings, config=body.get("config", {}))
    before = copy.deepcopy((inputs, params))
    try:
        if "graph" in body:
            agent = replace(agent, function=partial(agent.function, graph=body["graph"]))
        result = agent.call(inputs, params, context)
        result = await result if inspect.isawaitable(result) else result
    except AgentError as error:
        if "thrown" not in body:
            return f"failed: {error}"
        same = body["thrownType"] != "Error" or str(error) == body["thrown"]
        return "" if same else f"message {str(error)!r}, not {body['thrown']!r}"
    if not same_value((inputs, params), before):
        return "the inputs were changed"
    if "thrown" in body:
        return f"gave {result!r}, and should have failed: {body['thrown']}"
    expected = UNDEFINED if body.get("undefined") else restored(body["expected"], body.get("special", ()))
    return "" if same_value(result, expected) else f"{result!r}, not {expected!r}"


def restored(value: Any, special: Any) -> Any:
    """What was recorded, with what JSON could not hold back in its places."""
    root = {"": normalize_json(value)}
    for place in special:
        steps = ["", *re.findall(r"[^.\[\]]+", place["path"])]
        target: Any = root
        for step in steps[:-1]:
            target = target[int(step) if isinstance(target, list) else step]
        last = int(steps[-1]) if isinstance(target, list) else steps[-1]
        target[last] = SPECIAL[re.sub("-in-array|\\(.*\\)", "", place["kind"])]
    return root[""]


def same_value(left: Any, right: Any) -> bool:
    """Equality of the language: by type, numbers as doubles, NaN the same as itself, -0 not as 0."""
    if isinstance(left, dict):
        same_keys = isinstance(right, dict) and left.keys() == right.keys()
        return same_keys and all(same_value(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple):
        same_length = isinstance(right, list | tuple) and len(left) == len(right)
        return same_length and all(map(same_value, left, right))
    if left is None or isinstance(left, bool | str | Undefined):
        return type(left) is type(right) and left == right
    if isinstance(right, bool) or not isinstance(right, int | float):
        return False
    alike = float(left) == float(right) and math.copysign(1, left) == math.copysign(1, right)
    return alike or (math.isnan(left) and math.isnan(right))
