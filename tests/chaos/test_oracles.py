"""What judges chaos can say no, and expects of mixed runs what they really come to."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import History, HistoryEvent
from temporalio.client import WorkflowHistory

from perdure import AgentContext
from perdure.engine.human_tasks import HumanPrompt
from perdure.errors import RunFailed
from perdure.protocol.payloads import RunResult
from perdure.testing import MemoryEnvironment, memory_shell
from tests.chaos import agents
from tests.chaos.drive import difference
from tests.chaos.effects import account, book_in
from tests.chaos.mix import KINDS, Mixed, mix
from tests.chaos.report import Verdict
from tests.support import detector

AGENTS = (agents.effect, agents.sync, agents.pure, agents.flaky)


async def in_memory(run: Mixed) -> RunResult:
    async def answer(question: HumanPrompt) -> str:
        return run.answers[question.path]

    try:
        return await memory_shell(run.document, AGENTS, environment=MemoryEnvironment(ask=answer)).run()
    except RunFailed as error:
        return error.result


@pytest.mark.anyio
async def test_mixed_runs_come_to_what_was_computed() -> None:
    runs = mix(4 * len(KINDS), seed=7, book=None)
    ended = await asyncio.gather(*(in_memory(run) for run in runs))
    for run, result in zip(runs, ended, strict=True):
        assert difference(run, result) == ""
        assert difference(replace(run, errors={"first": "no"}), result) != ""


def test_the_same_seed_gives_the_same_runs(tmp_path: Path) -> None:
    assert mix(12, 1, tmp_path) == mix(12, 1, tmp_path)
    assert mix(12, 1, tmp_path) != mix(12, 2, tmp_path)


def context(path: str, key: str) -> AgentContext:
    return AgentContext(path=path, idempotency_key=key)


def test_the_book_tells_what_was_lost_repeated_and_not_expected(tmp_path: Path) -> None:
    book = book_in(tmp_path)
    book.note("begin", "r", context("a", "1"))
    for path, key in (("a", "1"), ("a#1", "1"), ("b", "2")):
        book.effect("r", context(path, key))
    right = account(book, {("r", "a"), ("r", "b")})
    assert (right.lost, right.extra, right.keys, right.repeats, right.share) == ((), (), 2, 1, 0.5)
    assert account(book, {("r", "a"), ("r", "b"), ("r", "c")}).lost == (("r", "c"),)
    assert account(book, {("r", "a")}).extra == (("r", "b"),)
    book.effect("r", context("b", "3"))  # another key for the same work
    assert account(book, {("r", "a"), ("r", "b")}).extra == (("r", "b"),)


def test_a_row_without_a_line_and_a_line_without_a_row_are_reported(tmp_path: Path) -> None:
    book = book_in(tmp_path)
    book.note("effect", "r", context("a", "1"))
    balance = account(book, {("r", "a")})
    assert (balance.lost, balance.extra) == ((("r", "a"),), (("r", "a"),))


def history(*kinds: EventType.ValueType, cause: Any = None) -> WorkflowHistory:
    events = [HistoryEvent(event_id=number, event_type=kind) for number, kind in enumerate(kinds, 1)]
    if cause is not None:
        events[-1].workflow_task_failed_event_attributes.cause = cause
    return WorkflowHistory("r", list(History(events=events).events))


def test_open_timers_are_those_that_neither_fired_nor_were_cancelled() -> None:
    started, fired = EventType.EVENT_TYPE_TIMER_STARTED, EventType.EVENT_TYPE_TIMER_FIRED
    cancelled = EventType.EVENT_TYPE_TIMER_CANCELED
    assert detector.open_timers(history(started, started, started, fired, cancelled)) == 1
    assert detector.open_timers(history(started, fired)) == 0


@pytest.mark.parametrize(
    ("cause", "bad"),
    [
        (WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR, True),
        (WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE, True),
        (WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND, False),
    ],
)
def test_failed_workflow_tasks_are_reported(cause: Any, bad: bool) -> None:
    failed = history(EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED, cause=cause)
    assert bool(detector.failed_tasks([failed])) == bad


@pytest.mark.parametrize(
    ("line", "bad"),
    [
        ("thread 'tokio' panicked at src/lib.rs", True),
        ("failed assertion: shard is owned", True),
        ("[TMPRL1100] Nondeterminism error: no command", True),
        ("[TMPRL1101] Potential deadlock detected", True),
        ("worker ready: 127.0.0.1:7233", False),
    ],
)
def test_bad_lines_are_reported(line: str, bad: bool, tmp_path: Path) -> None:
    (tmp_path / "worker-1.log").write_text(f"fine\n{line}\n")
    assert detector.bad_lines(tmp_path) == ([f"worker-1.log: {line}"] if bad else [])


def test_a_verdict_fails_with_one_bar_and_shows_its_findings() -> None:
    verdict = Verdict("a title")
    verdict.none("lost", [])
    verdict.equal("keys", 2, 2)
    verdict.most("took", 1.0, 5.0)
    verdict.tell("told", "x")
    assert verdict.met
    verdict.none("wrong", ["run-1: expected 1, got 2"])
    assert not verdict.met
    assert verdict.table().splitlines()[-3:] == ["", "wrong:", "  run-1: expected 1, got 2"]


def test_a_result_that_differs_is_reported() -> None:
    run = Mixed(id="r", kind="k", document={}, results={"a": 1})
    assert difference(run, RunResult(results={"a": 1})) == ""
    assert difference(run, RunResult(results={"a": 2})) == "expected ({'a': 1}, {}), got ({'a': 2}, {})"
