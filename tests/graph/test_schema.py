"""The JSON Schema accepts what runs and refuses what never could."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from perdure.graph.fields import COMPUTED_KEYS, GRAPH_KEYS, STATIC_KEYS
from perdure.graph.review import review
from perdure.graph.schema import schema
from perdure.graph.text.document import Document

SCHEMA = schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
OWN = Path(__file__).parents[2] / "../shared/conformance/own/graphs.json"


def test_it_is_a_schema_with_a_description_for_every_key():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    defined = SCHEMA["$defs"]
    keys = {"graph": set(GRAPH_KEYS), "static": set(STATIC_KEYS), "computed": {*COMPUTED_KEYS, "agentId"}}
    for name, expected in keys.items():
        members = defined[name]["properties"]
        assert set(members) == expected
        assert all(member["description"].endswith(".") for member in members.values())


@pytest.mark.skipif(not OWN.exists(), reason="the recorded cases are not here")
def test_every_recorded_graph_that_is_free_of_problems_validates():
    cases: list[dict[str, Any]] = json.loads(OWN.read_text())
    refused: list[str] = []
    count = 0
    for case in cases:
        reviewed = review(Document(case["graph"]))
        if case["status"] == "ok" and not reviewed.problems and not reviewed.nested:
            count += 1
            refused += [f"{case['name']}: {error.message}" for error in VALIDATOR.iter_errors(case["graph"])]
    assert refused == []
    assert count > 100


def node(**keys: Any) -> dict[str, Any]:
    return {"nodes": {"a": {"agent": "echoAgent", **keys}}}


@pytest.mark.parametrize(
    ("graph", "valid"),
    [
        ({"nodes": {"a": {"value": 1}}}, True),
        (node(queue="gpu", placement="local", backoff=0.5), True),
        ({"nodes": {"a": {"agentId": "echoAgent"}}}, True),
        (node(graph={"nodes": {"b": {"agent": "echoAgent"}}}), True),
        (node(graph={"nodes": {"b": {"agent": "echoAgent", "input": 1}}}), True),
        (node(agent="mapAgent", graph={"nodes": {"b": {"agent": "echoAgent", "input": 1}}}), False),
        (node(agent=":which", graph={"nodes": {"b": {"agent": "echoAgent", "input": 1}}}), False),
        (node(graph="x"), False),
        ({"nodes": {}}, False),
        ({}, False),
        ([], False),
        ({**node(), "concurency": 8}, False),
        ({**node(), "concurrency": 0}, False),
        ({**node(), "loop": {"count": 1, "while": ":a"}}, False),
        (node(value=1), False),
        (node(input={}), False),
        (node(**{"if": "a"}), False),
        (node(placement="moon"), False),
        (node(backoff=0), False),
        ({"nodes": {"a": {"value": 1, "params": {}}}}, False),
    ],
)
def test_graph(graph, valid):
    assert VALIDATOR.is_valid(graph) == valid
