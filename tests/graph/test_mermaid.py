"""Pictures of graphs: GraphAI's own text, and what Perdure adds."""

import json
from pathlib import Path

import pytest

from perdure.graph.mermaid import STATE_STYLES, mermaid

UPSTREAM = Path(__file__).parents[2] / "../shared/conformance/upstream/mermaid.json"


@pytest.mark.skipif(not UPSTREAM.exists(), reason="the recordings of GraphAI are not here")
def test_recorded_pictures() -> None:
    cases = json.loads(UPSTREAM.read_text())
    assert len(cases) >= 123
    assert {case["name"]: mermaid(case["graph"]) for case in cases} == {
        case["name"]: case["mermaid"] for case in cases
    }


GRAPH = {
    "version": 0.5,
    "nodes": {
        "text": {"value": "x", "update": ":shout"},
        "chapters": {
            "agent": "mapAgent",
            "inputs": {"rows": ":text.list"},
            "graph": {
                "nodes": {
                    "inner": {
                        "agent": "nestedAgent",
                        "graph": {"nodes": {"deep": {"agent": "copyAgent", "inputs": {"a": ":row.$0"}}}},
                    },
                    "after": {"agent": "copyAgent", "inputs": {"a": ":inner", "b": "${:inner.deep} ${:row}"}},
                }
            },
        },
        "shout": {"agent": ":text.agent", "inputs": {"list": [":chapters", {"k": ":text"}]}, "if": ":text"},
    },
}
PICTURE = """\
flowchart TD
  n_text(text)
  n_shout --> n_text
  subgraph n_chapters[chapters: mapAgent]
    subgraph n_chapters_inner[inner: nestedAgent]
      n_chapters_inner_deep(deep<br/>copyAgent)
      n_chapters_inner_row -- $0 --> n_chapters_inner_deep
    end
    n_chapters_after(after<br/>copyAgent)
    n_chapters_inner --> n_chapters_after
    n_chapters_inner -- deep --> n_chapters_after
    n_chapters_row --> n_chapters_after
  end
  n_text -- list --> n_chapters
  n_shout(shout<br/>:text.agent)
  n_chapters --> n_shout
  n_text --> n_shout
  class n_text staticNode
  class n_chapters_inner_deep,n_chapters_after,n_shout computedNode
  class n_chapters,n_chapters_inner nestedGraph"""


def test_nested_graphs() -> None:
    assert mermaid(GRAPH) == PICTURE


def test_states() -> None:
    states = {
        "text": "completed",
        "chapters": "executing",
        "chapters.inner.deep": "completed",
        "chapters.after": "timed-out",
        "shout": "odd state\n",
        "missing": "failed",
    }
    added = [
        f"  classDef completed {STATE_STYLES['completed']}",
        f"  classDef executing {STATE_STYLES['executing']}",
        f"  classDef timed-out {STATE_STYLES['timed-out']}",
        "  class n_text,n_chapters_inner_deep completed",
        "  class n_chapters executing",
        "  class n_chapters_after timed-out",
        "  class n_shout odd_state_",
    ]
    assert mermaid(GRAPH, states) == "\n".join([PICTURE, *added])


ODD = {  # a graph that no check has seen -> its lines after the first
    "null": (None, []),
    "a list": ([], []),
    "no nodes": ({}, []),
    "nodes are a list": ({"nodes": [1]}, []),
    "a null node": ({"nodes": {"a": None}}, ["  n_a(a)", "  class n_a staticNode"]),
    "a node that is a list": ({"nodes": {"a": [1]}}, ["  n_a(a)", "  class n_a staticNode"]),
    "no agent's name": ({"nodes": {"a": {"agent": None}}}, ["  n_a(a)", "  class n_a computedNode"]),
    "an agent that is not a string": (
        {"nodes": {"a": {"agent": 1.0}}},
        ["  n_a(a<br/>1)", "  class n_a computedNode"],
    ),
    "the old spelling of agent": ({"nodes": {"a": {"agentId": "b"}}}, ["  n_a(a)", "  class n_a staticNode"]),
    "a graph without agent": (
        {"nodes": {"a": {"graph": None}}},
        ["  subgraph n_a[a]", "  end", "  class n_a nestedGraph"],
    ),
    "an update that is not a string": (
        {"nodes": {"a": {"update": 1}}},
        ["  n_a(a)", "  class n_a staticNode"],
    ),
    "keys like numbers come first": (
        {"nodes": {"b": {}, "10": {}, "9": {}}},
        ["  n_9(9)", "  n_10(10)", "  n_b(b)", "  class n_9,n_10,n_b staticNode"],
    ),
    "an empty id": ({"nodes": {"": {}, "b": {}}}, ["  n_()", "  n_b(b)", "  class n_,n_b staticNode"]),
    "lines in an id": (
        {"nodes": {"a\nb": {"agent": "c\n\x1b[31m", "inputs": {"x": ":d\u2028e"}}}},
        ["  n_a_b(a b<br/>c  [31m)", "  class n_a_b computedNode"],
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_what_no_check_has_seen(name: str) -> None:
    graph, lines = ODD[name]
    assert mermaid(graph) == "\n".join(["flowchart TD", *lines])


def test_depth_does_not_matter() -> None:
    graph: dict = {"nodes": {"a": {"value": 1}}}
    for _ in range(1_000):
        graph = {"nodes": {"a": {"agent": "nestedAgent", "graph": graph}}}
    assert mermaid(graph).count("subgraph") == 1_000
