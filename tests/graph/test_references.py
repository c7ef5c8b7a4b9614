"""Every recorded answer of GraphAI's reference language, and the few that Perdure gives otherwise."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from perdure.errors import FunctionError
from perdure.graph import javascript
from perdure.graph.reference import Reference, parse_path, parse_reference
from perdure.graph.template import clean
from perdure.graph.template_compiler import compile_inputs, compile_output, references_in
from perdure.graph.values import UNDEFINED, truthy
from tests.support.deviations import OF_REFERENCES

RECORDED = javascript.normalize_json(
    json.loads((Path(__file__).parents[1] / "conformance/own/references.json").read_text(encoding="utf-8"))
)
RESULTS = {**RECORDED["nodes"], "neg0": -0.0}


@dataclass
class Results:
    """A scope over a dictionary."""

    results: dict[str, Any]
    loop: int = RECORDED["loopIndex"]
    now_ms: int = 1_700_000_000_999

    def result(self, node: str) -> Any:
        return self.results.get(node, UNDEFINED)


def plain(value: Any) -> Any:
    """`value` as the recordings show it: undefined members dropped, undefined items and NaN null."""
    text = javascript.stringify(value)
    return UNDEFINED if text is UNDEFINED else javascript.parse(text)


def same(left: Any, right: Any) -> bool:
    """Equality that distinguishes True from 1 and looks at the order of keys."""
    return javascript.stringify(left) == javascript.stringify(right)


def read(text: str, results: dict[str, Any] | None = None) -> Any:
    return compile_inputs({"value": text}).render(Results(RESULTS if results is None else results))["value"]


def kind(special: list[dict[str, str]]) -> str:
    return special[0]["kind"].partition("(")[0] if special else ""


def outcome(text: str) -> Any:
    """What the recordings hold for `text`: (kind, value)."""
    try:
        value = read(text)
    except FunctionError:
        return "thrown", None
    if value is UNDEFINED:
        return "undefined", None
    if isinstance(value, float) and not math.isfinite(value):
        return javascript.number_to_string(value), None
    return "value", value


def expected_outcome(case: dict[str, Any]) -> Any:
    if "thrown" in case:
        return "thrown", None
    if case.get("undefined"):
        return "undefined", None
    return (kind(case.get("special", [])) or "value"), case["expected"]


def test_functions() -> None:
    wrong = []
    for case in RECORDED["propFunctions"]:
        got, expected = outcome(case["ref"]), expected_outcome(case)
        if not (got[0] == expected[0] and same(got[1], expected[1])) and case["ref"] not in OF_REFERENCES:
            wrong.append((case, got))
    assert wrong == []
    assert len(RECORDED["propFunctions"]) == 2660


@pytest.mark.parametrize(("text", "value"), [(text, value) for text, (_, value) in OF_REFERENCES.items()])
def test_deviations(text: str, value: Any) -> None:
    got = read(text)
    assert got is value or got == value


def test_deviations_are_recorded() -> None:
    recorded = {case["ref"] for case in RECORDED["propFunctions"]}
    recorded |= {case["template"] for case in RECORDED["templates"]}
    assert set(OF_REFERENCES) <= recorded


def as_recorded(reference: Reference | None, text: Any) -> dict[str, Any]:
    if reference is None:
        return {"value": text}
    return {"nodeId": reference.node} | ({"propIds": list(reference.props)} if reference.props else {})


@pytest.mark.parametrize("case", RECORDED["parse"], ids=lambda case: repr(case["input"]))
def test_parse(case: dict[str, Any]) -> None:
    assert as_recorded(parse_reference(case["input"]), case["input"]) == case["expected"]


@pytest.mark.parametrize("case", RECORDED["parseSelf"], ids=lambda case: repr(case["input"]))
def test_parse_path(case: dict[str, Any]) -> None:
    assert as_recorded(parse_path(case["input"]), case["input"]) == case["expected"]


@pytest.mark.parametrize("case", RECORDED["deps"], ids=lambda case: str(case["inputs"]))
def test_references(case: dict[str, Any]) -> None:
    references = compile_inputs(case["inputs"]).references
    assert [reference.node for reference in references] == case["expected"]
    assert references_in(case["inputs"]) == list(references)


@pytest.mark.parametrize("case", RECORDED["templates"], ids=lambda case: case["template"])
def test_references_without_compiling(case: dict[str, Any]) -> None:
    for value in (case["template"], [1, {"a": case["template"], "0": [case["template"]], "b": None}]):
        assert references_in(value) == list(compile_inputs(value).references)


@pytest.mark.parametrize("case", RECORDED["templates"], ids=lambda case: case["template"])
def test_templates(case: dict[str, Any]) -> None:
    _, expected = OF_REFERENCES.get(case["template"], ("", case["expected"]))
    assert read(case["template"]) == expected


@pytest.mark.parametrize("case", RECORDED["structures"], ids=lambda case: str(case["inputs"]))
def test_structures(case: dict[str, Any]) -> None:
    rendered = compile_inputs(case["inputs"]).render(Results(RESULTS))
    assert list(rendered) == list(case["expected"])
    assert same(rendered, case["expected"])


@pytest.mark.parametrize("case", RECORDED["output"], ids=lambda case: str(case["output"]))
def test_output(case: dict[str, Any]) -> None:
    rendered = compile_output(case["output"]).render(Results({"self": case["self"]}))
    assert same(plain(rendered), case["expected"])
    undefined = [place["path"] for place in case.get("special", [])]
    assert [key for key, value in rendered.items() if value is UNDEFINED] == undefined


@pytest.mark.parametrize("case", RECORDED["logicallyTrue"], ids=lambda case: str(case["value"]))
def test_truthy(case: dict[str, Any]) -> None:
    assert truthy(case["value"]) is case["expected"]


@pytest.mark.parametrize("case", RECORDED["anyInputClean"], ids=lambda case: str(case["value"]))
def test_clean(case: dict[str, Any]) -> None:
    assert same(clean(case["value"]), case["expected"])


@pytest.mark.parametrize("case", RECORDED["toStringAndNumber"], ids=lambda case: str(case["value"]))
def test_to_string_and_number(case: dict[str, Any]) -> None:
    value = case["value"]
    assert javascript.to_string(value) == case["string"]
    got = javascript.to_number(value)
    assert math.isnan(got) if case["number"] == "NaN" else got == case["number"]
    assert javascript.stringify(value, 2) == case["json"]


@pytest.mark.parametrize("case", RECORDED["jsonStringify"], ids=lambda case: case["compact"])
def test_stringify(case: dict[str, Any]) -> None:
    assert javascript.stringify(case["value"]) == case["compact"]
    assert javascript.stringify(case["value"], 2) == case["pretty"]


@pytest.mark.parametrize("case", RECORDED["jsonParse"], ids=lambda case: repr(case["text"]))
def test_json_parse(case: dict[str, Any]) -> None:
    if "thrown" in case:
        with pytest.raises(ValueError, match=r".+"):
            javascript.parse(case["text"])
        return
    got = javascript.parse(case["text"])
    assert (math.isinf(got)) if case.get("special") else same(got, case["expected"])
