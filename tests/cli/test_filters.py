"""--filters: the filters of a module wrap the agents of this process."""

import sys
from pathlib import Path

import pytest

from perdure.cli import main
from perdure.cli.inputs import graphs
from perdure.errors import UsageError
from perdure.testing import MemoryEnvironment, run_in_memory

MODULE = """
from perdure.agents.filters import AgentFilter


async def shout(call, next):
    found = await next(call)
    return {**found, "loud": True}


filters = [AgentFilter("shout", shout, agents=("copyAgent",))]
"""


@pytest.fixture(autouse=True)
def stdout_is_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stdout)


def test_filters_of_a_file_apply(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MODULE)
    agents = graphs.agents_of([], [str(tmp_path / "mine.py")])
    graph = {"nodes": {"a": {"agent": "copyAgent", "inputs": {"v": 1}, "isResult": True}}}
    environment = MemoryEnvironment(filters=agents.filters)
    assert run_in_memory(graph, environment=environment).results == {"a": {"v": 1, "loud": True}}
    assert agents.options == f" --filters {tmp_path / 'mine.py'}"
    assert agents.origins != graphs.agents_of([]).origins


def test_a_module_without_filters_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none.py").write_text("x = 1")
    with pytest.raises(UsageError, match="no filters in it"):
        graphs.agents_of([], [str(tmp_path / "none.py")])


@pytest.mark.parametrize("command", [["run", "g.yaml"], ["worker"], ["dev"], ["result", "id"]])
def test_commands_that_serve_take_filters(command: list[str]) -> None:
    parser, _ = main._parser(command[0])
    arguments = parser.parse_args([*command, "--filters", "m"])
    assert arguments.filters == ["m"]
