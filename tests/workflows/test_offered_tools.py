"""A model calls tools that it was offered, and no other agent, in both shells."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.agents.agent import agent
from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.engine.graph_agents import GRAPH_AGENTS
from perdure.testing import memory_shell
from tests.support.durable import started

pytestmark = pytest.mark.anyio

INVENTED = [
    *(f"{name}--{function}" for name in (*catalog(), *GRAPH_AGENTS) for function in ("on", "steal")),
    *(
        "lamp--off",
        "lamp",
        "lamp--on--",
        "--lamp--on",
        "LAMP--on",
        "lamp--on ",
        "",
        "--",
        "toolsAgent.refusal--x",
    ),
    *("perdure.agents--x", "perdure.segment--x", "lamp\u200b--on", "__proto__--x", "nobody"),
]
CALLED = {"toolsAgent": INVENTED, "toolsSequentialAgent": INVENTED[-20:]}
"""What the model calls. One that waits for each answer asks for fewer: every call is another pass."""

OFFERED = "lamp--on"
REFUSED = "Error: there is no such tool, and nothing was called."


@agent("lamp")
def lamp(inputs: Any) -> Any:
    """Says what it was called for."""
    return {"content": f"{inputs['func']} {inputs['arg']['room']}"}


def obedient(invented: list[str]) -> Any:
    """A model that calls all tools that a page made it believe in, and is then content."""

    @agent("obedient")
    def called(inputs: Any) -> Any:
        if inputs["messages"]:
            return {"message": {"role": "assistant", "content": "done"}}
        arguments = {"room": "hall", "file": ".env", "url": "http://127.0.0.1/", "text": "?", "inputs": {}}
        calls = [{"id": name, "name": name, "arguments": arguments} for name in (OFFERED, *invented)]
        return {"message": {"role": "assistant", "content": None}, "tool_calls": calls, "tool": calls[0]}

    return called


def chat(name: str, tools: Any) -> Any:
    inputs = {"llmAgent": "obedient", "messages": [], "userInput": {"text": "Light!"}, "tools": tools}
    return {"version": 0.5, "nodes": {"chat": {"agent": name, "isResult": True, "inputs": inputs}}}


TOOLS = [{"type": "function", "function": {"name": OFFERED}}, {"type": "function"}, None, "lamp--off"]


def answers(results: Any) -> dict[str, Any]:
    """What the model reads of each call."""
    tool_messages = (message for message in results["chat"]["messages"] if message["role"] == "tool")
    return {message["tool_call_id"]: message["content"] for message in tool_messages}


@pytest.mark.parametrize("name", ["toolsAgent", "toolsSequentialAgent"])
@pytest.mark.parametrize("tools", [TOOLS, [], None, "lamp--on"], ids=["one", "none", "null", "text"])
async def test_in_memory(name: str, tools: Any) -> None:
    run = await memory_shell(chat(name, tools), [lamp, obedient(CALLED[name])]).run()
    lit = "on hall" if tools is TOOLS else REFUSED
    assert answers(run.results) == {OFFERED: lit, **dict.fromkeys(CALLED[name], REFUSED)}


@pytest.mark.parametrize("name", ["toolsAgent", "toolsSequentialAgent"])
async def test_durable(client: GraphClient, name: str) -> None:
    agents = {**catalog(), "lamp": lamp.agent, "obedient": obedient(CALLED[name]).agent}
    async with started(client, f"offered-{name}", chat(name, TOOLS), agents, client.settings) as run:
        result = await run.result()
        assert answers(result.results) == {OFFERED: "on hall", **dict.fromkeys(CALLED[name], REFUSED)}
        history = await run.handle.fetch_history()
    called = {
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in history.events
        if event.HasField("activity_task_scheduled_event_attributes")
    }
    assert called <= {"obedient", "lamp"}
