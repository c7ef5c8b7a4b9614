"""toolsAgent and toolsSequentialAgent: recorded runs of GraphAI's, and one with the real client.

tools_cases.json holds inputs of our own and what npm @graphai/tools_agent 1.0.5 made of them under
graphai 2.0.18, every case in a process of its own: the result, and each call of the stand-ins `mocks`.
"""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from perdure.agents.agent import Agent, AgentContext, agent
from perdure.agents.catalog import catalog
from perdure.agents.llm import openai_client
from perdure.errors import RunFailed
from perdure.settings import Settings
from perdure.testing import MemoryEnvironment, memory_shell, run_in_memory
from tests.support.recorded import FREE_TEXTS, mock_agents, normalized, options_of, same
from tests.support.servers import Answer, Seen, called, said, serve


def called_names(value: Any) -> list[str]:
    """The names of tools that a stand-in for the model calls, wherever they are in a case."""
    if isinstance(value, list):
        return [name for item in value for name in called_names(item)]
    if not isinstance(value, dict):
        return []
    here = [call["name"] for call in value.get("tool_calls") or [] if call and "name" in call]
    return [*here, *(name for item in value.values() for name in called_names(item))]


def offering(case: dict[str, Any]) -> dict[str, Any]:
    """The case with every tool that its model calls among `tools`, which say nothing to GraphAI."""
    names = dict.fromkeys(called_names(case["mocks"]))
    tools = [{"type": "function", "function": {"name": name}} for name in names] or [{"type": "function"}]
    return json.loads(json.dumps(case).replace('[{"type": "function"}]', json.dumps(tools)))


CASES: list[dict[str, Any]] = [
    offering(case)
    for case in json.loads((Path(__file__).parent / "tools_cases.json").read_text(encoding="utf-8"))
]

INSTEAD_OF_A_CRASH = {
    "unknown_tool_suppressed": {
        "chat": {"onError": {"message": "No agent: radio in toolCallAgent node", "error": {}}}
    },
    "llm_agent_null": "No agent: null in llmCallWithTools node",
}
"""Where GraphAI's process ends, a run of ours fails with the same message, or with what is said here."""


def watched(case: dict[str, Any], note: Callable[[Any, Any, AgentContext], None]) -> dict[str, Agent]:
    """The stand-ins of a case; `note` receives each call."""

    def one(stand_in: Agent) -> Agent:
        def function(inputs: Any, params: Any, context: AgentContext) -> Any:
            note(inputs, params, context)
            return stand_in.call(inputs, params, context)

        return replace(stand_in, function=function)

    return {name: one(stand_in) for name, stand_in in mock_agents(case).items()}


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_as_recorded(case: dict[str, Any]) -> None:
    calls: list[dict[str, Any]] = []

    def note(inputs: Any, params: Any, context: AgentContext) -> None:
        call = {"agent": context.agent, "node": context.node, "inputs": inputs, "params": dict(params)}
        call["isResult"] = context.is_result
        calls.append({key: value for key, value in normalized(call)[0].items() if value})

    failure, results = None, None
    try:
        results = run_in_memory(case["graph"], watched(case, note), options=options_of(case)).results
    except RunFailed as error:
        failure = str(error)
    recorded = expected(case)
    if isinstance(recorded, str):
        assert failure is not None
        assert case.get("thrownType") in FREE_TEXTS or failure == recorded
    else:
        assert failure is None
        assert same(normalized(results)[0], recorded), (normalized(results)[0], recorded)
    assert calls == case["calls"]


def expected(case: dict[str, Any]) -> Any:
    """The results, or the message of the failure."""
    if case["status"] == "crash":
        return INSTEAD_OF_A_CRASH.get(case["name"].partition("/")[2], case["thrown"])
    return case["results"] if case["status"] == "ok" else case["thrown"]


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        (
            "toolsAgent",
            [
                "chat.llmCallWithTools",
                "chat.llmToolAgentCallMap[0].toolCallAgent",
                "chat.llmToolAgentCallMap[1].toolCallAgent",
                "chat.toolsResponseLLM",
            ],
        ),
        (
            "toolsSequentialAgent",
            [
                "chat.llmCallWithTools",
                "chat.llmToolAgentCallMap.toolCallAgent",
                "chat.llmToolAgentCallMap.toolsResponseLLM",
                "chat.llmToolAgentCallMap.toolCallAgent@1",
                "chat.llmToolAgentCallMap.toolsResponseLLM@1",
            ],
        ),
    ],
)
def test_every_call_is_one_of_its_own(name: str, paths: list[str]) -> None:
    case = next(case for case in CASES if case["name"] == f"{name}/same_tool_twice")
    seen: list[tuple[str, str]] = []
    agents = watched(
        case, lambda _inputs, _params, context: seen.append((context.path, context.idempotency_key))
    )
    run_in_memory(case["graph"], agents)
    assert [path for path, _ in seen] == paths
    assert len({key for _, key in seen}) == len(paths)


# ---- With the real client ----------------------------------------------------------------------------

TOOL = {"type": "function", "function": {"name": "weather--look_up", "parameters": {"type": "object"}}}


@agent("weather", pure=True)
def weather(inputs: Any) -> Any:
    return {"content": f"{inputs['arg']['city']}: sun", "data": {"func": inputs["func"]}}


@pytest.fixture
async def clients() -> AsyncIterator[None]:
    yield
    await openai_client.close_clients()


def model(seen: Seen) -> Answer:
    """Looks up two cities when it is asked by a person, and sums up what tools have said."""
    last = seen.json["messages"][-1]
    if last["role"] == "tool":
        return said("Then: ", last["content"])
    return called(
        ("call_1", "weather--look_up", '{"city": "Oslo"}'), ("call_2", "weather--look_up", '{"city": "Rome"}')
    )


def call_of(number: int, city: str) -> dict[str, Any]:
    function = {"name": "weather--look_up", "arguments": json.dumps({"city": city})}
    return {"id": f"call_{number}", "type": "function", "function": function}


def tool_result(number: int, city: str, **more: Any) -> dict[str, Any]:
    extra = {"agent": "weather", "arg": {"city": city}, "func": "look_up"}
    message = {"role": "tool", "tool_call_id": f"call_{number}", "content": f"{city}: sun"}
    if more:
        message["name"] = "weather--look_up"
    return {**message, "extra": {**extra, **more}}


SYSTEM = {"role": "system", "content": "Be brief."}
ASKED = {"role": "user", "content": "Weather?"}
CALLED = {"role": "assistant", "tool_calls": [call_of(1, "Oslo"), call_of(2, "Rome")]}
CALLS = {**CALLED, "content": None}  # the last node cleans its inputs (anyInput): results lack the null
DATA = {"data": {"func": "look_up"}}


@pytest.mark.anyio
@pytest.mark.usefixtures("clients")
@pytest.mark.parametrize(
    ("name", "sent", "result"),
    [
        (
            "toolsAgent",
            [[SYSTEM, ASKED], [ASKED, CALLS, tool_result(1, "Oslo"), tool_result(2, "Rome")]],
            {
                "messages": [
                    SYSTEM,
                    ASKED,
                    CALLED,
                    tool_result(1, "Oslo"),
                    tool_result(2, "Rome"),
                    {"role": "assistant", "content": "Then: Rome: sun"},
                ],
                "data": {"weather--look_up": {"content": "Rome: sun", **DATA}},
            },
        ),
        (
            "toolsSequentialAgent",
            [
                [SYSTEM, ASKED],
                [SYSTEM, ASKED, CALLS, tool_result(1, "Oslo", **DATA)],
                [
                    SYSTEM,
                    ASKED,
                    CALLS,
                    tool_result(1, "Oslo", **DATA),
                    {"role": "assistant", "content": "Then: Oslo: sun"},
                    tool_result(2, "Rome", **DATA),
                ],
            ],
            {
                "messages": [
                    SYSTEM,
                    ASKED,
                    CALLED,
                    tool_result(1, "Oslo", **DATA),
                    {"role": "assistant", "content": "Then: Oslo: sun"},
                    tool_result(2, "Rome", **DATA),
                    {"role": "assistant", "content": "Then: Rome: sun"},
                ]
            },
        ),
    ],
)
async def test_with_a_model(name: str, sent: list[Any], result: Any) -> None:
    inputs = {"llmAgent": "openAIAgent", "messages": [SYSTEM], "userInput": {"text": "Weather?"}}
    graph = {"nodes": {"chat": {"agent": name, "isResult": True, "inputs": {**inputs, "tools": [TOOL]}}}}
    with serve(model) as server:
        settings = Settings(keys={"openai": "sk-test"}, base_urls={"openai": f"{server.url}/v1"})
        run = await memory_shell(graph, [weather], environment=MemoryEnvironment(settings=settings)).run()
    assert run.results == {"chat": result}
    bodies = [seen.json for seen in server.seen]
    assert [body["messages"] for body in bodies] == sent
    assert [body["model"] for body in bodies] == ["gpt-4o"] * len(sent)
    assert [body.get("tools") for body in bodies] == [[TOOL], *[None] * (len(sent) - 1)]


def test_what_the_graphs_call_is_shipped() -> None:
    assert {"toolsAgent.data", "toolsAgent.merge"} <= catalog().keys()
