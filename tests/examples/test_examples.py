"""Every example does what its README says: on both shells, to the last line of its picture."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryFile

import pytest

from perdure import local, server
from perdure.client import GraphClient
from perdure.graph.check import modernized, problems
from perdure.graph.mermaid import mermaid
from perdure.settings import Settings
from tests.support import ROOT
from tests.support.durable import embedded
from tests.support.examples import EXAMPLES, FILES, Example, in_memory, plain, settings_for, started
from tests.support.forked import started as started_command

pytestmark = pytest.mark.anyio

each = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
each_run = pytest.mark.parametrize(
    "example",
    [
        pytest.param(example, id=example.name, marks=[pytest.mark.models] * (example.needs == "models"))
        for example in EXAMPLES
    ],
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield (home := tmp_path_factory.mktemp("examples"))
    local.stop(Settings(home=home))
    server.stop(Settings(home=home))


@pytest.fixture(scope="module")
async def client(home: Path) -> AsyncIterator[GraphClient]:
    async with embedded(home) as client:
        yield client


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 27


@each
def test_its_files(example: Example) -> None:
    assert [name for name in FILES if not (example.folder / name).exists()] == []
    assert ("equals" in example.expected) != ("contains" in example.expected)


@each
def test_its_graph_has_no_problem(example: Example) -> None:
    assert list(problems(modernized(example.document), [*example.agents, "mapAgent", "nestedAgent"])) == []


@each
def test_its_readme_shows_its_call_its_picture_and_its_results(example: Example) -> None:
    own = f" --agents examples/{example.name}/agents.py" if (example.folder / "agents.py").exists() else ""
    assert example.shown("sh") == f"perdure run examples/{example.name}/graph.yaml{own}"
    assert example.shown("mermaid") == mermaid(modernized(example.document))
    assert example.difference(json.loads(example.shown("json"))) == ""


@each_run
async def test_in_memory(example: Example, home: Path) -> None:
    result = await in_memory(example, home)
    assert example.difference(plain(result)) == ""


@each_run
async def test_durable(example: Example, client: GraphClient) -> None:
    async with started(example, client) as run:
        result = await run.result()
    assert example.difference(plain(result)) == ""


@each_run
def test_the_call_in_its_readme(example: Example, home: Path) -> None:
    if example.events:
        pytest.skip("waits for events: the tests above send them")
    with settings_for(example, home) as settings:
        env = {
            "PERDURE_HOME": str(home),
            "PERDURE_WIKIPEDIA_URL": settings.wikipedia_url,
            "PERDURE_ALLOW_HOSTS": " ".join(settings.allow_hosts),
            "OPENAI_BASE_URL": settings.base_urls.get("openai", ""),
        }
        with TemporaryFile() as answers:
            answers.writelines(f"{json.dumps(value)}\n".encode() for value in example.answers.values())
            answers.seek(0)
            words = example.shown("sh").split()[1:]
            process = started_command(ROOT, env, words, stdin=answers, text=True)
            output, err = process.communicate(timeout=180)
        assert process.returncode == 0, err
    assert example.difference(json.loads(output)) == ""
    if "equals" in example.expected:
        assert output == example.shown("json") + "\n"
