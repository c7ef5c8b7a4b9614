"""Templates and references beyond the recordings."""

import math
from typing import Any

import pytest

from perdure.errors import FunctionError
from perdure.graph.functions import FUNCTIONS
from perdure.graph.reference import parse_path, parse_reference
from perdure.graph.template import Literal, Ref, Text, clean
from perdure.graph.template_compiler import compile_inputs, compile_output
from perdure.graph.values import UNDEFINED


class Scope:
    now_ms = 1_700_000_000_999
    loop = 3

    def __init__(self, results: dict[str, Any] | None = None, **more: Any) -> None:
        self.results = (results or {}) | more

    def result(self, node: str) -> Any:
        return self.results.get(node, UNDEFINED)


def read(text: str, value: Any) -> Any:
    reference = parse_reference(f":n.{text}")
    assert reference is not None
    return reference.read(value)


READS = [
    # sum() is JavaScript's +, which turns to text at the first text, list or object
    ("sum()", [2**53, 1, 1], 2**53),
    ("sum()", [True, None, 1.5], 2.5),
    ("sum()", [1, 2, "a", None, UNDEFINED, {}], "3anullundefined[object Object]"),
    ("sum()", [1, [2, 3]], "12,3"),
    ("sum()", ["\ud83d", "\ude00"], "0\U0001f600"),
    ("average()", ["1", "2"], 6),
    ("mean()", [], 0),
    ("max()", [-0.0, 0], 0),
    ("max()", ["2", True, None], 2),
    ("min()", [], 0),
    ("min()", [3, -7, "x5"], math.nan),
    ("join()", ["\ud83d", "\ude00", None], "\U0001f600"),
    ("join(\u00a0)", [1, 2], "1\u00a02"),
    ("flat()", [1, [2, [3]], {}], [1, 2, [3], {}]),
    ("keys()", {"b": 1, "10": 2, "2": 3}, ["2", "10", "b"]),
    ("values()", {"b": 1, "10": 2, "2": 3}, [3, 2, 1]),
    ("values()", [1, UNDEFINED], [1, UNDEFINED]),
    ("add(1)", -0.0, 1),
    ("add(1)", math.inf, UNDEFINED),
    ("add(9007199254740993)", 0, 9007199254740992),
    ("add(-0)", -0.0, -0.0),
    ("add(1)", True, UNDEFINED),
    ("not()", False, True),
    ("not()", None, UNDEFINED),
    ("default(1-2)", UNDEFINED, math.nan),
    ("default(007)", UNDEFINED, 7),
    ("default(x)", None, UNDEFINED),
    ("slice(-99999999999999999999,1)", "a\U0001f600", "a"),
    ("slice(1,2)", "a\U0001f600", "\ud83d"),
    ("split( )", "a b", ["a", "b"]),
    ("toNumber()", "five", UNDEFINED),
    ("jsonParse()", "null", UNDEFINED),
    ("jsonParse().default(x)", "null", "x"),
    ("unknown()", {"unknown()": 1}, 1),
    ("keys()", {"keys()": 1}, ["keys()"]),
    ("trim()", {"trim()": 1}, 1),
    ("trim()", [1], UNDEFINED),
    ("$00", [5], 5),
    ("$1", [5], UNDEFINED),
    ("$99999999999999999999", [5], UNDEFINED),
    ("$last", [], UNDEFINED),
    ("$last", [1, 2], 2),
    ("$last", {"$last": 1}, 1),
    ("$0", {"$0": 1}, 1),
    ("$0", "abc", UNDEFINED),
    ("length", [1], UNDEFINED),
]


@pytest.mark.parametrize(("text", "value", "expected"), READS)
def test_read(text: str, value: Any, expected: Any) -> None:
    got = read(text, value)
    assert repr(got) == repr(expected)


def test_reading_copies_nothing() -> None:
    value = {"a": [{"b": 1}]}
    assert read("a.$0", value) is value["a"][0]


@pytest.mark.parametrize("text", [":", ":.default(x)"])
def test_a_reference_to_no_node_is_undefined(text: str) -> None:
    reference = parse_reference(text)
    assert reference is not None
    assert reference.read("x") is UNDEFINED


def test_a_failing_function_names_place_finding_and_hint() -> None:
    text = "x" * 100
    with pytest.raises(FunctionError) as caught:
        read("text.jsonParse()", {"text": text})
    assert str(caught.value).startswith(
        ":n.text.jsonParse(): jsonParse() of text that is not JSON: Expecting"
    )
    assert "x" * 40 + "..." in str(caught.value)
    assert "x" * 41 not in str(caught.value)
    assert "\n  hint: " in str(caught.value)


def test_a_value_too_deep_to_write_is_a_function_error() -> None:
    value: Any = []
    for _ in range(5000):
        value = [value]
    with pytest.raises(FunctionError, match=r"^:n\.toJSON\(\): "):
        read("toJSON()", value)


def test_paths_of_repeat_until_call_no_functions() -> None:
    path = parse_path(".text.trim()", functions=False)
    assert path is not None
    assert path.read({"text": " x "}) is UNDEFINED
    assert path.read({"text": {"trim()": 1}}) == 1
    assert path.props == ("text", "trim()")


def test_functions_are_tried_in_the_order_of_kinds() -> None:
    assert [item.on for item in FUNCTIONS["equal"]] == ["string", "number"]


UTILITIES = [
    ("@now", 1_700_000_000_999),
    ("@now_ms", 1_700_000_000_999),
    ("@now_s", 1_700_000_000),
    ("@loop", 3),
    ("@other", ""),
    ("@", ""),
    ("@a\nb", "@a\nb"),
    ("${@now_s}!", "1700000000!"),
    ("${@a\nb}!", "!"),
    ("${@}", "${@}"),
    ("${:n\nx}", ":n\nx"),
    ("${:", "${:"),
    ("${:}${:n}", "${:}7"),
    ("${:.x}", "undefined"),
    (":n", 7),
    (":n.${:n}", ":n.7"),
]


@pytest.mark.parametrize(("text", "expected"), UTILITIES)
def test_inputs(text: str, expected: Any) -> None:
    assert compile_inputs([text]).render(Scope(n=7)) == [expected]


OUTPUTS = [
    (".a", 1),
    ("${.a}", "${.a}"),
    ("${:a.b} ${:c}", ":a.b :c"),
    ("@now", "@now"),
    ("${@now_s}", "1700000000"),
    ("${@other}|", "|"),
    (".a${:b}", ".a:b"),
    (".s.split(\n)", ["x", "y"]),
    (":a", ":a"),
    (5, 5),
]


@pytest.mark.parametrize(("text", "expected"), OUTPUTS)
def test_output(text: Any, expected: Any) -> None:
    assert compile_output([text]).render(Scope({"self": {"a": 1, "s": "x\ny"}})) == [expected]


def test_output_has_no_loop() -> None:
    template = compile_output({"k": "${@loop}"})
    with pytest.raises(FunctionError, match="hint: pass '@loop' on with `passThrough`"):
        template.render(Scope({"self": {}}))


REFERENCES = [
    ({"b": ":x", "10": [":y", {"k": "${:z} ${:x}"}], "2": ":w"}, [":w", ":y", ":z", ":x", ":x"]),
    ({"a": "${@x ${:y}"}, [":y"]),
    ({"a": ":a ${@now}"}, [":a ${@now}"]),
    ({"a": "${@now} ${:}", ":k": ":.x"}, []),
]


@pytest.mark.parametrize(("inputs", "expected"), REFERENCES)
def test_references(inputs: Any, expected: list[str]) -> None:
    assert [reference.text for reference in compile_inputs(inputs).references] == expected


def test_references_of_output_are_to_the_node_itself() -> None:
    assert [(r.node, r.text) for r in compile_output({"a": ".x", "b": "${:y}"}).references] == [
        ("self", ".x")
    ]


def test_a_template_without_references_is_the_value_itself() -> None:
    value = {"10": [1, {"k": "text"}], "2": None}
    template = compile_inputs(value)
    assert template == Literal(value)
    assert template.render(Scope()) is value


def test_templates_compare_by_what_they_say() -> None:
    inputs = {"a": [":x.trim()", "${:x}!"], "b": "@now"}
    assert compile_inputs(inputs) == compile_inputs(inputs)
    assert compile_inputs([":x.$0"]) != compile_inputs([":x.$1"])
    (reference,) = compile_inputs([":x"]).references
    assert compile_inputs({"k": ":x"}).members == (("k", Ref(reference, (reference,))),)


def test_keys_are_never_templates() -> None:
    assert compile_inputs({":n": ":n", "${:n}": 1}).render(Scope(n=7)) == {":n": 7, "${:n}": 1}


def test_a_template_in_place_of_all_inputs_is_taken_apart() -> None:
    template = compile_inputs("${:n}\U0001f600@")
    assert [reference.node for reference in template.references] == ["n"]
    units = ["$", "{", UNDEFINED, "n", "}", "\ud83d", "\ude00", ""]
    assert template.render(Scope(n=7)) == {str(index): unit for index, unit in enumerate(units)}


def test_halves_of_a_pair_meet_in_a_text() -> None:
    rendered = compile_inputs(["${:n.slice(0,1)}${:n.slice(1,2)}"]).render(Scope(n="\U0001f600"))
    assert rendered == ["\U0001f600"]


def test_literal_neighbours_of_a_text_are_joined() -> None:
    (text,) = compile_inputs(["a${@x}b${:.x}c${:n}"]).items
    assert isinstance(text, Text)
    assert text.parts == ("abundefinedc", Ref(text.references[0], text.references))


def test_clean_takes_undefined_out_too() -> None:
    assert clean({"a": UNDEFINED, "b": [UNDEFINED, {"c": None}]}) == {"b": [{}]}
