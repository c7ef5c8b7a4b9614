"""How findings about a graph are written."""

from __future__ import annotations

from typing import Any

from perdure.errors import Problem


def text(problem: Problem, source: str = "", kind: str = "") -> str:
    """``FILE:LINE:COL place: finding [code]``, and the cure on a line of its own."""
    spot = ":".join(str(part) for part in (source, problem.line, problem.column) if part)
    head = f"{spot} " if spot else ""
    cure = f"\n  cure: {problem.cure}" if problem.cure else ""
    return f"{head}{kind}{problem.place or 'graph'}: {problem.finding} [{problem.code}]{cure}"


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
        "cure": problem.cure,
        "nested": problem.nested,
    }
