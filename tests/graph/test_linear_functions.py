"""Functions of references and checks on the worst strings: time that grows no faster than the string."""

import json
from collections.abc import Callable
from functools import partial

import pytest

from perdure.errors import Problem
from perdure.graph.check import first_problem, problems
from perdure.graph.functions import FUNCTIONS
from perdure.graph.reference import MAX_FUNCTIONS_COUNT
from perdure.graph.review import review
from perdure.graph.text.load import load
from perdure.graph.values import Value
from tests.support.growth import Work, overgrown
from tests.support.worst_functions import WORST, read


@pytest.mark.parametrize("step", WORST)
def test_functions(step: str) -> None:
    assert overgrown(lambda size: [partial(read, step, value) for value in WORST[step](size)]) == []


def test_every_function_has_its_worst_text() -> None:
    assert {step.partition("(")[0] for step in WORST} == set(FUNCTIONS)


# A chain takes the product of its length and the text: its length is bounded.

LONGEST = ".trim()" * MAX_FUNCTIONS_COUNT
CALLS_ONE_MORE = f"calls {MAX_FUNCTIONS_COUNT + 1} functions, and a reference may call {MAX_FUNCTIONS_COUNT}"


def test_longest_chain() -> None:
    assert read(LONGEST[1:], " a ") == "a"
    assert read(f"{LONGEST[1:]}.trim()", " a ") == (
        f":node{LONGEST}.trim(): {CALLS_ONE_MORE}\n"
        "  hint: let a node in between have a part of the functions, or use an agent"
    )


@pytest.mark.parametrize(
    ("place", "node"),
    [
        ("nodes.b.inputs", {"inputs": {"a": [f":a{LONGEST}.trim()"]}}),
        ("nodes.b.inputs", {"inputs": {"a": f"x${{:a{LONGEST}.trim()}}"}}),
        ("nodes.b.passThrough", {"passThrough": {"a": f":a{LONGEST}.trim()"}}),
        ("nodes.b.output", {"output": {"a": f".a{LONGEST}.trim()"}}),
        ("nodes.b.if", {"if": f":a{LONGEST}.trim()"}),
        ("nodes.b.unless", {"unless": f":a{LONGEST}.trim()"}),
        ("nodes.b.agent", {"agent": f":a{LONGEST}.trim()"}),
        ("nodes.b.graph", {"graph": f":a{LONGEST}.trim()"}),
        ("nodes.b.update", {"agent": None, "update": f":a{LONGEST}.trim()"}),
    ],
)
def test_too_long_chains(place: str, node: dict[str, Value]) -> None:
    fields = {"agent": "copyAgent", **node}
    if fields["agent"] is None:
        del fields["agent"]
    problem = first_problem({"nodes": {"a": {"value": 1}, "c": {"agent": "copyAgent"}, "b": fields}})
    assert problem == Problem(
        "too-many-functions",
        place,
        CALLS_ONE_MORE,
        "let a node in between have a part of the functions, or use an agent",
    )


def test_too_long_condition_of_a_loop() -> None:
    graph = {"nodes": {"a": {"agent": "copyAgent"}}, "loop": {"while": f":a{LONGEST}.trim()"}}
    assert [(problem.code, problem.place) for problem in problems(graph)] == [
        ("too-many-functions", "loop.while")
    ]


# Checks of large documents full of mistakes.

FAULTY: dict[str, Callable[[int], dict[str, Value]]] = {
    "references": lambda n: {
        f"node{i}": {"agent": "copyAgent", "inputs": {"x": f":mode{i}"}} for i in range(n)
    },
    "updates": lambda n: (
        {"a": {"agent": "copyAgent"}} | {f"node{i}": {"update": f":mode{i}"} for i in range(n)}
    ),
    "pass through": lambda n: {
        f"node{i}": {"agent": "copyAgent", "passThrough": {"x": f":mode{i}"}} for i in range(n)
    },
    "agents": lambda n: {f"node{i}": {"agent": f"copyAgint{i}"} for i in range(n)},
    "keys": lambda n: {f"node{i}": {"agent": "copyAgent", f"inputt{i}": 1} for i in range(n)},
    "a cycle": lambda n: {
        f"n{i}": {"agent": "copyAgent", "inputs": {"a": f":n{(i + 1) % n}"}} for i in range(n)
    },
    "nested": lambda n: {
        f"node{i}": {"agent": "nestedAgent", "graph": {"nodes": {"a": {"agent": f"copyAgint{i}"}}}}
        for i in range(n)
    },
    "long names": lambda n: {"a" * 20 * n: {"agent": "copyAgent", "inputs": {"x": ":" + "ab" * 10 * n}}},
    "places": lambda n: {"." * n: {"agent": "copyAgent", "inputs": {"x": ":mode"}}},
    "text": lambda n: {"a": {"agent": "copyAgent", "inputs": {"x": "${" * 10 * n}}},
}


@pytest.mark.parametrize("fault", FAULTY)
def test_checks(fault: str) -> None:
    agents = {"copyAgent", "nestedAgent", *(f"agent{i}" for i in range(100))}

    def checks(size: int) -> list[Work]:
        document = load(json.dumps({"nodes": FAULTY[fault](size)}), json=True)
        return [lambda: review(document, agents)]

    assert overgrown(checks, 250) == []


def test_only_the_first_findings_have_suggestions() -> None:
    nodes: dict[str, Value] = {f"node{i}": {"agent": "copyAgent"} for i in range(40)}
    nodes |= {f"wrong{i}": {"agent": "copyAgent", "inputs": {"x": f":nodi{i}"}} for i in range(40)}
    hints = [problem.hint for problem in problems({"nodes": nodes})]
    assert [hint[:12] for hint in hints] == ["did you mean"] * 20 + [""] * 20
