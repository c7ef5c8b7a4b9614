"""Where an event goes: topics, keys, ids, and what a routing file may say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from perdure.errors import GraphError, NotFound, UsageError
from perdure.gateway.routes import Message, Routes, filled, fits, read_routes

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("pattern", "topic", "fit"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/c", False),
        ("a/+", "a/b", True),
        ("a/+", "a/b/c", False),
        ("a/+/c", "a/b/c", True),
        ("a/#", "a/b/c", True),
        ("#", "a", True),
        ("a", "a/b", False),
        ("a/b", "a", False),
    ],
)
def test_patterns(pattern: str, topic: str, fit: bool) -> None:
    assert fits(pattern, topic) is fit


def routed(row: dict[str, Any], **message: Any) -> Any:
    graphs = {"watch.yaml": {"nodes": {}}}
    return Routes([{"topic": "#", "run": "r", **row}], graphs).target(Message(**{"topic": "a/b", **message}))


def test_a_route_names_the_run_and_the_event() -> None:
    row = {
        "event": "telemetry",
        "key": "${level.1}",
        "id": "${body.n}",
        "at": "${body.time}",
        "sender": "gate-${body.gate}",
        "run": "watch-${key}",
        "graph": "watch.yaml",
        "inputs": {"component": "${key}", "limits": "${body.limits}", "fixed": 3},
        "queue": "plant",
    }
    body = {"n": 17, "time": "1970-01-01T00:00:05Z", "gate": 2, "limits": [1, 2]}
    target = routed(row, body=body)
    assert (target.run, target.name, target.queue, target.graph) == (
        "watch-b",
        "watch",
        "plant",
        {"nodes": {}},
    )
    assert target.inputs == {"component": "b", "limits": [1, 2], "fixed": 3}
    event = target.event
    assert (event.topic, event.key, event.id, event.sender, event.at, event.body) == (
        *("telemetry", "b", "17", "gate-2", 5_000.0),
        body,
    )


def test_what_the_sender_says_counts_where_the_route_says_nothing() -> None:
    event = routed({}, key="k", id="i", at=7, sender="s", body=1).event
    assert (event.topic, event.key, event.id, event.at, event.sender) == ("a/b", "k", "i", 7, "s")


def test_without_an_id_the_same_message_is_the_same_event() -> None:
    ids = [routed({}, body=body).event.id for body in ({"x": 1}, {"x": 1}, {"x": 2})]
    assert ids[0] == ids[1] != ids[2]
    assert routed({}, topic="other", body={"x": 1}).event.id != ids[0]


@pytest.mark.parametrize(
    ("row", "message", "finding"),
    [
        ({"topic": "x"}, {}, "no route fits topic 'a/b'"),
        ({"key": "${body.component}"}, {"body": {}}, "the event has no 'body.component'"),
        ({"key": "${level.9}"}, {}, "the event has no 'level.9'"),
        ({}, {"at": "yesterday"}, "is not a time"),
    ],
)
def test_unroutable(row: dict[str, Any], message: dict[str, Any], finding: str) -> None:
    with pytest.raises(NotFound, match=finding):
        routed(row, **message)


def test_a_mark_alone_keeps_the_type() -> None:
    assert [filled(template, {"n": 3}) for template in ("${n}", "<${n}>", "${", 5)] == [3, "<3>", "${", 5]


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("{}", "there is no list of routes"),
        ("routes: [1]", r"routes\[0\]: a route is an object"),
        ("routes: [{topic: a}]", r"routes\[0\]: run is missing"),
        ("routes: [{run: a}]", "topic is missing"),
        ("routes: [{topic: a, run: b, rune: c}]", "there is no key 'rune'"),
        ("routes: [{topic: a, run: 3}]", "run: it is a string"),
        ("routes: [{topic: a, run: b, inputs: [1]}]", "inputs are an object"),
    ],
)
def test_wrong_files(tmp_path: Path, text: str, finding: str) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match=finding):
        read_routes(file)


def test_a_file_brings_its_graphs(tmp_path: Path) -> None:
    (tmp_path / "watch.yaml").write_text("nodes: {a: {value: 1}}")
    file = tmp_path / "routes.yaml"
    file.write_text("routes: [{topic: a, run: b, graph: watch.yaml}, {topic: c/#, run: d}]")
    routes = read_routes(file)
    assert routes.topics == ["a", "c/#"]
    assert routes.target(Message(topic="a")).graph == {"nodes": {"a": {"value": 1}}}
    (tmp_path / "watch.yaml").write_text("nodes: [")
    with pytest.raises(GraphError, match=r"watch.yaml"):
        read_routes(file)
