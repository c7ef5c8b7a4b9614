"""Case files that are not whole graphs: agents, YAML, Mermaid pictures, references."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from perdure.agents.catalog import catalog
from perdure.errors import FunctionError, GraphError
from perdure.graph.mermaid import mermaid
from perdure.graph.template_compiler import compile_inputs
from perdure.graph.text.load import load
from perdure.graph.values import UNDEFINED
from tests.conformance.agents import difference_of, engine_agent
from tests.support.recorded import DEVIATIONS, normalized, same

Differ = Callable[[dict[str, Any]], str]


def unit_differences(data: Any, source: str) -> Iterator[tuple[str, str]]:
    """The name of each case of a file, and what differs from the recording: "" for nothing."""
    if isinstance(data, dict):
        scope = Recorded(data)
        for case in (*data["propFunctions"], *data["templates"]):
            yield case.get("ref") or case["template"], _reference(case, scope)
        return
    kinds: dict[str, Differ] = {"yaml": _yaml, "mermaid": _mermaid, "agent": _agent}
    for index, case in enumerate(data):
        kind = next(key for key in kinds if key in case)
        yield case.get("name") or f"{source}/{index} {case[kind]}", kinds[kind](case)


def is_listed(name: str) -> bool:
    """Whether a deviation of this case is listed, with its reason."""
    listed = {**DEVIATIONS.get("agents", {}), **DEVIATIONS.get("units", {})}
    return name in listed or name.partition(" ")[0] in listed


def _yaml(case: dict[str, Any]) -> str:
    try:
        data = load(case["yaml"]).data
    except GraphError as error:
        return "" if "error" in case else f"refused: {error.problems[0].finding}"
    if "error" in case:
        return f"read as {data!r}, recorded {case['error']}"
    return "" if same(data, case["parsed"]) else f"{data!r}, recorded {case['parsed']!r}"


def _mermaid(case: dict[str, Any]) -> str:
    drawn = mermaid(case["graph"])
    return "" if drawn == case["mermaid"] else drawn


def _agent(case: dict[str, Any]) -> str:
    agent = engine_agent(case["agent"]) or catalog().get(case["agent"])
    if agent is None:
        return f"there is no agent {case['agent']}"
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder)
        (files / "test.txt").write_text("hello\n")
        body = json.loads(json.dumps(case).replace("{{FILES}}", folder))
        return asyncio.run(difference_of(agent, body, files))


class Recorded:
    """The nodes that recorded references read."""

    now_ms = 0

    def __init__(self, data: dict[str, Any]) -> None:
        self.nodes = {**data["nodes"], "neg0": -0.0}
        self.loop = data["loopIndex"]

    def result(self, node: str, /) -> Any:
        return self.nodes.get(node, UNDEFINED)


def _reference(case: dict[str, Any], scope: Recorded) -> str:
    text = case.get("ref") or case["template"]
    try:
        value = compile_inputs({"value": text}).render(scope)["value"]
    except FunctionError as error:
        return "" if "thrown" in case else f"failed: {error}"
    if "thrown" in case:
        return f"{value!r}, recorded a failure"
    if case.get("undefined"):
        return "" if value is UNDEFINED else f"{value!r}, recorded undefined"
    plain = normalized(value)[0]
    return "" if same(plain, case.get("expected")) else f"{value!r}, recorded {case.get('expected')!r}"
