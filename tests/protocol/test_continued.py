"""The state that a run hands on: what is written is read, and anything else is refused with its field."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.engine.scheduler import Scheduler
from perdure.engine.snapshot import snapshot
from perdure.errors import MalformedPayload
from perdure.protocol.continued import check_state
from tests.support.drive import work


def state() -> dict[str, Any]:
    inner = {"nodes": {"i": work(isResult=True)}}
    scheduler = Scheduler({"nodes": {"m": {"agent": "mapAgent", "graph": inner, "inputs": {"rows": [1, 2]}}}})
    scheduler.start(0)
    progress = {"counts": {"completed": 1}, "console": ["line"], "lines": 1}
    return {"scheduler": snapshot(scheduler), "places": [], "progress": progress, "began": 0, "bytes": 0}


def test_what_is_written_is_read() -> None:
    check_state(state())


@pytest.mark.parametrize(
    ("path", "value", "finding"),
    [
        (["began"], "now", "state.began"),
        (["places"], [[1, "soon", None]], "state.places"),
        (["progress", "counts"], {"completed": None}, "state.progress.counts"),
        (["people"], {"early": [["ask", 1]]}, "state.people.early"),
        (["people"], {"receipts": [["a", "ask", "no"]]}, "state.people.already"),
        (["people"], {"closed": [[5, "ask", "answered", 3]]}, "state.people"),
        (["scheduler", "last_call"], "7", "state.scheduler.last_call"),
        (["scheduler", "documents"], [], "no graph in the snapshot"),
        (["scheduler", "runs", 0, "nodes", "m", "retries"], {}, "state.scheduler.runs.nodes.retries"),
        (["scheduler", "runs", 0, "nodes", "m", "nested", "opened"], None, "nested.opened"),
        (["scheduler", "runs", 0, "nodes", "m", "nested", "children"], [9], "no graph with the number 9"),
        (["scheduler", "runs", 0, "late_rows"], {"m": [["id a", 9, 0]]}, "no graph with the number 9"),
        (["scheduler", "runs", 0, "late_rows"], {"m": [["id a"]]}, "state.scheduler.runs.late_rows"),
        (["scheduler", "runs", 1, "parent"], [8, "m"], "no graph with the number 8"),
        (["scheduler", "calls", 0, "since"], [], "state.scheduler.calls.since"),
        (["scheduler", "queue"], [[6, "m"]], "no graph with the number 6"),
        (["scheduler", "runs"], [], "no graph with the number 1"),
    ],
)
def test_anything_else_is_refused(path: list[Any], value: Any, finding: str) -> None:
    changed: Any = state()
    part = changed
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
    with pytest.raises(MalformedPayload) as refusal:
        check_state(changed)
    assert finding in str(refusal.value)
