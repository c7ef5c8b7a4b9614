"""The shapes of what goes to models and comes back, as data."""

from typing import Any

import pytest

from perdure.agents.agent import declared
from perdure.agents.llm.agents import openai_chat, openai_fetch, openai_image
from perdure.agents.llm.messages import CompletionTimer, flat, merged, tool_calls
from perdure.agents.llm.providers import anthropic, gemini, groq
from perdure.errors import AgentError


@pytest.mark.parametrize(
    ("value", "expected"), [("a", "a"), (["a", None, "", "b"], "a\nb"), (None, ""), ([], ""), (5, 5)]
)
def test_flat(value: Any, expected: Any) -> None:
    assert flat(value) == expected


def test_merged() -> None:
    assert merged({"k": ["a"]}, {"k": "b"}, "k", "other") == "a\nb"
    assert merged({"k": ""}, {}, "k", ["x", "y"]) == "x\ny"


def test_calls_of_tools_are_bounded() -> None:
    call = {"id": "c", "function": {"name": "f", "arguments": "{}"}}
    assert len(tool_calls({"tool_calls": [call] * 1_000})) == 1_000
    with pytest.raises(AgentError, match="calls 1,001 tools, and it may call 1000"):
        tool_calls({"tool_calls": [call] * 1_001})


def test_clock() -> None:
    timing = CompletionTimer(start=0, first=1500.4, end=2000).metadata()["timing"]
    assert timing == {
        "start": "1970-01-01T00:00:00.000Z",
        "firstToken": "1970-01-01T00:00:01.500Z",
        "end": "1970-01-01T00:00:02.000Z",
        "latencyToFirstToken": 1500,
        "duration": 500,
        "totalElapsed": 2000,
    }


@pytest.mark.parametrize("function", [openai_chat, openai_fetch, openai_image, anthropic, gemini, groq])
def test_declared(function: Any) -> None:
    agent = declared(function)
    assert agent is not None
    assert (agent.category, bool(agent.samples), agent.is_async) == (("llm",), True, True)
