"""The samples of the shipped agents, run; and what every shipped agent must say about itself."""

import inspect
from pathlib import Path
from typing import Any

import pytest

from perdure.agents.agent import Agent, AgentContext, Sample
from perdure.agents.catalog import catalog
from perdure.agents.shipped import sleeper
from perdure.graph.values import UNDEFINED
from perdure.settings import Settings

AGENTS = catalog()
NEEDS_MORE = {"graph", "fs", "service", "llm", "embedding", "input", "event"}
"""Categories whose samples may need files, a network, a model, a person or the engine.

They are run by tests of their own.
"""

TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "number": (int, float),
    "boolean": bool,
}


def offline() -> list[Any]:
    return [
        pytest.param(agent, sample, id=f"{name}-{index}")
        for name, agent in AGENTS.items()
        if name in ("pathUtilsAgent", "windowAgent") or not NEEDS_MORE & set(agent.category)
        for index, sample in enumerate(agent.samples)
    ]


@pytest.mark.anyio
@pytest.mark.parametrize(("agent", "sample"), offline())
async def test_sample(agent: Agent, sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    context = AgentContext(agent=agent.name, settings=Settings(home=tmp_path))
    result = agent.call(sample.inputs, sample.params, context)
    result = await result if inspect.isawaitable(result) else result
    assert result == sample.result
    for schema, value in (
        (agent.inputs, sample.inputs),
        (agent.params, sample.params),
        (agent.output, result),
    ):
        assert fits(schema or {}, value), f"{value!r} is not what the schema of {agent.name} says"


@pytest.mark.parametrize("agent", AGENTS.values(), ids=AGENTS.keys())
def test_agent_is_documented(agent: Agent) -> None:
    assert agent.description
    assert agent.category
    assert agent.samples
    assert agent.output is not None
    assert not agent.pure or not agent.is_async


def fits(schema: Any, value: Any) -> bool:
    """The part of JSON Schema that the agents use."""
    if "anyOf" in schema:
        return any(fits(each, value) for each in schema["anyOf"])
    if value is UNDEFINED:
        return True
    if ("const" in schema and value != schema["const"]) or value not in schema.get("enum", [value]):
        return False
    if "type" in schema and not isinstance(value, TYPES[schema["type"]]):
        return False
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        known = all(fits(properties.get(key, {}), item) for key, item in value.items())
        return known and set(schema.get("required", ())) <= value.keys()
    return not isinstance(value, list) or all(fits(schema.get("items", {}), item) for item in value)


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        ({"type": "object", "required": ["a"]}, {}, False),
        ({"properties": {"a": {"type": "string"}}}, {"a": 1}, False),
        ({"properties": {"a": {"type": "string"}}}, {"a": "x", "b": 1}, True),
        ({"type": "array", "items": {"type": "number"}}, [1, "x"], False),
        ({"anyOf": [{"type": "string"}, {"const": False}]}, False, True),
        ({"enum": ["x"]}, "y", False),
    ],
)
def test_the_check_of_schemas_can_fail(schema: dict[str, Any], value: Any, expected: bool) -> None:
    assert fits(schema, value) is expected


@pytest.mark.anyio
async def test_stream_emits_every_character() -> None:
    pieces: list[Any] = []

    async def emit(piece: Any, /) -> None:
        pieces.append(piece)

    agent = AGENTS["streamMockAgent"]
    result = await agent.call({"message": "né🎈"}, {"sleep": 1}, AgentContext(emit=emit))
    assert (pieces, result) == (["n", "é", "🎈"], {"message": "né🎈"})


@pytest.mark.parametrize(
    ("inputs", "line"),
    [({"text": "x"}, "x"), ({"text": {"a": [1]}}, '{\n  "a": [\n    1\n  ]\n}'), ({}, "undefined")],
)
def test_console_logs(inputs: dict[str, Any], line: str) -> None:
    lines: list[str] = []
    AGENTS["consoleAgent"].call(inputs, {}, AgentContext(log=lines.append))
    assert lines == [line]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("duration", "seconds"),
    [
        (250, 0.25),
        ("20", 0.02),
        (0, 0.001),
        (-5, 0.001),
        ("soon", 0.001),
        (float("inf"), 0.001),
        (None, 0.01),
    ],
)
async def test_sleeper_waits(duration: Any, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def record(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(sleeper, "rest", record)
    assert await AGENTS["sleeperAgent"].call({"a": 1}, {"duration": duration}, AgentContext()) == {"a": 1}
    assert slept == [seconds]


@pytest.mark.anyio
@pytest.mark.parametrize(("retry", "fails"), [(0, True), (1, True), (2, False)])
async def test_debug_sleeper_fails_twice(retry: int, fails: bool) -> None:
    call = AGENTS["sleeperAgentDebug"].call
    failure = None
    try:
        result = await call({}, {"duration": 1, "fail": True, "value": {"a": 1}}, AgentContext(retry=retry))
    except sleeper.AgentError as error:
        failure, result = str(error), None
    assert (failure, result) == ((sleeper.INTENTIONAL, None) if fails else (None, {"a": 1}))
