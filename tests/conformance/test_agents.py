"""Every recorded call of an agent: GraphAI's result, failure and message."""

import copy
import inspect
import json
import math
import re
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from perdure.activities import sleepers
from perdure.activities.agent import Agent, AgentContext
from perdure.activities.catalog import catalog
from perdure.engine.graph_agents import GRAPH_AGENTS
from perdure.errors import AgentError, RunFailed
from perdure.graph.javascript import normalize_json
from perdure.graph.values import UNDEFINED, Undefined
from perdure.settings import Settings
from perdure.testing import memory_shell

HERE = Path(__file__).parent
UPSTREAM = HERE.parents[1] / "../shared/conformance/upstream/agents.json"
AGENTS = catalog()
DEVIATIONS: dict[str, str] = json.loads((HERE / "deviations.json").read_text(encoding="utf-8"))["agents"]

SPECIAL: dict[str, Any] = {
    "undefined": UNDEFINED,
    "NaN": math.nan,
    "Infinity": math.inf,
    "-Infinity": -math.inf,
    "-0": -0.0,
}


@dataclass(frozen=True)
class Case:
    """One recorded call; `key` is what deviations.json calls it."""

    key: str
    body: dict[str, Any]


def recorded(path: Path, source: str) -> list[Any]:
    if not path.exists():
        reason = f"the recordings of {source} are not here"
        return [pytest.param(Case(source, {}), id=source, marks=pytest.mark.skip(reason=reason))]
    bodies = json.loads(path.read_text(encoding="utf-8"))
    return [
        pytest.param(Case(f"{source}/{index}", body), id=f"{source}-{index}-{body['agent']}")
        for index, body in enumerate(bodies)
    ]


CASES = [*recorded(HERE / "own/agents.json", "own"), *recorded(UPSTREAM, "upstream")]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "test.txt").write_text("hello\n")
    return tmp_path


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(seconds: float) -> None:
        assert seconds >= 0

    monkeypatch.setattr(sleepers, "sleep", at_once)


@pytest.mark.anyio
@pytest.mark.parametrize("case", CASES)
async def test_recorded_call(case: Case, files: Path) -> None:
    name = case.body["agent"]
    body = json.loads(json.dumps(case.body).replace("{{FILES}}", str(files)))
    difference = await difference_of(engine_agent(name) or AGENTS[name], body, files)
    if case.key in DEVIATIONS:
        assert difference, f"{case.key} deviates no longer: remove it from deviations.json"
    else:
        assert not difference


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
    wanted = UNDEFINED if body.get("undefined") else restored(body["expected"], body.get("special", ()))
    return "" if same_value(result, wanted) else f"{result!r}, not {wanted!r}"


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


def test_deviations_are_of_known_cases() -> None:
    assert set(DEVIATIONS) <= {param.values[0].key for param in CASES}
