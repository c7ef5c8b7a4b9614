"""Output: results go to stdout, everything else to stderr. A reader that closes early is not an error."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TextIO, cast

from perdure.graph.javascript import stringify
from perdure.graph.text.shown import escaped, line, plain
from perdure.protocol.numpy_arrays import shown


class ReservedStdout:
    """Takes the place of stdout: results still go there, and whatever else is printed goes to stderr."""

    def __init__(self, results: TextIO | None) -> None:
        self.results = results

    def write(self, text: str) -> int:
        """To stderr, if it is open."""
        return 0 if sys.stderr is None else sys.stderr.write(text)  # pyright: ignore[reportUnnecessaryComparison] -- it is None where the caller has closed it

    def flush(self) -> None:
        """Nothing to do: stderr is not buffered beyond a line."""

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)


class Interrupted(Exception):
    """Ctrl-C while a run continues elsewhere; the message says how to come back."""


def prepare() -> None:
    """For a process of its own: UTF-8 whatever the locale says."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def reserve() -> None:
    """Keeps stdout for results: what agents and their modules print goes to stderr from now on."""
    if not isinstance(sys.stdout, ReservedStdout):
        sys.stdout = cast(TextIO, ReservedStdout(sys.stdout))


def _results() -> TextIO | None:
    """Where results go; None where the caller has closed stdout."""
    return sys.stdout.results if isinstance(sys.stdout, ReservedStdout) else sys.stdout


def result(text: str) -> None:
    """A line, or several, of the result."""
    _write(_results(), text + "\n")


def is_terminal() -> bool:
    """Whether results go to a terminal."""
    stream = _results()
    return stream is not None and stream.isatty()


def note(text: str) -> None:
    """A line for people, on stderr."""
    _write(sys.stderr, plain(text) + "\n")


def json_text(value: Any) -> str:
    """JSON with two spaces, as GraphAI prints results."""
    return escaped(str(stringify(shown(value), 2)))


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns side by side, without lines; the last one may be as long as it likes."""
    cells = [list(heads), *([line(cell) for cell in row] for row in rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(heads) - 1)]
    rows_of_text = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        for row in cells
    ]
    return "\n".join(row.rstrip() for row in rows_of_text)


def flush() -> None:
    """Everything out, as far as anybody still reads it."""
    for stream in (_results(), sys.stderr):
        with suppress(OSError, ValueError):
            _write(stream, "")


def _write(stream: TextIO | None, text: str) -> None:
    try:
        if stream is not None:  # there is none where the caller closed it
            stream.write(text)
            stream.flush()
    except BrokenPipeError:
        return
