"""Tables in files: CSV, JSON Lines and JSON, read as rows and written as rows with results.

In CSV a cell is a string. Results that are objects become columns with dotted names, such as
``answer.text``; lists are written as JSON.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from perdure.cli import output
from perdure.cli.inputs import graphs
from perdure.errors import UsageError
from perdure.graph.javascript import stringify, to_string
from perdure.graph.values import Value, is_dict, is_list, normalize
from perdure.protocol.numpy_arrays import shown

READ: Final = (".csv", ".jsonl", ".json")
WRITTEN: Final = (".csv", ".jsonl")
ERROR_COLUMN: Final = "error"

Row = dict[str, Value]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a row: its results by node, or why it failed."""

    results: Mapping[str, Value] = field(default_factory=dict[str, Value])
    error: str | None = None


def read(path: str) -> list[Row]:
    """The rows of a file, of which there is at least one. Raises UsageError, with the row."""
    ending = _ending(path, READ, "--rows")
    text = _text(path)
    if ending == ".csv":
        rows = list(_csv_rows(path, text))
    elif ending == ".jsonl":
        lines = enumerate(text.splitlines(), 1)
        rows = [_object(_json(line, f"{path}:{n}"), f"{path}:{n}") for n, line in lines if line.strip()]
    else:
        value = _json(text, path)
        if not is_list(value):
            raise UsageError(f"{path}: is not a list of objects", hint="write [{...}, {...}]")
        rows = [_object(item, f"{path}: row {number}") for number, item in enumerate(value, 1)]
    if not rows:
        raise UsageError(f"{path}: has no rows")
    return rows


def check_writable(path: str, rows_path: str, option: str = "--out") -> None:
    """Raises UsageError where `path` cannot become a file of rows, before anything runs."""
    _ending(path, WRITTEN, option)
    target = Path(path).absolute()
    if target == Path(rows_path).absolute():
        raise UsageError(f"{option} {path}: this would replace the rows", hint="name another file")
    if not target.parent.is_dir() or not os.access(target.parent, os.W_OK):
        raise UsageError(f"{option} {path}: there is no folder {target.parent} that can be written to")


def write(path: str, rows: Sequence[Row], outcomes: Sequence[Outcome]) -> None:
    """Writes each row with its results, or with its error, in the order of the rows."""
    text = (_csv_text if path.lower().endswith(".csv") else _jsonl_text)(rows, outcomes)
    part = Path(f"{path}.part")
    part.write_text(text, encoding="utf-8", newline="")
    part.replace(path)


def write_rows(path: str, rows: Sequence[Row]) -> None:
    """Writes rows alone, in the form that `read` takes."""
    if path.lower().endswith(".csv"):
        write(path, rows, [Outcome()] * len(rows))
        return
    Path(path).write_text("".join(f"{_compact(row)}\n" for row in rows), encoding="utf-8")


def flat(results: Mapping[str, Value]) -> dict[str, str]:
    """Results as cells: objects are spread over columns with dotted names."""
    cells: dict[str, str] = {}
    rest: list[tuple[str, Value]] = [(str(key), value) for key, value in reversed(list(results.items()))]
    while rest:
        name, value = rest.pop()
        if is_dict(value) and value:
            rest += [(f"{name}.{key}", item) for key, item in reversed(list(value.items()))]
        else:
            cells[name] = _cell(value)
    return cells


def _cell(value: Value) -> str:
    if value is None:
        return ""
    return _compact(value) if is_list(value) or is_dict(value) else to_string(shown(value))


def _compact(value: Value) -> str:
    return str(stringify(shown(value)))


def _csv_text(rows: Sequence[Row], outcomes: Sequence[Outcome]) -> str:
    failed = any(outcome.error is not None for outcome in outcomes)
    lines = [
        flat(row) | flat(outcome.results) | ({ERROR_COLUMN: outcome.error or ""} if failed else {})
        for row, outcome in zip(rows, outcomes, strict=True)
    ]
    columns = list(
        dict.fromkeys(name for line in lines for name in line if name != ERROR_COLUMN or not failed)
    )
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns + [ERROR_COLUMN] * failed, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return buffer.getvalue()


def _jsonl_text(rows: Sequence[Row], outcomes: Sequence[Outcome]) -> str:
    lines: list[str] = []
    for number, (row, outcome) in enumerate(zip(rows, outcomes, strict=True), 1):
        ended: dict[str, Any] = {"error": outcome.error} if outcome.error else {"results": outcome.results}
        lines.append(f"{_compact({'row': number, 'input': row, **ended})}\n")
    return "".join(lines)


def _ending(path: str, endings: Sequence[str], option: str) -> str:
    ending = Path(path).suffix.lower()
    if ending not in endings:
        raise UsageError(
            f"{option} {path}: name a file that ends in {', '.join(endings[:-1])} or {endings[-1]}"
        )
    return ending


def _text(path: str) -> str:
    try:
        return graphs.content(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{path}: is not UTF-8 text", hint="save it as UTF-8") from None


def _csv_rows(path: str, text: str) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header: list[str] = next(reader, list[str]())
        twice = next((name for name in header if header.count(name) > 1), None)
        if twice is not None:
            raise UsageError(f"{path}: the header has {twice!r} twice", hint="rename one of the columns")
        number = 0
        for cells in reader:
            if not cells:
                continue
            number += 1
            if len(cells) != len(header):
                raise UsageError(
                    f"{path}:{reader.line_num}: row {number} has {len(cells)} cells, and the header has "
                    f"{len(header)}",
                    hint="put text that holds commas in double quotes",
                )
            yield dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise UsageError(f"{path}:{reader.line_num}: {error}") from error


def _json(text: str, place: str) -> Value:
    try:
        return normalize(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{place}: is not JSON: {error}") from error


def _object(value: Value, place: str) -> Row:
    if not is_dict(value):
        raise UsageError(f"{place}: a row is an object such as {{'question': '...'}}")
    return value


def failure_lines(failures: Sequence[tuple[int, str]], most: int) -> list[str]:
    """Lines about the rows that failed, each with its number, the first `most` of them."""
    lines = [f"  row {number}: {output.plain(error)}" for number, error in failures[:most]]
    more = len(failures) - most
    return [*lines, f"  and {more} more"] if more > 0 else lines
