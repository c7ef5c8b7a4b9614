"""docs/errors.md has a heading for every code and class, and each example ends in what its heading says."""

import ast
import dataclasses
import textwrap
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from perdure import errors
from perdure.activities.activity import AgentActivities
from perdure.agents.agent import Agent, declared
from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.protocol.names import TOO_LARGE_FOR_LOCAL
from perdure.protocol.payloads import AgentCall
from perdure.protocol.wire import pack
from perdure.settings import Settings
from perdure.storage.claim_check import ClaimCheck
from perdure.worker import WorkerOptions, build_worker
from perdure.workflows.activity_options import FINAL_ERROR_TYPES
from tests.repo import documents
from tests.repo.documents import Block, Example
from tests.support import ROOT
from tests.support.durable import embedded

ERRORS = "errors.md"
PACKAGE = ROOT / "perdure"
BLOCKS = documents.blocks(ERRORS)
EXAMPLES = [example for example in documents.examples(ERRORS) if example.outcomes[0].kind == "message"]


def kinds(*names: str) -> pytest.MarkDecorator:
    blocks = [block for block in BLOCKS if block.language == "python" and block.kind.split(" ")[0] in names]
    assert blocks
    return pytest.mark.parametrize("block", blocks, ids=lambda block: block.heading)


# The codes, from the source: whatever is passed to Problem and to the functions that make one.

GRAPH_PACKAGE = PACKAGE / "graph"


def codes_in(path: Path) -> Iterator[str]:
    module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and node.args and makes_problem(node, path):
            code = node.args[0]
            if isinstance(code, ast.Constant):
                yield code.value
            elif isinstance(code, ast.Name) and hasattr(module, code.id):
                yield getattr(module, code.id)


def makes_problem(call: ast.Call, path: Path) -> bool:
    name = ast.unparse(call.func)
    if GRAPH_PACKAGE in path.parents:
        own = path.name == "tree.py" and name == "self.fail"
        return own or name.endswith("tree.fail") or name in ("Problem", "validation", "DocumentRefused")
    return name == "Problem"


def codes() -> set[str]:
    return {
        code
        for path in PACKAGE.rglob("*.py")
        if "Problem" in path.read_text() or GRAPH_PACKAGE in path.parents
        for code in codes_in(path)
    }


def exceptions() -> set[str]:
    return {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }


def failure_types() -> set[str]:
    return {*FINAL_ERROR_TYPES, TOO_LARGE_FOR_LOCAL, "TransientError"}


def test_every_code_and_class_has_a_heading() -> None:
    headings = [title for level, title in documents.headings(ERRORS) if level == 3]
    assert len(headings) == len(set(headings))
    assert set(headings) == codes() | exceptions() | failure_types()


def test_every_heading_has_an_example_and_a_hint() -> None:
    illustrated = {block.heading for block in BLOCKS}
    parts = documents.text_of(ERRORS).split("\n### ")[1:]
    for part in parts:
        heading = part.partition("\n")[0]
        assert heading in illustrated, heading
        assert "\nHint: " in part, heading


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example.source.heading}")
def test_code(example: Example) -> None:
    name = f"graph.{'json' if example.source.language == 'json' else 'yaml'}"
    problems, _ = documents.findings(documents.source_of(example.source), name)
    assert {problem.code for problem in problems} >= {example.source.heading}


@kinds("raises")
def test_raises(block: Block, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(tmp_path / "no-profiles.toml"))
    monkeypatch.setenv("TEMPORAL_ADDRESS", "")
    expected = block.kind.partition(" ")[2] or block.heading
    with pytest.raises(errors.PerdureError) as caught:
        exec(block.text, {})
    assert expected in [kind.__name__ for kind in type(caught.value).__mro__]
    if expected != block.heading:
        assert block.heading in [problem.code for problem in getattr(caught.value, "problems", ())]


@pytest.mark.anyio
@kinds("agent", "call", "local")
async def test_failure_type(block: Block) -> None:
    names: dict[str, Any] = {}
    if block.kind == "agent":
        exec(block.text, names)
        (agent,) = filter(None, map(declared, filter(callable, names.values())))
        name, known = agent.name, {agent.name: agent}
    elif block.kind == "call":
        name, known = eval(block.text), catalog()
    else:
        value = eval(block.text)
        name, known = "large", {"large": Agent(name="large", function=lambda: value, pure=True)}
    with pytest.raises(ApplicationError) as caught:
        await called(name, known, block)
    assert caught.value.type == block.heading


async def called(name: str, agents: dict[str, Agent], block: Block) -> Any:
    environment = ActivityEnvironment()
    is_local = block.kind == "local"
    environment.info = dataclasses.replace(environment.info, activity_type=name, is_local=is_local)
    settings = Settings(agent_wait=0)
    activities = AgentActivities(agents=agents, settings=settings, claims=ClaimCheck.of(settings))
    timeout = 20 if block.heading == "Timeout" else None
    deadline = 20 if block.heading == "DeadlineExceeded" else None
    call = AgentCall(agent=name, inputs={}, timeout=timeout, deadline=deadline)
    return await environment.run(activities.run_agent, [pack(call)])


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GraphClient]:
    async with embedded(tmp_path_factory.mktemp("errors")) as client:
        options = WorkerOptions(agents=catalog(), settings=client.settings)
        async with build_worker(client.temporal, client.settings.queue, options):
            yield client


@pytest.mark.anyio
@kinds("server")
async def test_on_a_server(block: Block, client: GraphClient) -> None:
    names: dict[str, Any] = {}
    exec(f"async def main(client):\n{textwrap.indent(block.text, '    ')}", names)
    with pytest.raises(errors.PerdureError) as caught:
        await names["main"](client)
    assert type(caught.value).__name__ == block.heading
