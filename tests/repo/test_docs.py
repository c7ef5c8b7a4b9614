"""What the documents say is so: their examples are run, their tables compared with the code."""

import ast
import os
import re
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest

from perdure.agents.catalog import catalog
from perdure.engine import graph_agents
from perdure.engine.lifecycle import nested
from perdure.engine.messages import RunOptions
from perdure.engine.state import NodeState
from perdure.graph.fields import COMPUTED_KEYS, GRAPH_KEYS, PERDURE_COMPUTED_KEYS, STATIC_KEYS
from perdure.graph.functions import FUNCTIONS
from perdure.graph.javascript import parse, to_string
from perdure.graph.reference import parse_reference
from perdure.graph.text.document import LIMITS
from perdure.graph.text.load import load
from perdure.graph.values import UNDEFINED, truthy
from tests.repo import documents
from tests.repo.documents import DOCS, Example, code, codes, tables
from tests.support import ROOT

LANGUAGE = "language.md"
NAMES = [*sorted(path.name for path in DOCS.glob("*.md")), "../README.md"]
EXAMPLES = [example for name in NAMES for example in documents.examples(name)]


@pytest.mark.anyio
@pytest.mark.parametrize("example", EXAMPLES, ids=str)
async def test_example(example: Example) -> None:
    assert example.outcomes, "a graph without a block that shows its outcome"
    got = await documents.outcome(example.source)
    for block in example.outcomes:
        assert block.kind in got, f"{block}: there is no {block.kind}, but {got}"
        if block.language == "json":
            assert documents.same_json(got[block.kind], block.text), f"{block}: {got[block.kind]}"
        else:
            assert got[block.kind] == block.text


def test_there_are_examples() -> None:
    assert {example.source.document for example in EXAMPLES} >= {LANGUAGE, "errors.md"}


@pytest.mark.parametrize("name", NAMES)
def test_links(name: str) -> None:
    wrong = []
    for target in re.findall(r"\]\(([^)\s]+)\)", documents.text_of(name)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (DOCS / name).parent / path if path else DOCS / name
        if not file.exists() or (anchor and anchor not in anchors(file)):
            wrong.append(target)
    assert wrong == []


def anchors(file: Path) -> set[str]:
    titles = [title for _, title in documents.headings(os.path.relpath(file, DOCS))]
    plain = [re.sub(r"[^\w\- ]", "", title.lower()) for title in titles]
    return {title.replace(" ", "-") for title in plain}


def test_sections_that_the_code_refers_to() -> None:
    named: set[str] = set()
    for path in (ROOT / "perdure").rglob("*.py"):
        text = path.read_text()
        assert "language.md §" not in text, path
        named |= set(re.findall(r'docs/language\.md,\s+"([^"]+)"', text))
    assert named >= {"Text", "Values", "Functions"}
    assert named <= {title for _, title in documents.headings(LANGUAGE)}


KEYS = {
    "The document": GRAPH_KEYS,
    "Static nodes": STATIC_KEYS,
    "Computed nodes": COMPUTED_KEYS,
    "Perdure's own keys": PERDURE_COMPUTED_KEYS,
    "Loops": ("count", "while"),
    "How a run goes": tuple(map(str, NodeState)),
    "What the caller may set": tuple(field.name for field in fields(RunOptions)),
    "People": tuple(catalog()["textInputAgent"].params["properties"]),
}


@pytest.mark.parametrize("heading", KEYS)
def test_keys(heading: str) -> None:
    (table,) = tables(LANGUAGE, heading)
    listed = [key for row in table for key in codes(next(iter(row.values())))]
    assert sorted(listed) == sorted(KEYS[heading])


def test_params_of_graph_agents() -> None:
    read = {
        node.args[0].value
        for module in (graph_agents, nested)
        for node in ast.walk(ast.parse(Path(module.__file__).read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("params.get")
    }
    listed = [code(row["param"]) for part in ("Nested graphs", "Maps") for row in tables(LANGUAGE, part)[0]]
    assert set(listed) == read


def test_text() -> None:
    for row in tables(LANGUAGE, "Text")[0]:
        got = load(code(row["text"])).data
        expected = parse(code(row["value"]))
        assert (got, type(got)) == (expected, type(expected)), row


def test_limits() -> None:
    listed = [int(row["most"].replace(",", "")) for row in tables(LANGUAGE, "Text")[1]]
    assert sorted(listed) == sorted(asdict(LIMITS).values())


def test_values() -> None:
    texts, truth = tables(LANGUAGE, "Values")
    for row in texts:
        assert to_string(parse(code(row["value"]))) == code(row["text"])
    for row in truth:
        assert str(truthy(parse(code(row["value"])))).lower() == row["counts as"]


def test_functions() -> None:
    known, surprising = tables(LANGUAGE, "Functions")
    listed = [(code(row["function"]).partition("(")[0], row["of"]) for row in known]
    assert listed == list(dict.fromkeys(listed))
    assert set(listed) == {(item.name, item.on) for items in FUNCTIONS.values() for item in items}
    for row in known + surprising:
        reference = parse_reference(code(row["reference"]))
        assert reference is not None
        got, expected = reference.read(value_of(row["value"])), value_of(row["result"])
        assert (got, type(got)) == (expected, type(expected)), row


def value_of(cell: str) -> Any:
    return UNDEFINED if code(cell) == "undefined" else parse(code(cell))


def test_utilities() -> None:
    listed = [name for row in tables(LANGUAGE, "References")[1] for name in codes(row["text"])]
    for name in listed:
        assert isinstance(utility(name), int), name
    assert utility("@other") == ""
    assert sorted(listed) == ["@loop", "@now", "@now_ms", "@now_s"]


def utility(name: str) -> Any:
    from perdure.testing import run_in_memory

    node = {"agent": "copyAgent", "inputs": {"value": name}, "isResult": True}
    return run_in_memory({"nodes": {"node": node}}).results["node"]["value"]
