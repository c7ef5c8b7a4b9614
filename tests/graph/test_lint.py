"""Warnings, which stop nothing, and which graphs inside nodes are looked at."""

from typing import Any

import pytest

from perdure.graph.review import review
from perdure.graph.text.document import Document

AGENTS = ("copyAgent", "echoAgent", "fetchAgent", "openAIAgent", "nestedAgent", "mapAgent", "textInputAgent")
BAD = {"nodes": 5}
ENV = "write secret:NAME, and list NAME under `secrets` in the policy of the worker"
KEY = "this looks like a key; every history of a run will hold it"


def one(**node: Any) -> dict[str, Any]:
    return {"nodes": {"source": {"value": {"keyword": "x"}}, "a": {"agent": "copyAgent", **node}}}


def reference(text: str, where: str = "inputs.x") -> tuple[str, str, str, str]:
    finding = f"{text!r} inside a longer string is plain text, not a reference"
    return ("plain-reference", f"nodes.a.{where}", finding, f"write ${{{text}}}")


# graph, its warnings: code, place, finding, hint
WARNINGS: list[tuple[Any, Any]] = [
    (one(inputs={"x": "Analyze: :source.keyword"}), [reference(":source.keyword")]),
    (one(inputs={"x": ["(:source.$0)"]}), [reference(":source.$0", "inputs.x.0")]),
    (one(inputs={"x": "a:source, http://source:80, ${:source} and :missing"}), []),
    (one(inputs={"x": ":source.keyword"}), []),
    (one(params={"template": "a :source"}), []),
    (one(passThrough={"x": "see :source"}), [reference(":source", "passThrough.x")]),
    (
        {"nodes": {"m": {"agent": "mapAgent", "graph": one(inputs={"x": "say :source"})}}},
        [
            (
                "plain-reference",
                "nodes.m.graph.nodes.a.inputs.x",
                "':source' inside a longer string is plain text, not a reference",
                "write ${:source}",
            )
        ],
    ),
    (one(params={"apiKey": "my-own-key-of-1970"}), [("literal-key", "nodes.a.params.apiKey", KEY, ENV)]),
    *(
        (one(inputs={"x": text}), [("literal-key", "nodes.a.inputs.x", KEY, ENV)])
        for text in (
            "github_pat_0123456789",
            "glpat-0123456789",
            "eyJhbGciOiJI.eyJzdWIiOiIx.abc",
            "-----BEGIN RSA PRIVATE KEY-----",
            "https://anna:s3cret@api.example.com/",
        )
    ),
    (one(params={"apiKey": "secret:openai-key"}, inputs={"authorization": "Bearer secret:crm"}), []),
    (one(inputs={"x": "sk-abcdefgh12345678"}), [("literal-key", "nodes.a.inputs.x", KEY, ENV)]),
    (
        one(inputs={"headers": {"Authorization": "Bearer abcdefghij"}}),
        [("literal-key", "nodes.a.inputs.headers.Authorization", KEY, ENV)],
    ),
    (one(inputs={"apiKey": ":source.keyword", "password": "", "authorization": "Bearer ${:source}"}), []),
    (one(params={"max_tokens": 60, "token": "abcdefghijkl", "secret": "a secret of the sea"}), []),
]


@pytest.mark.parametrize(("graph", "expected"), WARNINGS)
def test_warnings(graph: dict[str, Any], expected: list[tuple[str, ...]]) -> None:
    seen = review(Document(graph), AGENTS)
    assert [(each.code, each.place, each.finding, each.hint) for each in seen.warnings] == expected
    assert (seen.problems, seen.nested) == ((), ())


def test_a_finding_never_shows_the_key() -> None:
    seen = review(Document(one(params={"apiKey": "sk-SECRETSECRET"})), AGENTS)
    assert "SECRET" not in repr(seen.warnings)


# the agent, whether its graph is looked at
RUNNERS = [("copyAgent", False), ("myAgent", False), ("nestedAgent", True), ("mapAgent", True), (":a", True)]


@pytest.mark.parametrize(("agent", "looked_at"), RUNNERS)
def test_only_agents_that_run_a_graph_have_theirs_checked(agent: str, looked_at: bool) -> None:
    graph = {"nodes": {"a": {"value": "copyAgent"}, "b": {"agent": agent, "graph": BAD}}}
    assert [each.code for each in review(Document(graph)).nested] == (["nodes"] if looked_at else [])


@pytest.mark.parametrize("agent", ["nestedAgent", "mapAgent"])
def test_an_agent_that_runs_a_graph_and_has_none(agent: str) -> None:
    (problem,) = review(Document({"nodes": {"a": {"agent": agent}}}), AGENTS).nested
    assert (problem.code, problem.place, problem.nested) == ("no-graph", "nodes.a", True)
    assert problem.finding == f"{agent} runs a graph, and this node has none"
    loaded = {"nodes": {"a": {"agent": agent, "graphLoader": {"fileName": "x.yaml"}}}}
    assert review(Document(loaded), AGENTS).nested == ()


ENDLESS = {"loop": {"while": True}, "nodes": {"a": {"agent": "echoAgent"}}}
ASKS = {"loop": {"while": True}, "nodes": {"a": {"agent": "textInputAgent"}}}
INSIDE = {"agent": "nestedAgent", "graph": {"nodes": ASKS["nodes"]}}
ASKS_INSIDE = {"loop": {"while": True}, "nodes": {"a": INSIDE}}


@pytest.mark.parametrize(
    ("graph", "is_bounded", "is_error"),
    [(ENDLESS, False, True), (ENDLESS, True, False), (ASKS, False, False), (ASKS_INSIDE, False, False)],
)
def test_an_endless_loop_that_something_else_ends(graph: Any, is_bounded: bool, is_error: bool) -> None:
    seen = review(Document(graph), AGENTS, is_bounded=is_bounded)
    assert [each.code for each in seen.problems] == ["endless-loop"] * is_error
    assert [each.code for each in seen.warnings] == ["endless-loop"] * (not is_error)


# a name that is not an agent, what is offered
MEANT = [
    ("llmAgent", "openAIAgent"),
    ("bypassAgent", "copyAgent"),
    ("httpAgent", "fetchAgent"),
    ("copyAgnt", "copyAgent"),
    ("claudeAgent", None),  # anthropicAgent is not among these agents
]


@pytest.mark.parametrize(("name", "meant"), MEANT)
def test_the_agent_that_is_meant(name: str, meant: str | None) -> None:
    (problem,) = review(Document({"nodes": {"a": {"agent": name}}}), AGENTS).problems
    assert problem.hint.startswith(f"did you mean {meant!r}?") == (meant is not None)


def test_the_keys_of_a_node_are_listed_whole() -> None:
    (problem,) = review(Document(one(qqqqqq=1)), AGENTS).problems
    assert {"retry", "timeout", "unless"} <= set(problem.hint.removeprefix("there is: ").split(", "))
