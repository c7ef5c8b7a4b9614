"""Runs a graph once for each row of a table, and writes the rows with their results.

Columns go into the static nodes that have their names; other columns are carried along. A static node that
has a value needs no column. All rows are one durable run: progress is kept row by row, and the same command
with the same --id continues, or writes the file again. A row that fails does not stop the others.

In a CSV file every cell is a string, and results that are objects become columns such as answer.text. A
line of a JSON Lines file is {"row": 1, "input": {...}, "results": {...}}, with "error" instead of "results"
for a row that failed.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Final

from perdure.cli import connection, logs, output
from perdure.cli.commands.run import graph_options, prepared, settings_of
from perdure.cli.inputs import rows
from perdure.errors import UsageError
from perdure.graph.fields import is_computed
from perdure.graph.text.shown import message
from perdure.graph.values import Value, is_dict, js_truthy
from perdure.graph.wording import suggestion
from perdure.protocol.payloads import RunResult

EXAMPLES = """\
examples:
  perdure map graph.yaml --rows questions.csv --out answers.csv
  perdure map graph.yaml --rows questions.csv --out answers.csv --id night-1    again: continues
  perdure map graph.yaml --rows questions.jsonl --out answers.jsonl --concurrency 20
  perdure map graph.yaml --rows q.csv --out a.csv --failed again.csv            rows to run again

exit codes: 0 every row has its results, 1 rows failed, 2 the graph, the rows or the call is wrong,
3 no server or no worker, 130 interrupted (the run continues)
"""
ROWS: Final = "rows"
MAP: Final = "map"
ROW_RESULT: Final = "result"
FAILURES_COUNT: Final = 20
"""Failed rows that are listed on stderr; the file has them all."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("graph", metavar="GRAPH", help="a YAML or JSON file, - for stdin")
    parser.add_argument("--rows", required=True, metavar="FILE", help="the rows: .csv, .jsonl or .json")
    parser.add_argument("--out", required=True, metavar="FILE", help="where they go: .csv or .jsonl")
    parser.add_argument("--failed", metavar="FILE", help="where rows that failed go, to be run again")
    parser.add_argument(
        "--concurrency", metavar="N", type=int, help="nodes that run at once (the graph's, or 8)"
    )
    graph_options(parser)


def main(args: argparse.Namespace) -> int:
    """Checks graph and rows, runs them, and writes the file."""
    logs.configure(verbose=args.verbose)
    settings = settings_of(args)
    table = rows.read(args.rows)
    rows.check_writable(args.out, args.rows)
    if args.failed:
        rows.check_writable(args.failed, args.rows, "--failed")
    command = prepared(args, strict=False)
    columns = columns_of(command.document, table, command.inputs, args.rows)
    document = mapped(with_values(command.document, command.inputs), columns, args.concurrency)
    values: Value = [[row[column] for column in columns] for row in filled(command.document, table, columns)]

    def deliver(result: RunResult) -> int:
        return _deliver(args, table, outcomes(result.results.get(MAP), command.document))

    server_start = connection.begin(settings)
    from perdure.cli.running import run_session  # noqa: PLC0415 -- loads the SDK while the server starts

    job = run_session.RunCommand(
        document=document,
        name=command.name,
        inputs={ROWS: values},
        options=command.options,
        agents=command.agents,
        unknown=command.unknown,
        id=args.id,
        queue=args.queue,
        deliver=deliver,
    )
    return connection.run(run_session.run(job, settings, server_start))


def columns_of(
    document: Mapping[str, Value], table: Sequence[rows.Row], inputs: Mapping[str, Value], path: str
) -> list[str]:
    """The columns that go into static nodes. Raises UsageError if there is none."""
    statics = [key for key, node in document["nodes"].items() if not is_computed(node)]
    names = list(dict.fromkeys(name for row in table for name in row))
    columns = [name for name in names if name in statics and name not in inputs]
    if not columns:
        hint = suggestion("", statics) or "the graph has no static node"
        raise UsageError(f"{path}: no column has the name of a static node of the graph", hint=hint)
    carried = [name for name in names if name not in columns]
    if carried:
        output.note(f"columns carried along, as no static node has their name: {', '.join(carried)}")
    return columns


def filled(
    document: Mapping[str, Value], table: Sequence[rows.Row], columns: Sequence[str]
) -> list[dict[str, Value]]:
    """The rows with the graph's own values where a row has no such column. Raises UsageError."""
    rows: list[dict[str, Value]] = []
    for number, row in enumerate(table, 1):
        values: dict[str, Value] = {}
        for column in columns:
            node = document["nodes"][column]
            if column not in row and "value" not in node:
                raise UsageError(f"row {number} has no {column!r}, and the node has no value of its own")
            values[column] = row[column] if column in row else node["value"]
        rows.append(values)
    return rows


def with_values(document: Mapping[str, Value], inputs: Mapping[str, Value]) -> dict[str, Value]:
    """The graph with the inputs that are the same for every row."""
    nodes: dict[str, Value] = document["nodes"]
    static_nodes = {key: {**nodes[key], "value": value} for key, value in inputs.items()}
    return {**document, "nodes": {**nodes, **static_nodes}}


def mapped(
    document: Mapping[str, Value], columns: Sequence[str], concurrency: int | None = None
) -> dict[str, Value]:
    """A graph that runs `document` for each row; a row is the list of the values of `columns`.

    The graph is nested once more than a map needs, as only nestedAgent keeps a failure to its row.
    """
    nodes: dict[str, Value] = document["nodes"]
    if not any(is_dict(node) and js_truthy(node.get("isResult")) for node in nodes.values()):
        nodes = {
            key: {**node, "isResult": True} if is_computed(node) else node for key, node in nodes.items()
        }
    row: dict[str, Value] = {
        "agent": "nestedAgent",
        "params": {"supressError": True},
        "inputs": {column: f":row.${index}" for index, column in enumerate(columns)},
        "graph": {**document, "nodes": nodes},
        "isResult": True,
    }
    limit = document.get("concurrency") if concurrency is None else concurrency
    whole: dict[str, Value] = {} if limit is None else {"concurrency": limit}
    graph: dict[str, Value] = {"nodes": {ROW_RESULT: row}}
    job: dict[str, Value] = {
        "agent": "mapAgent",
        "params": {"compositeResultKey": ROW_RESULT},
        "inputs": {"rows": f":{ROWS}"},
        "graph": graph,
        "isResult": True,
    }
    return {**whole, "nodes": {ROWS: {}, MAP: job}}


def outcomes(results: Value, document: Mapping[str, Value]) -> list[rows.Outcome]:
    """What became of each row."""
    return [
        rows.Outcome(error=str(item["onError"]["message"]))
        if "onError" in item and "onError" not in document["nodes"]
        else rows.Outcome(item)
        for item in results
    ]


def _deliver(args: argparse.Namespace, table: Sequence[rows.Row], ended: Sequence[rows.Outcome]) -> int:
    rows.write(args.out, table, ended)
    failures = [
        (number, outcome.error) for number, outcome in enumerate(ended, 1) if outcome.error is not None
    ]
    output.note(f"{len(ended) - len(failures)} of {len(ended)} rows have their results: {args.out}")
    if not failures:
        return 0
    output.note(f"{len(failures)} {'row' if len(failures) == 1 else 'rows'} failed:")
    for line in rows.failure_lines(failures, FAILURES_COUNT):
        output.note(message(line))
    if args.failed:
        rows.write_rows(args.failed, [table[number - 1] for number, _ in failures])
        output.note(f"hint: run these again with --rows {args.failed}, another --out and another --id")
    else:
        output.note("hint: --failed FILE writes these rows to a file of their own, to be run again")
    return 1
