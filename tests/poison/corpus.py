"""All cases by name, and those that CI plays."""

from __future__ import annotations

from tests.poison import authority, graphs, starts, waits, web

CORPUS = {
    case.name: case
    for case in (*graphs.cases(), *web.cases(), *starts.cases(), *authority.cases(), *waits.cases())
}

SHORT = (
    "retry without end",
    "retry without end, by a stranger",
    "loop of nothing",
    "loop of a pure agent",
    "map of 1,000,000 rows",
    "nested in itself",
    "timeout: 1e+300, by a stranger",
    "control characters",
    "open code block",
    "page deep",
    "page gzip-zeros",
    "operator's model nonsense",
    "graph's model deep",
    "message an unknown signal",
    "message steer null",
    "a wait of 1e300",
    "message an answer of 3 MB",
    "transfer on another queue",
    "perdure.segment as an agent",
    "environment of the process",
)
"""Some of each kind that hold: what CI plays with one worker."""
