"""What people see of a run, without a server."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.engine.messages import AgentCompleted, AgentFailed, RunAgent
from perdure.engine.scheduler import Scheduler
from perdure.protocol.console import MAX_CONSOLE_LINE_CHARS
from perdure.protocol.progress import (
    MAX_RUN_CONSOLE_COUNT,
    MAX_STATUS_ROW_COUNT,
    RunProgress,
)

pytestmark = pytest.mark.unit


def playing(nodes: dict[str, Any]) -> tuple[RunProgress, Scheduler, list[RunAgent]]:
    progress = RunProgress("demo")
    scheduler = Scheduler({"version": 0.5, "nodes": nodes}, observe=progress.observe)
    commands = scheduler.start(1_000)
    return progress, scheduler, [command for command in commands if isinstance(command, RunAgent)]


def test_before_it_has_begun() -> None:
    status = RunProgress("demo").status(None, 0, [])
    assert (status.name, status.iteration, list(status.nodes), status.counts) == ("demo", 0, [], {})


def test_rows_of_nodes() -> None:
    progress, scheduler, commands = playing(
        {
            "v": {"value": 1},
            "a": {"agent": "x"},
            "b": {"agent": "y", "inputs": {"a": ":a"}},
            "c": {"agent": "z"},
        }
    )
    progress.sent_to("a", "q")
    scheduler.handle(AgentFailed(commands[1].call, "no", final=True), 2_000)
    rows = {row.path: row for row in progress.status(scheduler, 0, []).nodes}
    assert {path: row.state for path, row in rows.items()} == {
        "v": "injected",
        "a": "executing",
        "b": "waiting",
        "c": "failed",
    }
    assert (rows["a"].agent, rows["a"].queue, rows["a"].since) == ("x", "q", 1_000)
    assert (rows["c"].error, rows["c"].since) == ("no", 0)
    scheduler.handle(AgentCompleted(commands[0].call, 1), 3_000)
    status = progress.status(scheduler, 0, [])
    assert next(row.queue for row in status.nodes if row.path == "a") is None
    assert status.counts == {"injected": 1, "failed": 1, "completed": 1}


def test_of_a_map_it_is_said_how_many_rows_are_done() -> None:
    inner = {"nodes": {"i": {"agent": "x", "inputs": {"row": ":row"}, "isResult": True}}}
    rows = {"agent": "mapAgent", "inputs": {"rows": [1, 2, 3]}, "graph": inner}
    progress, scheduler, commands = playing({"m": rows})
    scheduler.handle(AgentCompleted(commands[0].call, 1), 2_000)
    row = progress.status(scheduler, 0, []).nodes[0]
    assert (row.path, row.done, row.total) == ("m", 1, 3)


def test_the_newest_console_lines_are_kept_and_cut() -> None:
    progress = RunProgress("demo")
    for number in range(MAX_RUN_CONSOLE_COUNT + 5):
        progress.add_console(f"{number} ")
    status = progress.status(None, 0, [])
    assert (len(status.console), status.console_offset) == (MAX_RUN_CONSOLE_COUNT, MAX_RUN_CONSOLE_COUNT + 5)
    assert status.console[0] == "5 "
    assert list(progress.status(None, MAX_RUN_CONSOLE_COUNT + 3, []).console) == list(status.console[-2:])
    progress.add_console("x" * MAX_CONSOLE_LINE_CHARS + "y")
    assert progress.status(None, 0, []).console[-1] == "x" * MAX_CONSOLE_LINE_CHARS


def test_the_newest_lines_of_the_console() -> None:
    """500 kB of JSON go into a status: a console of more must not hide the run."""
    progress = RunProgress("demo")
    for number in range(100):
        progress.add_console(f"{number:02} " + "x" * 7_900)
    progress.add_console("\u200b" * 1_000)
    status = progress.status(None, 0, [])
    assert (len(status.console), status.console_offset) == (63, 101)
    assert [line[:2] for line in status.console[:2]] == ["38", "39"]


def test_the_next_run_of_a_chain_continues_counts_and_console() -> None:
    progress = RunProgress("demo", counts={"completed": 3})
    progress.add_console("line")
    following = RunProgress("demo")
    following.resume(progress.state())
    status = following.status(None, 0, [])
    assert (status.counts, list(status.console), status.console_offset) == ({"completed": 3}, ["line"], 1)


def test_the_next_run_of_a_chain_knows_since_when_a_node_runs() -> None:
    progress, scheduler, _ = playing({"a": {"agent": "x"}})
    following = RunProgress("demo")
    following.resume(progress.state())
    assert [row.since for row in following.status(scheduler, 0, []).nodes] == [1_000]
    older = {name: value for name, value in progress.state().items() if name != "since"}
    following.resume(older)
    assert [row.since for row in following.status(scheduler, 0, []).nodes] == [0]


def test_the_end_of_a_stream() -> None:
    progress = RunProgress("demo")
    stream = {"attempt": 1, "offset": 3, "text": "tail"}
    progress.add_stream("a", stream)
    status = progress.status(None, 0, [])
    assert [(tail.path, tail.offset, tail.text) for tail in status.streams] == [("a", 3, "tail")]


def test_of_a_large_graph_what_runs_is_shown_first() -> None:
    nodes: dict[str, Any] = {f"n{number}": {"value": number} for number in range(MAX_STATUS_ROW_COUNT + 10)}
    progress, scheduler, _ = playing({**nodes, "last": {"agent": "x"}})
    paths = [row.path for row in progress.status(scheduler, 0, []).nodes]
    assert (paths[0], len(paths)) == ("last", MAX_STATUS_ROW_COUNT)
