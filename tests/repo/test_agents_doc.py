"""docs/agents.md says what the agents say, and its samples are what the agents give."""

import subprocess
import sys
from typing import Any

import pytest

from perdure.agents.agent import Agent, Sample
from perdure.agents.catalog import catalog, load_agents
from perdure.agents.document import document, of_module, shipped, type_of
from perdure.agents.shipped.graph_agents import DESCRIBED_GRAPH_AGENTS
from perdure.engine.graph_agents import GRAPH_AGENTS
from perdure.graph.text.load import load
from perdure.graph.values import UNDEFINED, Value
from perdure.testing import run_in_memory
from tests.repo.documents import blocks, headings, tables, text_of

PAGE = "agents.md"
COMMAND = "perdure.agents.document"


def test_the_page_is_up_to_date() -> None:
    assert text_of(PAGE) == document(shipped()), f"regenerate: python -m {COMMAND} > docs/{PAGE}"


def test_the_command_prints_the_page() -> None:
    done = subprocess.run([sys.executable, "-m", COMMAND], capture_output=True, check=True)
    assert done.stdout.decode() == text_of(PAGE)


def test_the_page_of_the_distributed_agents_is_up_to_date() -> None:
    module = "perdure.agents.distributed.agents"
    page = "agents_distributed.md"
    assert text_of(page) == of_module(module), f"regenerate: python -m {COMMAND} {module} > docs/{page}"
    assert {text for level, text in headings(page) if level == 3} == set(load_agents(module))


def test_every_agent_has_a_section() -> None:
    expected = {name for name in {*catalog(), *GRAPH_AGENTS} if "." not in name}
    assert {text for level, text in headings(PAGE) if level == 3} == expected
    assert {each.name for each in DESCRIBED_GRAPH_AGENTS} == set(GRAPH_AGENTS)


@pytest.mark.parametrize("agent", shipped(), ids=lambda agent: agent.name)
def test_samples_are_shown_as_yaml(agent: Agent) -> None:
    shown = [block for block in blocks(PAGE) if block.heading == agent.name]
    assert all((block.language, block.kind) == ("yaml", "sample") for block in shown)
    assert [load(block.text).data for block in shown] == [_plain(sample) for sample in agent.samples]


def _plain(sample: Sample) -> Value:
    call = {"inputs": sample.inputs, "params": sample.params, "graph": sample.graph}
    return _defined({**{key: value for key, value in call.items() if value}, "result": sample.result})


def _defined(value: Value) -> Value:
    if isinstance(value, dict):
        return {key: _defined(item) for key, item in value.items() if item is not UNDEFINED}
    return [_defined(item) for item in value] if isinstance(value, list) else value


def test_a_table_tells_what_there_is_to_give() -> None:
    [table] = tables(PAGE, "pushAgent")
    assert [(row[""], row["name"], row["type"]) for row in table] == [
        ("input", "**`array`**", "array"),
        ("input", "`item`", "any"),
        ("input", "`items`", "array"),
        ("param", "`arrayKey`", "string"),
        ("output", "`array`", "array"),
    ]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("copyAgent", "as a local activity (pure)"),
        ("fetchAgent", "as an activity"),
        ("textInputAgent", "nowhere: the run waits for a person"),
        ("mapAgent", "in the engine: its nodes are nodes of the run"),
    ],
)
def test_where_an_agent_runs(name: str, words: str) -> None:
    assert f". Runs {words}.\n" in text_of(PAGE).partition(f"### {name}\n")[2].partition("\n#")[0]


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({}, "any"),
        ({"type": "array", "items": {"type": "string"}}, "array of string"),
        ({"anyOf": [{"type": "string"}, {"const": False}]}, "string or `false`"),
        ({"enum": ["a", "b"]}, '`"a"` or `"b"`'),
        ({"type": ["string", "null"]}, "string or null"),
        ({"$ref": "#/$defs/Style"}, "Style"),
        ({"type": "object", "properties": {"a": {}, "b": {}}}, "object with `a`, `b`"),
    ],
)
def test_types_in_words(schema: dict[str, Any], words: str) -> None:
    assert type_of(schema) == words


@pytest.mark.parametrize(
    ("agent", "sample"),
    [
        pytest.param(agent, sample, id=agent.name)
        for agent in DESCRIBED_GRAPH_AGENTS
        for sample in agent.samples
    ],
)
def test_samples_of_graph_agents(agent: Agent, sample: Sample) -> None:
    node = {"agent": agent.name, "inputs": sample.inputs, "params": dict(sample.params), "isResult": True}
    if sample.graph is not None:
        node["graph"] = dict(sample.graph)
    assert run_in_memory({"version": 0.5, "nodes": {"n": node}}).results == {"n": sample.result}
