"""The differences from GraphAI that docs/language.md lists are those that the tests allow, and no others."""

import json
from pathlib import Path
from typing import Any

import pytest

from perdure.agents.catalog import catalog
from perdure.engine.graph_agents import GRAPH_AGENTS
from tests.repo.documents import codes, tables, text_of
from tests.support.deviations import OF_REFERENCES, OF_YAML
from tests.support.recorded import DEVIATIONS, SHARED

OWN = Path(__file__).parents[1] / "conformance/own"
HEADINGS = ("On purpose", "Where GraphAI crashes or never ends", "Hostile and strange documents")
BEFORE_THE_RUN = {"oldforms/agentId_in_node", "oldforms/paper_rag_verbatim_agentId"}
"""Refused by the scheduler as GraphAI does; `agentId` is read as `agent` before it comes to that."""


def listed() -> set[str]:
    return {
        case
        for heading in HEADINGS
        for row in tables("language.md", heading)[0]
        for case in codes(row["cases"])
    }


def allowed() -> set[str]:
    graphs = {*DEVIATIONS["graphs"], *DEVIATIONS["agents"]}
    references = {json.dumps(text, ensure_ascii=False) for text in OF_REFERENCES}
    return graphs | references | set(OF_YAML)


def recorded_graphs() -> list[dict[str, Any]]:
    path = SHARED / "own/graphs.json"
    if not path.exists():
        pytest.skip("the recordings of GraphAI are not here")
    return json.loads(path.read_text())


def test_every_deviation_is_listed() -> None:
    assert allowed() - listed() == set()


def test_what_is_listed_deviates() -> None:
    unended = {case["name"] for case in recorded_graphs() if case["status"] in ("crash", "hang")}
    assert listed() - allowed() - BEFORE_THE_RUN == unended


def test_cases_exist() -> None:
    names = {case["name"] for case in recorded_graphs()}
    names |= {case["name"] for case in json.loads((OWN / "yaml.json").read_text())}
    assert {name for name in listed() if not name.startswith('"')} <= names


def test_agents_that_are_not_there() -> None:
    (row,) = [row for row in tables("language.md", "On purpose")[0] if row["what"] == "agents"]
    assert codes(row["Perdure"])
    assert set(codes(row["Perdure"])) & {*catalog(), *GRAPH_AGENTS} == set()


def test_every_row_says_why_or_what() -> None:
    assert "nowhere else" in text_of("language.md")
    for heading in HEADINGS:
        for row in tables("language.md", heading)[0]:
            assert row["what"], row
            assert row["Perdure"], row
