"""Where the findings of a document are, which stop a run, and inputs that fit no node."""

import pytest

from perdure.errors import UsageError
from perdure.graph.inputs import check_inputs
from perdure.graph.review import review
from perdure.graph.text.document import Document
from perdure.graph.text.load import load

TEXT = """\
version: 0.5
nodes:
  a.b:
    agentId: copyAgent
    inputs: {x: ":nobody"}
  outer:
    agent: nestedAgent
    graph:
      nodes:
        inner: {agentId: nobodyAgent}
  broken: 5
"""


def test_every_finding_has_its_line_and_kind() -> None:
    seen = review(load(TEXT, source="graph.yaml"), ["copyAgent", "nestedAgent"])
    assert [(problem.code, problem.place, problem.line, problem.column) for problem in seen.problems] == [
        ("not-a-node", "nodes.broken", 11, 3),
    ]
    assert [(problem.code, problem.line) for problem in seen.warnings] == [
        ("old-agent-id", 4),
        ("old-agent-id", 10),
    ]
    assert [(problem.code, problem.nested) for problem in seen.nested] == [("unknown-agent", True)]
    assert seen.data["nodes"]["a.b"]["agent"] == "copyAgent"


def test_an_id_with_dots_and_a_place_that_is_not_there() -> None:
    seen = review(load(TEXT.replace("  broken: 5\n", "")), ["copyAgent", "nestedAgent"])
    assert [(problem.code, problem.place, problem.line) for problem in seen.problems] == [
        ("unknown-node", "nodes.a.b.inputs", 5),
    ]
    missing = review(load("version: 0.5\n"))
    assert [(problem.code, problem.line) for problem in missing.problems] == [("nodes", 1)]


def test_a_document_without_text_has_no_lines() -> None:
    seen = review(Document({"nodes": None, "x": 1}, "", None))
    assert [problem.line for problem in seen.problems] == [None]


@pytest.mark.parametrize(
    ("name", "finding"),
    [
        ("a", "input 'a' is computed"),
        ("w", "input 'w' is not a node of the graph"),
    ],
)
def test_inputs_that_fit_no_static_node(name: str, finding: str) -> None:
    graph = {"nodes": {"v": {"value": 1}, "a": {"agent": "copyAgent"}}}
    check_inputs(graph, ["v"])
    with pytest.raises(UsageError) as caught:
        check_inputs(graph, [name])
    assert caught.value.finding == finding
    assert caught.value.hint == "inputs go into static nodes: there is: v"


def test_a_graph_without_static_nodes_takes_no_inputs() -> None:
    with pytest.raises(UsageError, match="static nodes: there is none"):
        check_inputs({"nodes": {"a": {"agent": "copyAgent"}}}, ["a"])
    with pytest.raises(UsageError, match="is not a node of the graph"):
        check_inputs([], ["a"])
