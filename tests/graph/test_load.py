"""Reading documents: every recorded case of GraphAI's reader, and what surrounds them."""

import json
import math
from pathlib import Path

import pytest

from perdure.errors import GraphError
from perdure.graph.text.document import Document, Limits
from perdure.graph.text.load import load, load_value
from tests.support.deviations import OF_YAML

OWN = Path(__file__).parents[1] / "conformance/own/yaml.json"
UPSTREAM = Path(__file__).parents[2] / "../shared/conformance/upstream/yaml.json"


def cases(path: Path) -> list:
    if not path.exists():
        reason = "the recordings of GraphAI are not here"
        return [pytest.param({}, id=path.name, marks=pytest.mark.skip(reason=reason))]
    return [pytest.param(case, id=case["name"]) for case in json.loads(path.read_text())]


def same(left: object, right: object) -> bool:
    """Equality with order of keys, true apart from 1, and numbers as doubles."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | float) and isinstance(right, int | float):
        return float(left) == float(right)
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right


def refusal(text: str | bytes, **options: object) -> str:
    with pytest.raises(GraphError) as caught:
        load(text, **options)
    (problem,) = caught.value.problems
    assert problem.finding
    assert problem.hint
    return problem.code


@pytest.mark.parametrize("case", cases(OWN) + cases(UPSTREAM))
def test_recorded_yaml(case: dict) -> None:
    if case["name"] in OF_YAML:
        assert refusal(case["yaml"]) == OF_YAML[case["name"]]
    elif "error" in case:
        assert refusal(case["yaml"]) in ("yaml-syntax", "many-documents")
    else:
        assert same(load(case["yaml"]).data, case["parsed"])


def test_every_deviation_is_a_case() -> None:
    assert set(OF_YAML) <= {case["name"] for case in json.loads(OWN.read_text())}


# Checked against npm yaml 2.9, as the recordings are; it also reads some of what is refused here: lists as
# keys, and keys left out inside brackets.
VALUES = {
    "": None,
    "   ": None,
    "# only a comment": None,
    "%YAML 1.2 # fine\n---\na: 1\n": {"a": 1},
    "\ufeffa: 1": {"a": 1},
    "a: 1\r\nb:\r\n  - x\r\n": {"a": 1, "b": ["x"]},
    "-0": -0.0,
    "+12": 12,
    "007": 7,
    "0o17": 15,
    "0o18": "0o18",
    "0xFf": 255,
    "-0xFf": "-0xFf",
    "0b1": "0b1",
    "1_000": "1_000",
    "1e3": 1000,
    "+.5": 0.5,
    ".": ".",
    "1.e2": 100,
    "0." + "0" * 500 + "1": 0,
    "1" + "0" * 300: 1e300,
    "tRUE": "tRUE",
    "a: |\n  x\n   y\n\n\nb: 1": {"a": "x\n y\n", "b": 1},
    "a: |-\n  x\n\n": {"a": "x"},
    "a: |+\n  x\n\n\nb: 1": {"a": "x\n\n\n", "b": 1},
    "a: |+\n\n\nb: 1": {"a": "\n\n", "b": 1},
    "a: |\n\n\nb: 1": {"a": "", "b": 1},
    "a: |1-\n  x\n y\n": {"a": " x\ny"},
    "a: |-1 # c\n  x\n": {"a": " x"},
    "a: |2\n\n   x\n": {"a": "\n x\n"},
    "a: |\n  x\n ": {"a": "x\n"},
    "a: |\n  x": {"a": "x\n"},
    "a: |\n  x\n     ": {"a": "x\n   \n"},
    "a: >\n\n  x\n  y\n\n  z\n    m\n    n\n  e\n\n    f\n": {"a": "\nx y\nz\n  m\n  n\ne\n\n  f\n"},
    "a: >\n  x\n\n\n  y\n": {"a": "x\n\ny\n"},
    "a: >\n    i\n\n    j\n  \tk": GraphError,
    "|\nx\n---\n": GraphError,
    "--- |\nx\n...\n": "x\n",
    "--- |\n---\n": GraphError,
    "a: 'it''s'": {"a": "it's"},
    "a: 'x  \n   y\n\n  z'": {"a": "x y\nz"},
    'a: "x\\\n   y\\x41\\u00e9\\U0001F600\\ud83d\\ude00\\t\\/"': {"a": "xyAé😀😀\t/"},
    'a: "x \\\n\n  y"': {"a": "x  y"},
    "a: b\n  c\n\n  d": {"a": "b c\nd"},
    "a: b\n  # comment": {"a": "b"},
    "a: b\n  - c": {"a": "b - c"},
    "[a\n b, c]": ["a b", "c"],
    "[a\n , b]": ["a", "b"],
    "a\nb\n": "a b",
    "a\n...\n": "a",
    '{"a":1, "b" :2, \'c\':3, [1]: 4}': GraphError,
    '{"a":1, "b" :2, \'c\':3}': {"a": 1, "b": 2, "c": 3},
    "[[1]:2]": GraphError,
    "{a\n : 1, b: [x,\n]}": {"a": 1, "b": ["x"]},
    "{a b\n  c: 1}": {"a b c": 1},
    "[a: 1, ? b]": [{"a": 1}, {"b": None}],
    "{a, b: , c}": {"a": None, "b": None, "c": None},
    "[?x, -1, -x, a?b, x:y, :]": GraphError,
    "[?x, -1, -x, a?b, x:y]": ["?x", -1, "-x", "a?b", "x:y"],
    "a: [\n]\nb: {\n}": {"a": [], "b": {}},
    "a:\n  - [x,\n    # c\n    y]": {"a": [["x", "y"]]},
    "? a\n: b\n? c": {"a": "b", "c": None},
    ": x\n": {"": "x"},
    "a:\n- b\n-\n- - c\n  - d\n": {"a": ["b", None, ["c", "d"]]},
    "a:\t[1,\t2]\t# c": {"a": [1, 2]},
    "-\ta": ["a"],
    "a\t: 1": {"a": 1},
    "a:\n  b: 1\n\t\nc: 2": {"a": {"b": 1}, "c": 2},
    "a: &x 1\nb: *x\n*x : 2": {"a": 1, "b": 1, "1": 2},
    "&k a: 1\nb: *k": {"a": 1, "b": "a"},
    "a: &x\nb: *x": {"a": None, "b": None},
    "a: &x {l: [1, {m: 2}]}\nb: *x": {"a": {"l": [1, {"m": 2}]}, "b": {"l": [1, {"m": 2}]}},
    "a: &x 1\nb: &x 2\nc: *x": {"a": 1, "b": 2, "c": 2},
    "a: &x\n  b: &x\n    c: 1\n  d: 2\ne: *x": {"a": {"b": {"c": 1}, "d": 2}, "e": {"c": 1}},
    "a: x\u2028y\u0085z": {"a": "x\u2028y\u0085z"},
    "1.0: a\n1e3: b\n0x10: c\n-0: d": {"1": "a", "1000": "b", "16": "c", "0": "d"},
    "__proto__: 1": {"__proto__": 1},
}


@pytest.mark.parametrize("text", VALUES)
def test_yaml_value(text: str) -> None:
    expected = VALUES[text]
    if expected is GraphError:
        assert refusal(text)
    else:
        data = load(text).data
        assert same(data, expected)
        if expected == 0:
            assert math.copysign(1, data) == math.copysign(1, expected)


SYNTAX = {  # text -> line, column and a part of the finding
    "a: b: c": (1, 5, "': ' inside a string"),
    "a: 1\n b: 2": (2, 3, "': ' inside a string"),
    "a:\n  b: 1\n c: 2": (3, 2, "does not fit"),
    "a: - b": (1, 4, "a list cannot start here"),
    "a: ? b": (1, 4, "'? ' is not possible here"),
    "a: @b": (1, 4, "cannot start with this"),
    "a: b\nc": (2, 1, "a key without ':'"),
    "a: [b c": (2, 1, "expected ',' or the closing"),
    "a: [b, ${:c}]": (1, 9, "expected ',' or the closing"),
    "a: ]": (1, 4, "closes nothing"),
    "a: [b]#c": (1, 7, "no space before '#'"),
    "a:\n\tb: 1": (2, 2, "a tab"),
    "a:\n  b: 1\n\tc: 2": (3, 2, "a tab"),
    "\ta: 1": (1, 2, "a tab"),
    "a:\n \t- 1\n": (2, 3, "a list cannot start here"),
    "-\t- 1\n": (1, 3, "a list cannot start here"),
    "a: [\n1]": (2, 1, "inside brackets is not indented"),
    "a: 'x\ny'": (2, 1, "inside quotes is not indented"),
    "'x\n--- y'": (2, 1, "ends inside quotes"),
    "a: 'x": (1, 4, "never closed"),
    'a: "x\\': (1, 4, "never closed"),
    'a: "\\q"': (1, 4, "not an escape"),
    'a: "\\xg0"': (1, 4, "not an escape"),
    'a: "\\U00110000"': (1, 4, "not an escape"),
    "a: &": (1, 4, "without a name"),
    "a: * b": (1, 4, "without a name"),
    "a: |x\n  y": (1, 4, "on the line of '|'"),
    "a: |0\n  y": (1, 4, "on the line of '|'"),
    "a: |#c\n  y": (1, 4, "on the line of '|'"),
    "a:\n|\n": (2, 1, "below its key"),
    "a: |\n     \n  x": (1, 4, "blank line"),
    "a: |\n    x\n  y\n": (3, 3, "does not fit"),
    "%YAML 1.2\na: 1": (2, 1, "does not fit"),
}


@pytest.mark.parametrize("text", SYNTAX)
def test_yaml_syntax(text: str) -> None:
    line, column, finding = SYNTAX[text]
    with pytest.raises(GraphError) as caught:
        load(text, source="g.yaml")
    (problem,) = caught.value.problems
    assert (problem.code, problem.line, problem.column) == ("yaml-syntax", line, column)
    assert finding in problem.finding
    assert str(caught.value).startswith(f"g.yaml: line {line}, ")


JSON = {
    ' {"a": [1, -2.5e3, 1E2, true, false, null, {}, [ ], "x\\u00e9\\ud83d\\ude00\\n"]}\r\n': {
        "a": [1, -2500, 100, True, False, None, {}, [], "xé😀\n"]
    },
    '"x"': "x",
    "-0": -0.0,
    "\ufeff1": 1,
    "[" + "9" * 500 + "e-400]": [1e100],
    "12345678901234567890": 12345678901234567168,
    '{"1": 1, "a\\tb": {"a": 2}}': {"1": 1, "a\tb": {"a": 2}},
}


@pytest.mark.parametrize("text", JSON)
def test_json_value(text: str) -> None:
    assert same(load(text, json=True).data, JSON[text])


JSON_SYNTAX = {
    "": (1, 1, "expected a value, but the text ends"),
    "[1,\n 2": (2, 3, "expected ',' or ']', but the text ends"),
    "[1,]": (1, 4, "expected a value, found ']'"),
    '{"a": 1,}': (1, 9, "expected a key in double quotes"),
    "{'a': 1}": (1, 2, "expected a key in double quotes"),
    '{"a" 1}': (1, 6, "expected ':'"),
    '{"a": 1]': (1, 8, "expected ',' or '}'"),
    "1 2": (1, 3, "expected the end of the text"),
    "01": (1, 2, "expected the end of the text"),
    "nul": (1, 1, "expected a value, found 'nul'"),
    '"a': (1, 1, "never closed"),
    '"a\\': (1, 1, "never closed"),
    '["a\nb"]': (1, 4, "invalid control character"),
    '["\\x41"]': (1, 3, "invalid \\escape"),
    "// c\n1": (1, 1, "expected a value"),
}


@pytest.mark.parametrize("text", JSON_SYNTAX)
def test_json_syntax(text: str) -> None:
    line, column, finding = JSON_SYNTAX[text]
    with pytest.raises(GraphError) as caught:
        load(text, source="g.json")
    (problem,) = caught.value.problems
    assert (problem.code, problem.line, problem.column) == ("json-syntax", line, column)
    assert finding in problem.finding


def test_the_source_decides_how_to_read() -> None:
    assert load('{"a": 1,}', source="g.yaml").data == {"a": 1}
    assert refusal('{"a": 1,}', source="G.JSON") == "json-syntax"
    assert load('{"a": 1,}', source="g.json", json=False).data == {"a": 1}


def test_bytes_are_utf8() -> None:
    assert load("\ufeffa: é".encode()).data == {"a": "é"}
    with pytest.raises(GraphError) as caught:
        load(b"a: 1\nb: \xe9")
    assert (caught.value.problems[0].code, caught.value.problems[0].line) == ("encoding", 2)


def test_place_of_a_problem() -> None:
    with pytest.raises(GraphError) as caught:
        load("nodes:\n  a:\n    list: [1, {b: 2, b: 3}]")
    (problem,) = caught.value.problems
    assert (problem.place, problem.line, problem.column) == ("nodes.a.list.1", 3, 22)
    assert problem.finding == "the key 'b' is already set on line 3"


def test_place_shows_no_control_characters() -> None:
    with pytest.raises(GraphError) as caught:
        load(f'"\\e[31m": {{{"k" * 100}: !t x}}')
    place = caught.value.problems[0].place
    assert place.startswith(r"'\x1b[31m'")
    assert len(place) < 100


TEXT = """\
nodes:
  a:
    value: [x, {y: 1}]
  b: &b
    inputs:
      text: :a
  c: *b
"""
POSITIONS = {
    (): (1, 1),
    ("nodes",): (1, 1),
    ("nodes", "a", "value"): (3, 5),
    ("nodes", "a", "value", "1"): (3, 16),
    ("nodes", "a", "value", 1, "y"): (3, 17),
    ("nodes", "a", "value", "2"): (3, 5),
    ("nodes", "a", "value", "x"): (3, 5),
    ("nodes", "a", "value", 0, "deeper"): (3, 13),
    ("nodes", "b", "inputs", "text"): (6, 7),
    ("nodes", "b", "missing", "text"): (4, 3),
    ("nodes", "c"): (7, 3),
    ("nodes", "c", "inputs"): (5, 5),
}


@pytest.mark.parametrize("place", POSITIONS)
def test_position(place: tuple[str, ...]) -> None:
    assert load(TEXT).position(place) == POSITIONS[place]


def test_position_in_json() -> None:
    document = load('{"a":\n  [1, {"b": 2}]}', json=True)
    assert document.position(("a", "1", "b")) == (2, 8)


def test_document_without_text_has_no_positions() -> None:
    assert Document({"a": 1}).position(("a",)) is None


def test_aliases_are_copies() -> None:
    data = load("a: &x {l: [1]}\nb: *x").data
    data["a"]["l"].append(2)
    assert data["b"] == {"l": [1]}


@pytest.mark.parametrize(
    ("text", "value"), [("7", 7), ("[:a, 'b']", [":a", "b"]), ("", None), ("a b", "a b")]
)
def test_load_value(text: str, value: object) -> None:
    assert load_value(text) == value


def test_limits_can_be_set() -> None:
    assert refusal("a: bcd", limits=Limits(scalar=2)) == "too-long"
    assert load("a: bc", limits=Limits(scalar=2)).data == {"a": "bc"}
