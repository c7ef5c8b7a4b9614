"""Every example does what its README says: on both shells, to the last line of its picture."""

from collections.abc import AsyncIterator

import pytest

from perdure.client import GraphClient
from perdure.graph.check import modernized, problems
from perdure.graph.mermaid import mermaid
from perdure.testing import memory_shell
from tests.durable import embedded
from tests.examples.cases import EXAMPLES, FILES, Example, plain, settings_for, started

pytestmark = pytest.mark.anyio

each = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
each_run = pytest.mark.parametrize(
    "example",
    [
        pytest.param(
            example,
            id=example.name,
            marks=[pytest.mark.models] if example.expected.get("needs") == "models" else [],
        )
        for example in EXAMPLES
    ],
)


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GraphClient]:
    async with embedded(tmp_path_factory.mktemp("examples")) as client:
        yield client


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 8


@each
def test_its_files(example: Example) -> None:
    assert [name for name in FILES if not (example.folder / name).exists()] == []
    assert ("equals" in example.expected) != ("contains" in example.expected)


@each
def test_its_graph_has_no_problem(example: Example) -> None:
    assert list(problems(modernized(example.document), [*example.agents, "mapAgent", "nestedAgent"])) == []


@each
def test_its_readme_shows_its_picture(example: Example) -> None:
    assert example.shown("mermaid") == mermaid(modernized(example.document))


@each_run
async def test_in_memory(example: Example, tmp_path_factory: pytest.TempPathFactory) -> None:
    with settings_for(example, tmp_path_factory.getbasetemp() / "memory") as settings:
        shell = memory_shell(example.document, example.agents, settings=settings)
        result = await shell.run()
    assert example.difference(plain(result)) == ""


@each_run
async def test_durable(example: Example, client: GraphClient) -> None:
    async with started(example, client) as run:
        result = await run.result()
    assert example.difference(plain(result)) == ""
