"""How findings about a graph are written."""

from __future__ import annotations

from typing import Any

from perdure.errors import Problem, with_hint
from perdure.graph.text.shown import line, message


def text(problem: Problem, source: str = "", kind: str = "") -> str:
    """``FILE:LINE:COL place: finding [code]``, and the hint on a line of its own."""
    spot = ":".join(str(part) for part in (source, problem.line, problem.column) if part)
    head = f"{spot} " if spot else ""
    finding = f"{head}{kind}{problem.place or 'graph'}: {problem.finding} [{problem.code}]"
    return message(with_hint(line(finding), problem.hint))


def plain(problem: Problem, source: str, severity: str) -> dict[str, Any]:
    """A finding for programs."""
    return {
        "file": source,
        "line": problem.line,
        "column": problem.column,
        "place": problem.place,
        "severity": severity,
        "code": problem.code,
        "finding": problem.finding,
        "hint": problem.hint,
        "nested": problem.nested,
    }
