from typing import Any

import pytest

from perdure.engine.graph_agents import collect, prepare, suppressed
from perdure.engine.maps.starts import Start
from perdure.engine.slots import Slots
from perdure.errors import BadCall
from perdure.graph.fields import MAP_INDEX
from perdure.graph.values import UNDEFINED

COPY = {"agent": "copyAgent"}


def prepared(name: str, inputs: dict[str, Any], graph: Any, **params: Any) -> Any:
    return prepare(name, inputs, params, graph, Slots(1))


def test_inputs_of_a_nested_graph_become_static_nodes() -> None:
    inner = {"loop": {"count": 2}, "nodes": {"a": COPY, "given": {"value": 1, "isResult": True, "other": 1}}}
    made = prepared("nestedAgent", {"given": 5, "new": UNDEFINED, "2": 0}, inner)
    assert made.document == {
        "loop": {"count": 2},
        "nodes": {"a": COPY, "given": {"value": 1, "isResult": True}, "2": {}, "new": {}},
        "version": 0.5,
    }
    assert list(made.starts) == [Start(values={"2": 0, "given": 5, "new": UNDEFINED})]
    assert (made.refused, made.want_all, made.rule) == (False, False, None)


def test_an_input_that_is_undefined_leaves_the_default() -> None:
    made = prepared("nestedAgent", {"given": UNDEFINED}, {"nodes": {"a": COPY, "given": {"value": 1}}})
    assert list(made.starts) == [Start(values={})]


def test_an_input_named_like_a_computed_node_is_left_to_the_checks() -> None:
    made = prepared("nestedAgent", {"a": 5}, {"nodes": {"a": COPY}})
    assert made.document["nodes"] == {"a": {**COPY, "value": 5}}
    assert made.refused


@pytest.mark.parametrize(("count", "rule"), [(2, {"count": 2}), ("3", {"count": "3"}), (0, None)])
def test_loop_count_comes_as_an_input(count: Any, rule: Any) -> None:
    assert prepared("nestedAgent", {"loopCount": count}, {"nodes": {"a": COPY}}).rule == rule


def test_a_list_in_place_of_a_static_node_is_empty_in_a_nested_graph() -> None:
    assert prepared("nestedAgent", {}, {"nodes": {"a": COPY, "s": [1]}}).document["nodes"]["s"] == {}


def test_agents_with_a_graph_of_their_own_ignore_that_of_the_node() -> None:
    made = prepared("stringUpdateTextAgent", {"newText": "x"}, {"nodes": {}})
    assert "resultText" in made.document["nodes"]
    assert list(made.starts) == [Start(values={"newText": "x"})]


def test_rows_of_a_map() -> None:
    inner = {"nodes": {"a": COPY, "shared": {"value": 1}}}
    made = prepared(
        "mapAgent", {"shared": UNDEFINED, "a": 3, "new": 4, "rows": ["x", "y"]}, inner, resultAll=1
    )
    assert made.document["nodes"] == {
        "a": COPY,
        "shared": {"value": 1},
        MAP_INDEX: {},
        "new": {},
        "row": {},
    }
    assert made.want_all
    shared = {"shared": UNDEFINED, "new": 4}
    assert list(made.starts) == [
        Start(values={**shared, "row": "x", MAP_INDEX: 0}),
        Start(values={**shared, "row": "y", MAP_INDEX: 1}),
    ]


@pytest.mark.parametrize(
    ("limit", "count"),
    [(2, 2), (0, 3), (None, 3), (9, 3), ("2", 2), (True, 1), ([1], 1), ("x", 3), (UNDEFINED, 3)],
)
def test_limit_is_read_as_in_javascript(limit: Any, count: int) -> None:
    made = prepared("mapAgent", {"rows": [1, 2, 3]}, {"nodes": {"a": COPY}}, limit=limit)
    assert len(made.starts) == count


@pytest.mark.parametrize(
    ("row_key", "name"),
    [("item", "item"), (None, "row"), ("", ""), (5, "5"), (False, "false"), (UNDEFINED, "row")],
)
def test_row_key_names_the_node_of_the_row(row_key: Any, name: str) -> None:
    made = prepared("mapAgent", {"rows": [7]}, {"nodes": {"a": COPY}}, rowKey=row_key)
    assert made.starts[0].values == {name: 7, MAP_INDEX: 0}


def test_expand_keys_give_each_row_its_own_item() -> None:
    inputs = {"rows": [1, 2], "list": ["x"], "text": "ab", "object": {"1": "one"}, "number": 5}
    made = prepared(
        "mapAgent", inputs, {"nodes": {"a": COPY}}, expandKeys=["list", "text", "object", "number"]
    )
    keys = ("list", "text", "object", "number")
    assert [[start.values[key] for key in keys] for start in made.starts] == [
        ["x", "a", UNDEFINED, UNDEFINED],
        [UNDEFINED, "b", "one", UNDEFINED],
    ]


@pytest.mark.parametrize("expand", [{}, 5, None, ""])
def test_expand_keys_of_another_kind_are_ignored(expand: Any) -> None:
    made = prepared("mapAgent", {"rows": [1]}, {"nodes": {"a": COPY}}, expandKeys=expand)
    assert made.starts[0].invalid is None


@pytest.mark.parametrize(
    ("inputs", "params", "message"),
    [
        ({"rows": [1]}, {"rowKey": "a"}, "injectValue with Invalid nodeId, a"),
        ({"rows": [1], "v": [1]}, {"expandKeys": ["v", "w"]}, "injectValue with Invalid nodeId, w"),
        ({"rows": [1]}, {"expandKeys": "v"}, "mapAgent: expandKeys is not a list"),
    ],
)
def test_rows_that_cannot_be_injected(inputs: Any, params: Any, message: str) -> None:
    made = prepared("mapAgent", inputs, {"nodes": {"a": COPY}}, **params)
    assert [start.invalid for start in made.starts] == [message]


NO_GRAPH = "the graph of a nested node is not a graph: it has no nodes"


@pytest.mark.parametrize(
    ("name", "inputs", "graph", "message"),
    [
        ("nestedAgent", {}, None, "Please update graphai to 0.5.19 or higher"),
        ("mapAgent", {}, None, "Please update graphai to 0.5.19 or higher"),
        ("nestedAgent", {}, UNDEFINED, "No GraphData"),
        ("nestedAgent", {}, {"nodes": None}, NO_GRAPH),
        ("nestedAgent", {}, ["x"], NO_GRAPH),
        (
            "nestedAgent",
            {},
            {"nodes": {"a": 5}},
            "the graph of a nested node has a node that is not a mapping",
        ),
        ("mapAgent", {"rows": []}, UNDEFINED, "mapAgent: graph is required"),
        ("mapAgent", {"rows": 0}, {"nodes": {}}, "mapAgent: rows property is required in namedInput"),
        ("mapAgent", {"rows": "ab"}, {"nodes": {}}, "mapAgent: rows is not a list"),
        (
            "mapAgent",
            {"rows": [1], "a": 1},
            {"nodes": {"a": 5}},
            "the graph of a map has a node that is not a mapping",
        ),
    ],
)
def test_calls_that_are_refused(name: str, inputs: Any, graph: Any, message: str) -> None:
    with pytest.raises(BadCall) as error:
        prepared(name, inputs, graph)
    assert error.value.finding == message
    assert not error.value.suppressible


@pytest.mark.parametrize("limit", [-1, 1.5, "-1"])
def test_a_limit_that_is_no_number_of_rows(limit: Any) -> None:
    with pytest.raises(BadCall, match=f"limit {limit} is not a number of rows"):
        prepared("mapAgent", {"rows": [1, 2]}, {"nodes": {}}, limit=limit)


@pytest.mark.parametrize(
    ("name", "spoken"), [("mapAgent", "mapAgent"), ("stringUpdateTextAgent", "nestedAgent")]
)
def test_a_graph_wants_a_free_slot(name: str, spoken: str) -> None:
    slots = Slots(2, running=2)
    with pytest.raises(BadCall, match=f"^{spoken}: Concurrency is too low: 2$"):
        prepare(name, {"rows": [1]}, {}, {"nodes": {"a": COPY}}, slots)


@pytest.mark.parametrize(
    ("name", "params", "results", "expected"),
    [
        ("nestedAgent", {}, [{"a": 1}], {"a": 1}),
        ("nestedAgent", {"resultNodeId": "a"}, [{"a": 1}], 1),
        ("nestedAgent", {"resultNodeId": 5}, [{"5": 1}], 1),
        ("nestedAgent", {"resultNodeId": "b"}, [{"a": 1}], UNDEFINED),
        ("stringUpdateTextAgent", {"resultNodeId": "a"}, [{"resultText": {"text": "x"}}], {"text": "x"}),
        ("mapAgent", {}, [{"a": 1}, {"b": 2}], [{"a": 1}, {"b": 2}]),
        ("mapAgent", {"compositeResult": True}, [{"a": 1}, {"b": 2}], {"a": [1, UNDEFINED]}),
        ("mapAgent", {"compositeResultKey": "a"}, [{"a": 1}, {"a": 2}], [1, 2]),
        ("mapAgent", {"compositeResultKey": "zz"}, [{"a": 1}], UNDEFINED),
    ],
)
def test_results_are_collected(name: str, params: Any, results: Any, expected: Any) -> None:
    assert collect(name, params, results) == expected


def test_a_map_without_rows_fails_as_in_graphai() -> None:
    with pytest.raises(BadCall, match="mapAgent: there are no rows") as error:
        collect("mapAgent", {}, [])
    assert error.value.suppressible
    assert error.value.graphai == "Cannot convert undefined or null to object"
    assert "if: :list.length()" in error.value.hint


def test_what_supress_error_makes_of_a_failure() -> None:
    assert suppressed("no") == {"onError": {"message": "no", "error": {}}}
