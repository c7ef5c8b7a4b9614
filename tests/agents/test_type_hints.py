"""Agents whose type hints say something: what becomes of the hints, and what is checked by them."""

from __future__ import annotations

import inspect
import math
import subprocess
import sys
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired

import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from perdure.agents.agent import Agent, AgentContext, agent, declared
from perdure.agents.catalog import catalog, load_agents
from perdure.errors import AgentError, FinalError, RunFailed, UsageError
from perdure.graph.values import UNDEFINED, Value
from perdure.testing import run_in_memory


class Tone(Enum):
    LOUD = "loud"
    SOFT = "soft"


class Text(TypedDict):
    text: str
    times: NotRequired[int]


@dataclass
class Style:
    tone: Tone = Tone.LOUD
    since: date | None = None
    tags: tuple[str, ...] = ()


class Shouted(BaseModel):
    text: str
    style: Style
    count: Annotated[int, Field(ge=0)] = 0


@agent("shout", pure=True)
def shout(inputs: Text, params: Style) -> Shouted:
    return Shouted(text=inputs["text"].upper() * inputs.get("times", 1), style=params)


@agent("shoutLater")
async def shout_later(inputs: Text) -> Shouted:
    return Shouted(text=inputs["text"].upper(), style=Style())


@agent("returnsAwaitable")
def returns_awaitable(inputs: Text) -> Awaitable[list[int]]:
    async def lengths() -> list[int]:
        return [len(inputs["text"])]

    return lengths()


@agent("measure", params={"type": "object", "description": "mine"})
def measure(inputs: dict[str, float], params: dict[str, int], context: AgentContext) -> float:
    return sum(inputs.values()) * params.get("by", 1) + context.retry


def of(function: Any) -> Agent:
    agent = declared(function)
    assert agent is not None
    return agent


async def call(function: Any, inputs: Value, params: Mapping[str, Value] | None = None) -> Any:
    result = of(function).call(inputs, params or {}, AgentContext())
    return await result if inspect.isawaitable(result) else result


PLAIN = {"tone": "loud", "since": None, "tags": []}
NO_INTEGER = "Input should be a valid integer"
NO_NUMBER = "Input should be a valid number"
NO_STRING = "Input should be a valid string"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("function", "inputs", "params", "result"),
    [
        (
            shout,
            {"text": "hi", "times": 2, "unknown": 1},
            {"tone": "soft", "since": "2020-02-29", "tags": ["a"]},
            {
                "text": "HIHI",
                "style": {"tone": "soft", "since": "2020-02-29", "tags": ["a"]},
                "count": 0,
            },
        ),
        (
            shout,
            {"text": "é🎈", "times": UNDEFINED},
            {"since": UNDEFINED},
            {"text": "É🎈", "style": PLAIN, "count": 0},
        ),
        (
            shout_later,
            {"text": "a"},
            {},
            {"text": "A", "style": {"tone": "loud", "since": None, "tags": []}, "count": 0},
        ),
        (returns_awaitable, {"text": "four"}, {}, [4]),
        (measure, {"a": 1, "b": 0.5}, {"by": 2}, 3.0),
        (measure, {"a": math.inf}, {}, math.inf),
    ],
)
async def test_a_call_that_fits(
    function: Any, inputs: Value, params: Mapping[str, Value], result: Value
) -> None:
    assert await call(function, inputs, params) == result


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("function", "inputs", "params", "message"),
    [
        (shout, {}, {}, "shout: inputs.text: Field required"),
        (shout, {"text": UNDEFINED}, {}, "shout: inputs.text: Field required"),
        (
            shout,
            {"text": 5, "times": "2"},
            {},
            f"shout: inputs.text: {NO_STRING}; inputs.times: {NO_INTEGER}",
        ),
        (shout, {"text": "a", "times": True}, {}, "shout: inputs.times: Input should be a valid integer"),
        (shout, {"text": "a", "times": 1.5}, {}, "shout: inputs.times: Input should be a valid integer"),
        (shout, {"text": "a"}, {"tone": "LOUD"}, "shout: params.tone: Input should be 'loud' or 'soft'"),
        (shout, {"text": "a"}, {"tags": ["a", 1]}, "shout: params.tags[1]: Input should be a valid string"),
        (shout, None, {}, "shout: inputs: Input should be an object"),
        (
            shout,
            {"text": "\ud83c"},
            {},
            "shout: inputs: a string holds half of a UTF-16 pair, which Python cannot encode",
        ),
        (
            measure,
            dict.fromkeys("abcdefg"),
            {},
            "measure: "
            + "; ".join(f"inputs.{key}: Input should be a valid number" for key in "abcde")
            + "; and 2 more",
        ),
        (shout_later, {}, {}, "shoutLater: inputs.text: Field required"),
    ],
)
async def test_arguments_that_do_not_fit(
    function: Any, inputs: Value, params: Mapping[str, Value], message: str
) -> None:
    with pytest.raises(FinalError) as failure:
        await call(function, inputs, params)
    assert str(failure.value) == message


def returning(hint: Any, result: Any) -> Any:
    def give() -> Any:
        return result

    give.__annotations__["return"] = hint
    return agent("give")(give)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("hint", "result", "message"),
    [
        (int, "5", "give: result: Input should be a valid integer"),
        (list[int], [1, "x"], "give: result[1]: Input should be a valid integer"),
        (Text, {}, "give: result.text: Field required"),
        (Style, {"tone": "loud"}, "give: result: Input should be an instance of Style"),
        (str, None, "give: result: Input should be a valid string"),
        (Style, Style(tags=5), "give: result: Pydantic serializer warnings"),
    ],
)
async def test_results_that_do_not_fit(hint: Any, result: Any, message: str) -> None:
    with pytest.raises(AgentError) as failure:
        await call(returning(hint, result), {})
    assert type(failure.value) is AgentError
    assert str(failure.value).startswith(message)


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (str, {"type": "string"}),
        ("list[int]", {"type": "array", "items": {"type": "integer"}}),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (
            Annotated[dict[str, Any], Field(description="all")],
            {"additionalProperties": True, "description": "all", "type": "object"},
        ),
        ("Text", "Text"),
        (Any, None),
        (object, None),
        (None, None),
        ("dict", None),
        ("dict[str, Value]", None),
        ("Mapping[str, Any]", None),
        (list[Any], None),
    ],
)
def test_schema_of_a_hint(hint: Any, schema: Any) -> None:
    output = of(returning(hint, None)).output
    if schema == "Text":
        assert output is not None
        assert (output["required"], set(output["properties"])) == (["text"], {"text", "times"})
    else:
        assert output == schema
    assert (of(returning(hint, None)).typed is None) is (schema is None)


def test_explicit_schemas_are_what_is_documented() -> None:
    assert of(measure).params == {"type": "object", "description": "mine"}
    assert of(measure).inputs == {"type": "object", "additionalProperties": {"type": "number"}}
    with pytest.raises(FinalError, match=r"measure: params.by: Input should be a valid integer"):
        of(measure).call({}, {"by": "x"}, AgentContext())


def test_the_function_stays_as_it_was() -> None:
    assert shout({"text": "x"}, Style()) == Shouted(text="X", style=Style())


def test_hints_of_a_local_class_are_refused_with_a_hint() -> None:
    class Local(TypedDict):
        text: str

    with pytest.raises(
        TypeError, match="agent 'x': the type hint 'Local' of inputs cannot be resolved"
    ) as failure:

        @agent("x")
        def local(inputs: Local) -> None: ...

    assert str(failure.value).startswith("agent 'x': ")
    assert "hint: define the type at the top level" in str(failure.value)


class Opaque:
    pass


@pytest.mark.parametrize("hint", ["Opaque", "list[Opaque]", "(", "math.nowhere"])
def test_hints_without_a_schema_are_refused(hint: str) -> None:
    with pytest.raises(TypeError, match=r"agent 'give': the type hint .* of return (has no JSON|cannot be)"):
        returning(hint, None)


def test_a_module_with_such_hints_is_refused_at_its_place(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("from perdure.agents.agent import agent\n@agent('x')\ndef x(inputs: 'Nowhere'): ...\n")
    with pytest.raises(UsageError, match=r"mine\.py:\d: TypeError: agent 'x': the type hint 'Nowhere'"):
        load_agents(str(path))


def test_typed_agents_in_a_run() -> None:
    graph = {
        "version": 0.5,
        "nodes": {
            "loud": {"agent": "shout", "inputs": {"text": "hi", "times": ":nothing.here"}, "isResult": True},
            "nothing": {"value": {}},
            "size": {"agent": "returnsAwaitable", "inputs": {"text": ":loud.text"}, "isResult": True},
        },
    }
    result = run_in_memory(graph, [shout, returns_awaitable])
    assert result.results["loud"]["text"] == "HI"
    assert result.results["size"] == [2]
    graph["nodes"]["loud"] = {"agent": "shout", "inputs": {"text": 1}, "retry": 3}
    with pytest.raises(RunFailed, match=r"shout: inputs.text: Input should be a valid string"):
        run_in_memory(graph, [shout, returns_awaitable])


def test_shipped_agents_have_plain_hints_and_import_no_pydantic() -> None:
    assert [name for name, agent in catalog().items() if agent.typed] == []
    code = "import sys, perdure.agents.catalog as c; c.catalog(); print('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
