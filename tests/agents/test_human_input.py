"""Agents that wait for a person, on the in-memory shell."""

from dataclasses import replace

import pytest

from perdure.agents.shipped.human_input import text_input
from perdure.engine.human_tasks import HumanPrompt
from perdure.errors import RunFailed
from perdure.graph.values import Value
from perdure.testing import MemoryEnvironment, run_in_memory

GRAPH: dict[str, Value] = {
    "nodes": {
        "name": {"agent": "textInputAgent", "params": {"message": "Who are you?", "required": True}},
        "hello": {"agent": "copyAgent", "inputs": {"text": "Hello ${:name.text}"}, "isResult": True},
    }
}


def test_the_answer_becomes_the_result() -> None:
    asked: list[HumanPrompt] = []

    async def ask(question: HumanPrompt) -> str:
        asked.append(replace(question, asked=0))
        return ["", "Ada"][len(asked) - 1]

    result = run_in_memory(GRAPH, environment=MemoryEnvironment(ask=ask))
    assert result.all["name"] == {"text": "Ada", "message": {"role": "user", "content": "Ada"}}
    assert result.results == {"hello": {"text": "Hello Ada"}}
    assert asked == [HumanPrompt(path="name", message="Who are you?", required=True, node="name")] * 2


def test_the_sample_is_what_an_answer_gives() -> None:
    sample = text_input.agent.samples[0]

    async def ask(question: HumanPrompt) -> str:
        assert question.message == sample.params["message"]
        return "Lisbon"

    graph = {"nodes": {"ask": {"agent": "textInputAgent", "params": dict(sample.params)}}}
    assert run_in_memory(graph, environment=MemoryEnvironment(ask=ask)).all["ask"] == sample.result


def test_without_a_person_the_node_fails() -> None:
    with pytest.raises(RunFailed, match="no one is there to answer: Who are you"):
        run_in_memory(GRAPH)
