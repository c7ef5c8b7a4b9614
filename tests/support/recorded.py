"""Recorded cases of GraphAI, the agents they need, and how an outcome is compared with them."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perdure.agents.agent import Agent, AgentContext
from perdure.engine.messages import RunOptions
from perdure.errors import AgentError
from perdure.graph.values import UNDEFINED, ordered_keys
from tests.support import TESTS

HERE = TESTS / "conformance"
SHARED = HERE.parents[1].parent / "shared" / "conformance"
DEVIATIONS: dict[str, dict[str, str]] = json.loads((HERE / "deviations.json").read_text())

# V8's own words; only that the node fails is compared
FREE_TEXTS = ("SyntaxError", "TypeError", "RangeError")


@dataclass
class Outcome:
    """What a shell made of a case, in the format that --emit writes."""

    name: str
    status: str = "ok"
    stage: str | None = None
    thrown: str | None = None
    all: Any = None
    results: Any = None
    errors: dict[str, str] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    executions: int = 1

    def line(self) -> str:
        plain, special = normalized(self.all)
        data: dict[str, Any] = {"name": self.name, "status": self.status}
        if self.stage:
            data |= {"stage": self.stage, "thrown": self.thrown}
        data |= {"all": plain, "results": normalized(self.results)[0]}
        data |= {"errors": self.errors, "states": self.states}
        if special:
            data["special"] = special
        if self.order:
            data["order"] = self.order
        return json.dumps(data)


def holds_graphs(path: Path) -> bool:
    """Whether a file holds whole graphs with what became of them, not calls or strings."""
    data = json.loads(path.read_text(encoding="utf-8"))
    return isinstance(data, list) and all("graph" in case and "status" in case for case in data)


def load_cases(path: Path) -> list[dict[str, Any]]:
    """The graph cases of a file; `files` is the folder of the files that they read."""
    own_files = path.absolute().parent / "files"
    files = own_files if own_files.exists() else SHARED / "upstream" / "files"
    cases = json.loads(path.read_text(encoding="utf-8").replace("{{FILES}}", str(files)))
    return [{**case, "files": files} for case in cases]


def normalized(value: Any) -> tuple[Any, list[dict[str, str]]]:
    """`value` as JSON.stringify leaves it, and the places where something was lost."""
    special: list[dict[str, str]] = []
    plain = _plain(value, "", special, in_list=False)
    return (None if plain is UNDEFINED else plain), special


def _plain(value: Any, path: str, special: list[dict[str, str]], in_list: bool) -> Any:
    def note(kind: str) -> None:
        special.append({"path": path, "kind": kind})

    if value is UNDEFINED:
        note("undefined-in-array(null)" if in_list else "undefined(dropped)")
        return None if in_list else UNDEFINED
    if isinstance(value, float):
        if math.isnan(value):
            note("NaN(null)")
            return None
        if math.isinf(value):
            note(f"{'-' if value < 0 else ''}Infinity(null)")
            return None
        if value == 0 and math.copysign(1, value) < 0:
            note("-0(0)")
    if isinstance(value, list):
        return [_plain(item, f"{path}[{index}]", special, True) for index, item in enumerate(value)]
    if isinstance(value, dict):
        plain = {
            key: _plain(value[key], f"{path}.{key}" if path else key, special, False)
            for key in ordered_keys(value)
        }
        return {key: item for key, item in plain.items() if item is not UNDEFINED}
    return value


def same(left: Any, right: Any) -> bool:
    """Equality of JSON values as GraphAI would see it: doubles, and true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | float) and isinstance(right, int | float):
        return float(left) == float(right)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return type(left) is type(right) and left == right


def differences(case: dict[str, Any], got: Outcome) -> list[str]:
    """What differs from the recording; nothing for the crashes and hangs, which have no answer."""
    if case["status"] in ("crash", "hang"):
        return []
    if got.status != case["status"]:
        return [f"status {got.status} ({got.thrown}), recorded {case['status']} ({case.get('thrown')})"]
    lines = _thrown_differences(case, got) if case["status"] == "thrown" else _result_differences(case, got)
    if case.get("stage") != "construct" and got.states != case["states"]:
        lines.append(f"states {got.states}, recorded {case['states']}")
    if got.errors.keys() != case["errors"].keys():
        lines.append(f"errors {got.errors}, recorded {case['errors']}")
    if case["category"] == "probe-order" and got.order != case["order"]:
        lines.append(f"order {got.order}, recorded {case['order']}")
    return lines


def _thrown_differences(case: dict[str, Any], got: Outcome) -> list[str]:
    lines: list[str] = []
    if got.stage != case["stage"]:
        lines.append(f"stage {got.stage}, recorded {case['stage']}")
    if case.get("thrownType") not in FREE_TEXTS and got.thrown != case["thrown"]:
        lines.append(f"thrown {got.thrown!r}, recorded {case['thrown']!r}")
    if case["stage"] == "run" and "atEnd" in case and not same(normalized(got.all)[0], case["atEnd"]):
        lines.append(f"at the end {normalized(got.all)[0]!r}, recorded {case['atEnd']!r}")
    return lines


def _result_differences(case: dict[str, Any], got: Outcome) -> list[str]:
    lines: list[str] = []
    plain, special = normalized(got.all)
    if not same(plain, case["all"]):
        lines.append(f"all {json.dumps(plain)}, recorded {json.dumps(case['all'])}")
    if not same(normalized(got.results)[0], case["results"]):
        lines.append(f"results {got.results!r}, recorded {case['results']!r}")
    recorded = {(place["path"], place["kind"]) for place in case.get("special", [])}
    recorded = {place for place in recorded if not place[1].startswith("Error")}
    if {(place["path"], place["kind"]) for place in special} != recorded:
        lines.append(f"special {special}, recorded {case.get('special')}")
    return lines


def options_of(case: dict[str, Any]) -> RunOptions:
    options = case.get("options", {})
    return RunOptions(
        injects=tuple(
            (inject["nodeId"], inject.get("value", UNDEFINED)) for inject in case.get("injects", [])
        ),
        config=options.get("config") or {},
        graphs=options.get("graphs"),
        bypass_agents=options.get("bypassAgentIds") or (),
        force_loop=bool(options.get("forceLoop")),
        loop_count=options.get("loopCount"),
        previous_results=options.get("previousResults"),
    )


def mock_agents(case: dict[str, Any]) -> dict[str, Agent]:
    """The agents that a case wants in place of real ones."""
    return {name: _mock(name, spec) for name, spec in case.get("mocks", {}).items()}


def _mock(name: str, spec: dict[str, Any]) -> Agent:
    calls: dict[str, int] = {}

    def choose(context: AgentContext) -> dict[str, Any]:
        behaviour = (spec.get("nodes") or {}).get(context.node, spec.get("default", {}))
        if "sequence" in behaviour:
            count = calls.get(context.node, 0)
            calls[context.node] = count + 1
            behaviour = behaviour["sequence"][min(count, len(behaviour["sequence"]) - 1)]
        return behaviour

    def answer(inputs: Any, params: Any, context: AgentContext) -> Any:
        return _behave(choose(context), inputs, params, context)

    async def answer_later(inputs: Any, params: Any, context: AgentContext) -> Any:
        behaviour = choose(context)
        await asyncio.sleep(behaviour.get("sleep", 0) / 1000)
        return _behave(behaviour, inputs, params, context)

    sleeps = '"sleep"' in json.dumps(spec)
    function = answer_later if sleeps else answer
    return Agent(name=name, function=function, pure=not sleeps, arguments=("inputs", "params", "context"))


def _behave(behaviour: dict[str, Any], inputs: Any, params: Any, context: AgentContext) -> Any:
    if "throw" in behaviour:
        raise AgentError(behaviour["throw"])
    if "return" in behaviour:
        return behaviour["return"]
    if "context" not in behaviour:
        return UNDEFINED
    parts: dict[str, Callable[[], Any]] = {
        "namedInputs": lambda: inputs,
        "params": lambda: dict(params),
        "filterParams": lambda: context.filter_params,
        "config": lambda: dict(context.config),
        "debugInfo": lambda: debug_info(context),
    }
    asked = behaviour["context"]
    seen = parts[asked]() if isinstance(asked, str) else {part: parts[part]() for part in asked}
    return normalized(seen)[0]  # the recorded mocks hand out copies made by JSON


def debug_info(context: AgentContext) -> dict[str, Any]:
    return {
        "nodeId": context.node,
        "agentId": context.agent,
        "retry": context.retry,
        "isResult": context.is_result,
        "version": context.version,
        "verbose": context.verbose,
        "state": "executing",
    }
