"""What the Temporal UI shows of a run: the table in its details."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.engine.human_tasks import human_prompt
from perdure.engine.messages import AgentFailed, RunAgent
from perdure.engine.scheduler import Scheduler
from perdure.protocol.details import MAX_DETAIL_BYTES, page_line
from perdure.protocol.progress import RunProgress

pytestmark = pytest.mark.unit

HEAD = ["| | node | state | since (UTC) | why |", "|---|---|---|---|---|"]


def playing(nodes: dict[str, Any]) -> tuple[RunProgress, Scheduler, list[RunAgent]]:
    progress = RunProgress("demo")
    scheduler = Scheduler({"nodes": nodes}, observe=progress.observe)
    commands = scheduler.start(3_600_000)
    return progress, scheduler, [command for command in commands if isinstance(command, RunAgent)]


def test_what_matters_comes_first() -> None:
    progress, scheduler, calls = playing(
        {
            "v": {"value": 1},
            "last": {"agent": "x", "inputs": {"a": ":slow", "b": ":v"}},
            "slow": {"agent": "x"},
            "asked": {"agent": "textInputAgent", "params": {"message": "Name?"}},
            "broken": {"agent": "x"},
        }
    )
    progress.sent_to("slow", "gpu")
    scheduler.handle(AgentFailed(calls[2].call, "no | such `model`", final=True), 3_601_000)
    assert progress.markdown(scheduler, [human_prompt(calls[1])]).splitlines() == [
        "1 failed · 2 open",
        "",
        *HEAD,
        "| ✗ | `broken` | failed |  | `no ¦ such ˋmodelˋ` |",
        "| ▶ | `asked` | executing | 01:00:00 | `asks: Name?` |",
        "| ▶ | `slow` | executing | 01:00:00 | `on task queue gpu` |",
        "| ✓ | `v` | injected |  |  |",
        "| · | `last` | waiting |  | `waits for slow` |",
    ]


def test_of_a_map_it_is_said_how_many_rows_are_done() -> None:
    row = {"nodes": {"a": {"agent": "x", "inputs": {"row": ":row"}, "isResult": True}}}
    progress, scheduler, calls = playing(
        {"m": {"agent": "mapAgent", "inputs": {"rows": [1, 2, 3]}, "graph": row}}
    )
    scheduler.handle(AgentFailed(calls[1].call, "no", final=True), 3_601_000)
    lines = progress.markdown(scheduler, []).splitlines()
    assert "| ✗ | `m[1].a` | failed |  | `no` |" in lines
    assert "| ▶ | `m` | executing | 01:00:00 | `0 of 3 rows are done` |" in lines


def test_of_a_large_graph_what_runs_comes_first() -> None:
    nodes = {f"n{number}": {"value": 1} for number in range(99)}
    progress, scheduler, _ = playing({**nodes, "last": {"agent": "x"}})
    lines = progress.markdown(scheduler, []).splitlines()
    assert lines[4].startswith("| ▶ | `last` | executing |")
    assert lines[-1] == "… and 60 more nodes"


def test_the_last_ones_have_the_last_states() -> None:
    progress, scheduler, calls = playing({"a": {"value": 1}, "b": {"agent": "x"}})
    scheduler.handle(AgentFailed(calls[0].call, "no", "timed-out", final=True), 3_601_000)
    assert progress.markdown(scheduler, []).splitlines() == [
        *HEAD,
        "| ✗ | `b` | failed |  | `no` |",
        "| ✓ | `a` | injected |  |  |",
    ]


def test_a_link_to_the_page_comes_first_and_counts() -> None:
    link = page_line("https://runs.example.org", "a/ü")
    assert link == "[Open the live page](https://runs.example.org/#/run/a%2F%C3%BC)"
    assert page_line("", "a") == ""
    progress, scheduler, _ = playing({f"{'n' * 150}{number}": {"agent": "x"} for number in range(50)})
    for top in ("", link, page_line("https://runs.example.org", "ü" * 1_000)):
        details = progress.markdown(scheduler, [], top)
        assert details.startswith(top)
        assert len(details.encode()) <= MAX_DETAIL_BYTES


def test_what_failed_is_known_after_continue_as_new() -> None:
    progress, scheduler, calls = playing({"a": {"agent": "x"}, "b": {"agent": "x"}})
    scheduler.handle(AgentFailed(calls[0].call, "no", final=True), 3_601_000)
    following = RunProgress("demo")
    following.resume(progress.state())
    assert following.failures.entries() == progress.failures.entries() == [("a", "no")]


def test_an_attempt_that_is_repeated_is_no_failure() -> None:
    progress, scheduler, calls = playing({"a": {"agent": "x", "retry": 1}})
    scheduler.handle(AgentFailed(calls[0].call, "no"), 3_601_000)
    assert progress.failures.entries() == []


def test_many_failures() -> None:
    progress, scheduler, calls = playing({f"n{number}": {"agent": "x"} for number in range(8)})
    before = [[f"m[{number}].a", "no"] for number in range(18)]
    progress.resume({**progress.state(), "failed": before})
    for call in calls:
        scheduler.handle(AgentFailed(call.call, "no", final=True), 3_601_000)
    assert [path for path, _ in progress.failures.entries()] == [*(path for path, _ in before), "n0", "n1"]


def test_they_never_grow_large() -> None:
    """With names and messages of three bytes for each character, all of them quoted."""
    nodes = {"ㄅ" * 100 + str(number): {"agent": "x", "retry": 0} for number in range(60)}
    progress, scheduler, calls = playing(nodes)
    for call in calls:
        scheduler.handle(AgentFailed(call.call, "ㄅ" * 9_000, final=True), 3_601_000)
    details = progress.markdown(scheduler, [])
    assert 8_000 < len(details.encode()) <= 16_000
    assert max(map(len, details.splitlines())) < 350


def test_a_node_that_waits_for_many() -> None:
    nodes: dict[str, Any] = {f"n{number}": {"agent": "x"} for number in range(11)}
    inputs = {name: f":{name}" for name in nodes}
    progress, scheduler, _ = playing({"a": {"agent": "x", "inputs": inputs}, **nodes})
    assert "`waits for 11 nodes`" in progress.markdown(scheduler, [])
