"""Pictures: every node has its place, no two lie upon each other, what is inside stays inside."""

from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from perdure.cli.inputs import graphs
from perdure.graph.mermaid import STATE_STYLES
from perdure.history.model import Phase
from perdure.pictures.drawing import html, svg
from perdure.pictures.edges import Edge
from perdure.pictures.layout import settings
from perdure.pictures.picture import MAX_PICTURE_NODE_COUNT, MAX_TITLE_CHARS, Box, Picture, picture
from perdure.pictures.states import LOOKS, stylesheet

EXAMPLES = sorted((Path(__file__).parents[2] / "perdure/examples").glob("*/graph.yaml"))
NESTED = {
    "nodes": {
        "text": {"value": "x", "update": ":after"},
        "rows": {
            "agent": "mapAgent",
            "inputs": {"rows": ":text.list"},
            "graph": {
                "nodes": {
                    "inner": {
                        "agent": "nestedAgent",
                        "inputs": {"row": ":row"},
                        "graph": {"nodes": {"deep": {"agent": "copyAgent", "inputs": {"a": ":row"}}}},
                    },
                    "last": {"agent": "copyAgent", "inputs": {"a": ":inner"}},
                }
            },
        },
        "after": {"agent": "copyAgent", "if": ":rows", "inputs": {"a": ":rows", "again": "${:rows}"}},
    }
}


def _chain(count: int) -> dict[str, Any]:
    nodes: dict[str, Any] = {"n0": {"value": 1}}
    for index in range(1, count):
        nodes[f"n{index}"] = {"agent": "copyAgent", "inputs": {"a": f":n{index - 1}"}}
    return {"nodes": nodes}


def _inside(box: Box, outer: Box) -> bool:
    return (
        outer.x <= box.x
        and outer.y <= box.y
        and box.x + box.width <= outer.x + outer.width + 0.2
        and box.y + box.height <= outer.y + outer.height + 0.2
    )


def _apart(one: Box, other: Box) -> bool:
    return (
        one.x + one.width <= other.x
        or other.x + other.width <= one.x
        or one.y + one.height <= other.y
        or other.y + other.height <= one.y
    )


def _check(drawn: Picture) -> None:
    for one, other in combinations(drawn.boxes, 2):
        if other.address.startswith(f"{one.address}."):
            assert _inside(other, one), (one, other)
        elif one.address.rpartition(".")[0] == other.address.rpartition(".")[0]:
            assert _apart(one, other), (one, other)
    for box in drawn.boxes:
        assert box.x >= 0
        assert box.x + box.width <= drawn.width + 0.2
        assert box.y + box.height <= drawn.height + 0.2


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.parent.name)
def test_every_node_of_an_example_has_its_place(file: Path) -> None:
    document = graphs.read(str(file)).data
    drawn = picture(document)
    assert {box.address for box in drawn.boxes if "." not in box.address} == set(document["nodes"])
    _check(drawn)
    assert picture(document) == drawn


def test_graphs_inside_nodes_are_drawn_inside_them() -> None:
    drawn = picture(NESTED)
    assert [(box.address, box.kind) for box in drawn.boxes] == [
        ("text", "static"),
        ("rows", "map"),
        ("rows.inner", "nested"),
        ("rows.inner.deep", "computed"),
        ("rows.last", "computed"),
        ("after", "computed"),
    ]
    assert {(line.source, line.target, line.kind) for line in drawn.lines} == {
        ("text", "rows", "data"),
        ("rows", "after", "data"),
        ("rows", "after", "condition"),
        ("rows.inner", "rows.last", "data"),
        ("after", "text", "update"),
    }
    _check(drawn)


def test_long_names_are_shortened() -> None:
    drawn = picture({"nodes": {"n" * 40: {"agent": "a" * 40}}})
    assert [(len(box.title), len(box.agent)) for box in drawn.boxes] == [(32, 32)]
    assert MAX_TITLE_CHARS == 32
    assert drawn.boxes[0].title.endswith("…")


def test_a_large_graph_is_the_neighbourhood_of_one_node() -> None:
    assert MAX_PICTURE_NODE_COUNT == 300
    drawn = picture(_chain(301), around="n200")
    assert [box.address for box in drawn.boxes] == ["n198", "n199", "n200", "n201", "n202"]
    assert drawn.total == 301
    assert len(picture(_chain(300)).boxes) == 300


def test_a_node_with_thousands_of_neighbours_is_drawn_with_as_many_as_fit() -> None:
    nodes: dict[str, Any] = {
        f"n{index}": {"agent": "copyAgent", "inputs": {"a": ":hub"}} for index in range(2_000)
    }
    drawn = picture({"nodes": {"hub": {"value": 1}, **nodes}}, around="hub")
    assert len(drawn.boxes) == MAX_PICTURE_NODE_COUNT


def _all_with_all(count: int) -> dict[str, Any]:
    """Each node reads all before it."""
    each = {
        f"n{place}": {"agent": "copyAgent", "inputs": {f"i{other}": f":n{other}" for other in range(place)}}
        for place in range(count)
    }
    return {"nodes": each}


@pytest.mark.parametrize(("count", "hidden"), [(20, False), (40, True), (300, True)])
def test_of_many_references_those_are_drawn_that_fit(count: int, hidden: bool) -> None:
    drawn = picture(_all_with_all(count))
    assert len(drawn.boxes) == count
    assert len(drawn.lines) + drawn.hidden_lines == count * (count - 1) // 2
    assert (drawn.hidden_lines > 0) == hidden
    assert ("more references" in svg(drawn)) == hidden
    points = sum(int(line.target[1:]) - int(line.source[1:]) for line in drawn.lines)
    assert points in range(3_900, 4_001) if hidden else points < 4_000


def test_large_graphs_and_hubs_are_laid_out_quickly() -> None:
    """A careful layout of them takes seconds to minutes."""

    def is_quick(lines: list[Edge]) -> bool:
        names = dict.fromkeys(end for line in lines for end in line[:2])
        return "tuning" in settings(list(names), lines)["options"]

    chain: list[Edge] = [(f"n{place}", f"n{place + 1}", "data") for place in range(401)]
    hub: list[Edge] = [("hub", f"n{place}", "data") for place in range(61)]
    assert [is_quick(lines) for lines in (chain[1:], chain, hub[1:], hub)] == [False, True, False, True]


def test_references_that_lead_round_in_a_circle_and_updates_are_drawn() -> None:
    circle = {f"n{i}": {"agent": "copyAgent", "inputs": {"a": f":n{(i + 1) % 300}"}} for i in range(300)}
    assert len(picture({"nodes": circle}).boxes) == 300
    updated = {f"s{i}": {"value": 1, "update": ":t"} for i in range(299)}
    drawn = picture({"nodes": {**updated, "t": {"agent": "copyAgent"}}})
    assert {line.kind for line in drawn.lines} == {"update"}


def test_a_graph_inside_a_node_that_does_not_fit_stays_folded() -> None:
    inner = _chain(MAX_PICTURE_NODE_COUNT)
    drawn = picture({"nodes": {"m": {"agent": "mapAgent", "inputs": {}, "graph": inner}}})
    assert [(box.address, box.hidden) for box in drawn.boxes] == [("m", MAX_PICTURE_NODE_COUNT)]
    assert f"mapAgent: {MAX_PICTURE_NODE_COUNT} nodes" in svg(drawn)


@pytest.mark.parametrize(
    "document", [None, 5, "x", [], {}, {"nodes": 5}, {"nodes": {}}, {"nodes": {"a": 5, "b": None}}]
)
def test_what_is_no_graph_has_a_picture_of_what_can_be_drawn(document: Any) -> None:
    ElementTree.fromstring(svg(picture(document)))


def test_hostile_names_are_text() -> None:
    name = '<script>alert(1)</script>"&\x1b[31m\u202e\n'
    drawn = picture({"nodes": {name: {"agent": name}}})
    for text in (svg(drawn, {name: name}), html(drawn, name, {name: name})):
        assert "<script" not in text
        assert "\x1b" not in text
        assert "\u202e" not in text
    ElementTree.fromstring(svg(drawn, {name: name}))


def test_states_are_classes_marks_and_words() -> None:
    drawn = picture(NESTED)
    text = svg(drawn, {"after": "failed", "rows.last": "executing"})
    assert '<g class="state-failed"><title>after, copyAgent, failed</title>' in text
    assert "✗ after" in text
    assert "▶ last" in text
    assert set(LOOKS) >= {*STATE_STYLES, *(str(phase).replace(" ", "-") for phase in Phase)}
    assert all(f".state-{state}{{" in stylesheet() for state in LOOKS)
