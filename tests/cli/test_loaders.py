"""graphLoader on the command line: graphs of other files, inside the folder of the graph only."""

import json
from pathlib import Path

import pytest

from perdure.cli.inputs.loaders import graphs_of
from perdure.errors import GraphError
from perdure.graph.text.load import load

CHILD = """
nodes:
  copied: {agentId: copyAgent, inputs: {v: ":x"}, isResult: true}
  deeper: {agent: nestedAgent, inputs: {x: 1}, graphLoader: {fileName: sub/grandchild.json}}
"""


def asking_for(name: str) -> str:
    return json.dumps({"nodes": {"n": {"agent": "nestedAgent", "graphLoader": {"fileName": name}}}})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "inside" / "sub").mkdir(parents=True)
    (tmp_path / "inside" / "child.yaml").write_text(CHILD)
    (tmp_path / "inside" / "sub" / "grandchild.json").write_text('{"nodes": {"v": {"value": 1}}}')
    (tmp_path / "outside.yaml").write_text(CHILD)
    (tmp_path / "inside" / "link.yaml").symlink_to(tmp_path / "outside.yaml")
    (tmp_path / "inside" / "broken.yaml").write_text("nodes: [")
    return tmp_path / "inside"


def test_loaded_graphs_ask_for_more(folder: Path) -> None:
    inner = {"nodes": {"m": {"agent": "mapAgent", "graph": load(asking_for("child.yaml")).data}}}
    graphs = graphs_of(inner, str(folder / "graph.yaml"))
    assert graphs.keys() == {"child.yaml", "sub/grandchild.json"}
    assert graphs["child.yaml"]["nodes"]["copied"]["agent"] == "copyAgent"


@pytest.mark.parametrize("name", ["../outside.yaml", "link.yaml", "missing.yaml", "sub", "broken.yaml"])
def test_what_is_no_graph_inside_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(GraphError) as caught:
        graphs_of(load(asking_for(name)).data, str(folder / "graph.yaml"))
    assert caught.value.problems[0].code in ("graph-file", "yaml-syntax")


def test_too_many_graphs_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perdure.cli.inputs.loaders.MAX_LOADED_FILE_COUNT", 1)
    with pytest.raises(GraphError, match="more than 1 graphs"):
        graphs_of(load(asking_for("child.yaml")).data, str(folder / "graph.yaml"))
