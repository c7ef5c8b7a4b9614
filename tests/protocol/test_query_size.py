"""Whatever a graph makes of its names, messages and questions: the answers to queries fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from perdure.engine.human_tasks import Answer, HumanPrompt
from perdure.engine.messages import AgentFailed, RunAgent
from perdure.engine.scheduler import Scheduler
from perdure.protocol.payloads import StreamTail
from perdure.protocol.progress import RunProgress
from perdure.protocol.query_size import MAX_STATUS_PART_BYTES, first_within, newest_within
from perdure.protocol.records import to_plain
from perdure.protocol.wire import MAX_PAYLOAD_BYTES, pack

pytestmark = pytest.mark.unit

LONG = "n" * 9_000
PROMPT = HumanPrompt(path="a", message="?" * 9_000)
STREAM = StreamTail(attempt=1, offset=0, text="s" * 60_000)


def hostile() -> tuple[RunProgress, Scheduler]:
    """A run with 300 nodes whose names are long, which have failed, shown and streamed a lot."""
    nodes: dict[str, Any] = {f"{LONG}{index}": {"agent": "x"} for index in range(300)}
    progress = RunProgress("demo")
    scheduler = Scheduler({"version": 0.5, "nodes": nodes, "concurrency": 500}, observe=progress.observe)
    for command in scheduler.start(1_000):
        assert isinstance(command, RunAgent)
        if command.call > 1:
            scheduler.handle(AgentFailed(command.call, "e" * 8_000, final=True), 2_000)
            progress.add_console("c" * 8_000)
            progress.add_stream("a", to_plain(replace(STREAM, attempt=command.call)))
    return progress, scheduler


def test_a_status_fits() -> None:
    progress, scheduler = hostile()
    early = [Answer(path="a", value="v" * 60_000, id=str(number)) for number in range(100)]
    status = progress.status(scheduler, 0, [PROMPT] * 500, early)
    assert len(pack(status, limited=False).payload.data) < MAX_PAYLOAD_BYTES
    assert 10 < len(status.nodes) < 30
    assert 10 < len(status.questions) < 30
    assert [answer.id for answer in status.early] == ["97", "98", "99"]
    assert [stream.attempt for stream in status.streams] == [298, 299, 300]
    assert status.console_offset == 299


def test_changes_fit_and_go_on() -> None:
    progress, scheduler = hostile()
    since, seen = 1, 0
    while since < progress.trail.count:
        answer = progress.changes(scheduler, since, 10_000, [PROMPT] * 500)
        assert answer.changes is not None
        assert len(pack(answer, limited=False).payload.data) < MAX_PAYLOAD_BYTES
        since += len(answer.changes) - 1
        seen += 1
    assert seen > 5


def test_some_of_them() -> None:
    half = "x" * (MAX_STATUS_PART_BYTES // 2 - 3)
    assert first_within([half, half, 1]) == (half, half)
    assert newest_within([1, half, half]) == (half, half)
    assert first_within([half * 3, 1, 2], least=2) == (half * 3, 1)
    assert first_within([half * 3, 1, 2]) == ()
