from typing import Any

import pytest

from perdure.engine.messages import NodeOptions
from perdure.engine.plan import ComputedPlan, compile_plan, spread
from perdure.graph.reference import Reference
from perdure.graph.values import UNDEFINED


def node(**keys: Any) -> ComputedPlan:
    return compile_plan({"nodes": {"n": {"agent": "x", **keys}}}).computed["n"]


def test_a_graph_without_extras() -> None:
    plan = compile_plan(
        {"nodes": {"b": {"agent": "x", "inputs": {"v": ":a"}, "isResult": True}, "a": {"value": 1}}}
    )
    assert (plan.order, plan.result_nodes, plan.dependents) == (("b", "a"), ("b",), {"a": ("b",)})
    assert (plan.concurrency, plan.labels, plan.version, plan.verbose) == (8, {}, 0.5, False)
    assert (plan.loop, plan.loop_while) == (None, None)
    assert list(plan.statics) == ["a", "__loopIndex"]


def test_an_undefined_concurrency_is_none() -> None:
    assert compile_plan({"nodes": {"a": {"agent": "x"}}, "concurrency": UNDEFINED}).concurrency == 8


def test_order_is_that_of_javascript() -> None:
    names = ("z", "10", "a", "2", "01")
    plan = compile_plan({"nodes": {name: {"agent": "x"} for name in names}})
    assert plan.order == ("2", "10", "z", "a", "01")


def test_the_keys_of_a_graph() -> None:
    plan = compile_plan(
        {
            "nodes": {"a": {"agent": "x"}},
            "loop": {"while": ":a.more"},
            "concurrency": {"global": 2, "labels": {"gpu": 1}},
            "version": "x",
            "verbose": True,
        }
    )
    assert (plan.concurrency, plan.labels, plan.version, plan.verbose) == (2, {"gpu": 1}, "x", True)
    assert plan.loop_while is not None
    assert plan.loop_while.text == ":a.more"
    assert compile_plan({"nodes": {"a": {"agent": "x"}}, "loop": {"while": "literal"}}).loop_while is None


def test_a_node_waits_for_everything_that_it_refers_to_once() -> None:
    planned = node(
        agent=":who",
        inputs={"x": [":a", "${:b} ${:a}"], "y": ":"},
        passThrough={"p": ":c"},
        graph=":g",
        **{"if": ":a.k", "unless": ":d"},
    )
    assert planned.needs == {"a", "b", "c", "who", "g", "d"}
    assert isinstance(planned.agent, Reference)


def test_static_nodes() -> None:
    plan = compile_plan(
        {"nodes": {"a": {"value": None, "update": ":b.x", "console": True}, "b": {}, "c": [1]}}
    )
    assert plan.statics["a"].value is None
    assert plan.statics["a"].update is not None
    assert plan.statics["b"] == plan.statics["c"]
    assert plan.statics["b"].value is UNDEFINED


@pytest.mark.parametrize(
    ("value", "retry"), [(2, 2), ("2", 2), (True, 1), (0.5, 0.5), (None, 0), ("x", 0), ({}, 0), ([3], 3)]
)
def test_retry_is_read_as_javascript_compares_it(value: Any, retry: float) -> None:
    assert node(retry=value).retry == retry


def test_falsy_values_count_as_absent() -> None:
    planned = node(
        **dict.fromkeys(("inputs", "params", "output", "passThrough", "anyInput", "graph", "repeatUntil"), 0),
        **dict.fromkeys(("if", "unless", "defaultValue", "label", "isResult"), ""),
    )
    assert planned == node(label="")


@pytest.mark.parametrize(
    ("value", "exists"),
    [({"exists": "literal"}, "literal"), ({"exists": 0}, None), ("x", None), ({}, None), ({"exists": 5}, 5)],
)
def test_repeat_until_without_a_path(value: Any, exists: Any) -> None:
    assert node(repeatUntil=value).repeat_until == exists


def test_the_path_of_repeat_until_calls_no_function() -> None:
    path = node(repeatUntil={"exists": ".a.trim()"}).repeat_until
    assert isinstance(path, Reference)
    assert path.read({"a": {"trim()": 1}}) == 1


def test_any_input_probes_everything_but_params() -> None:
    planned = node(anyInput=True, inputs={"x": ":a", "params": ":b"})
    assert planned.probe is not None
    assert [reference.node for reference in planned.probe.references] == ["a"]
    assert not planned.probe_may_fail
    assert node(anyInput=True, inputs={"x": ":a.jsonParse()"}).probe_may_fail
    assert node(inputs={"x": ":a"}).probe is None


def test_options_of_a_call() -> None:
    assert node(timeout="50").options == NodeOptions(timeout=50)
    assert node(timeout=-1).options == node().options == NodeOptions()
    options = node(queue="gpu", placement="local", backoff=2).options
    assert options == NodeOptions(queue="gpu", placement="local", backoff=2)


GRAPH: dict[str, Any] = {"nodes": {}}


@pytest.mark.parametrize(
    ("keys", "graphs", "expected"),
    [
        ({"graph": GRAPH}, None, GRAPH),
        ({"graph": 5}, None, 5),
        ({"graph": GRAPH, "graphLoader": {"fileName": "f"}}, None, GRAPH),
        ({"graph": 1, "graphLoader": {"fileName": "f"}}, {"f": GRAPH}, GRAPH),
        ({"graph": 1, "graphLoader": {"fileName": "f"}}, {"f": 0}, None),
        ({"graph": 1, "graphLoader": {"fileName": "g"}}, {"f": GRAPH}, None),
        ({"graphLoader": {"fileName": 5}}, {"5": GRAPH}, GRAPH),
        ({"graphLoader": "f"}, {"undefined": GRAPH}, GRAPH),
        ({"graph": GRAPH, "graphLoader": None}, {}, GRAPH),
    ],
)
def test_the_graph_of_a_node(keys: dict[str, Any], graphs: Any, expected: Any) -> None:
    plan = compile_plan({"nodes": {"n": {"agent": "x", **keys}}}, graphs)
    assert plan.computed["n"].graph == expected


@pytest.mark.parametrize(
    ("value", "members"),
    [
        ({"a": 1}, {"a": 1}),
        ([5, None], {"0": 5, "1": None}),
        ("a😀", {"0": "a", "1": "\ud83d", "2": "\ude00"}),
    ],
)
def test_spread(value: Any, members: dict[str, Any]) -> None:
    assert spread(value) == members
    assert spread(5) == spread(None) == spread(UNDEFINED) == {}
