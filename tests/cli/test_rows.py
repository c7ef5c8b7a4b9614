"""Tables in files, what a map makes of them, and how results are shown: the parts without a run."""

import json
from pathlib import Path
from typing import Any

import pytest

from perdure.cli.commands.map import columns_of, filled, mapped, outcomes, with_values
from perdure.cli.inputs import rows
from perdure.cli.inputs.rows import Outcome
from perdure.cli.running.outcome import at
from perdure.cli.running.shorten import shortened
from perdure.errors import UsageError
from perdure.testing import run_in_memory

# file, its bytes, its rows
TABLES = [
    ("a.csv", b"q,n\nwhat,1\n", [{"q": "what", "n": "1"}]),
    ("a.CSV", b'\xef\xbb\xbfq\r\n"a, ""b""\nc"\r\n\r\nd\r\n', [{"q": 'a, "b"\nc'}, {"q": "d"}]),
    ("a.jsonl", b'{"q": 1}\n\n{"q": [2.5]}\n', [{"q": 1}, {"q": [2.5]}]),
    ("a.json", b'[{"q": "x"}]', [{"q": "x"}]),
]


@pytest.mark.parametrize(("name", "data", "expected"), TABLES)
def test_rows_are_read(tmp_path: Path, name: str, data: bytes, expected: Any) -> None:
    (tmp_path / name).write_bytes(data)
    assert rows.read(str(tmp_path / name)) == expected


# file, its bytes, the refusal
BAD = [
    ("a.txt", b"", "--rows {}: name a file that ends in .csv, .jsonl or .json"),
    ("a.csv", b"", "{}: has no rows"),
    ("a.csv", b"q\n", "{}: has no rows"),
    ("a.csv", b"q,q\n1,2\n", "{}: the header has 'q' twice\n  hint: rename one of the columns"),
    ("a.csv", b"q\n1\n2,3\n", "{}:3: row 2 has 2 cells, and the header has 1\n  hint: "),
    ("a.csv", b'q\n"x', "{}:2: unexpected end of data"),
    ("a.csv", b"q\n\xff\n", "{}: is not UTF-8 text\n  hint: save it as UTF-8"),
    ("a.jsonl", b'{"q": 1}\n{', "{}:2: is not JSON: "),
    ("a.jsonl", b"[1]\n", "{}:1: a row is an object"),
    ("a.json", b"{}", "{}: is not a list of objects"),
    ("a.json", b"[{}, 1]", "{}: row 2: a row is an object"),
]


@pytest.mark.parametrize(("name", "data", "said"), BAD)
def test_tables_that_are_refused(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    file = tmp_path / name
    file.write_bytes(data)
    with pytest.raises(UsageError) as caught:
        rows.read(str(file))
    assert str(caught.value).startswith(said.replace("{}", str(file)))


ROWS = [{"id": "1", "q": "a"}, {"id": "2", "q": "b"}]
ENDED = [Outcome({"answer": {"text": "x", "n": 1.5}, "list": [1, ["y, z"]]}), Outcome(error="broke")]
FINE = [Outcome({"b": None}), Outcome({"b": True, "c": ""})]
# file, outcomes, its text
WRITTEN = [
    (
        "o.csv",
        ENDED,
        'id,q,answer.text,answer.n,list,error\n1,a,x,1.5,"[1,[""y, z""]]",\n2,b,,,,broke\n',
    ),
    ("o.csv", FINE, "id,q,b,c\n1,a,,\n2,b,true,\n"),
    (
        "o.jsonl",
        ENDED,
        '{"row":1,"input":{"id":"1","q":"a"},"results":{"answer":{"text":"x","n":1.5},"list":[1,["y, z"]]}}\n'
        '{"row":2,"input":{"id":"2","q":"b"},"error":"broke"}\n',
    ),
]


@pytest.mark.parametrize(("name", "ended", "expected"), WRITTEN)
def test_results_are_written(tmp_path: Path, name: str, ended: list[Outcome], expected: str) -> None:
    rows.write(str(tmp_path / name), ROWS, ended)
    assert (tmp_path / name).read_text() == expected
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["again.csv", "again.jsonl"])
def test_rows_that_failed_can_be_read_again(tmp_path: Path, name: str) -> None:
    rows.write_rows(str(tmp_path / name), ROWS)
    assert rows.read(str(tmp_path / name)) == ROWS


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("q.csv", "this would replace the rows"),
        ("no/a.csv", "there is no folder"),
        ("a.xls", "name a file that"),
    ],
)
def test_a_file_that_could_not_be_written_is_refused_first(tmp_path: Path, out: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        rows.check_writable(str(tmp_path / out), str(tmp_path / "q.csv"))


GRAPH: dict[str, Any] = {
    "nodes": {
        "q": {"value": "own"},
        "tone": {"value": "kind"},
        "bad": {"agent": "popAgent", "if": ":q.equal(bad)", "inputs": {}},
        "said": {"agent": "copyAgent", "inputs": {"q": ":q", "tone": ":tone"}, "isResult": True},
    }
}
TABLE: list[dict[str, Any]] = [{"q": "a", "id": 1}, {"id": 2}, {"q": "bad", "id": 3}]


def results(graph: dict[str, Any], inputs: dict[str, Any]) -> list[Outcome]:
    columns = columns_of(graph, TABLE, inputs, "t.csv")
    values = [[row[column] for column in columns] for row in filled(graph, TABLE, columns)]
    result = run_in_memory(mapped(with_values(graph, inputs), columns), inputs={"rows": values})
    return outcomes(result.results["map"], graph)


def test_each_row_is_a_run_and_a_failure_is_that_of_its_row(capsys: pytest.CaptureFixture[str]) -> None:
    assert results(GRAPH, {"tone": "harsh"}) == [
        Outcome({"said": {"q": "a", "tone": "harsh"}}),
        Outcome({"said": {"q": "own", "tone": "harsh"}}),
        Outcome(error="popAgent: namedInputs is UNDEFINED!"),
    ]
    assert capsys.readouterr().err == "columns carried along, as no static node has their name: id\n"


def test_without_result_nodes_every_computed_node_is_a_result() -> None:
    graph = json.loads(json.dumps(GRAPH).replace(', "isResult": true', ""))
    assert results(graph, {})[0] == Outcome({"said": {"q": "a", "tone": "kind"}})


def test_columns_that_fit_no_node() -> None:
    with pytest.raises(UsageError) as caught:
        columns_of(GRAPH, [{"x": 1}], {}, "t.csv")
    said = "t.csv: no column has the name of a static node of the graph\n  hint: there is: q, tone"
    assert str(caught.value) == said
    graph = {"nodes": {"q": {}}}
    with pytest.raises(UsageError, match="row 2 has no 'q', and the node has no value of its own"):
        filled(graph, TABLE, ["q"])


RESULTS = {"a": {"text": "x", "list": [1, {"deep": 2}]}, "m": [{"b": 3}], "odd": None}
# path, the value
PLACES = [
    ("a.text", "x"),
    (":a.text", "x"),
    ("a.list[1].deep", 2),
    ("a.list.$1.deep", 2),
    ("m[0].b", 3),
    ("m", [{"b": 3}]),
    ("odd", None),
]


@pytest.mark.parametrize(("path", "value"), PLACES)
def test_a_place_in_the_results(path: str, value: Any) -> None:
    assert at(RESULTS, path) == value


# path, the hint
NOWHERE = [
    ("b", "there is: a, m, odd"),
    ("od", "did you mean 'odd'?"),
    ("a.b", "there is: text, list"),
    ("m[1].b", "'m' is a list of 1"),
    ("", "there is: a, m, odd"),
]


@pytest.mark.parametrize(("path", "hint"), NOWHERE)
def test_a_place_where_nothing_is(path: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        at(RESULTS, path)
    assert str(caught.value) == f"there is no result at {path!r}\n  hint: {hint}"


# value, as a terminal shows it
SHORT = [
    (list(range(10)), list(range(10))),
    ([0.123456789] * 11, [0.123457] * 5 + ["... 6 more numbers"]),
    ({"a": ["x"] * 41}, {"a": ["x"] * 20 + ["... 21 more items"]}),
    ([[0.5] * 384] * 2, [[0.5] * 5 + ["... 379 more numbers"]] * 2),
    ("x" * 1000, "x" * 1000),
    (12345678, 12345678),
]


@pytest.mark.parametrize(("value", "shown"), SHORT)
def test_long_results_are_shortened(value: Any, shown: Any) -> None:
    assert shortened(value) == shown
