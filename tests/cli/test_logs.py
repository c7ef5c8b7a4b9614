"""What a worker's log says, and how often."""

import logging
import sys

import pytest

from perdure.cli import logs

CORE = "[sdk_core::temporalio_client::retry] "
AWAY = (
    "gRPC call poll_{}_task_queue retried {} times {{'error': 'Status {{ code: Unavailable, "
    'message: "tcp connect error", source: None }}\'}}'
)


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("temporalio.core", logging.WARNING, "", 0, text, None, None)


def test_a_server_that_is_away_is_one_line_in_half_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(logs.time, "monotonic", lambda: now)
    seldom, passed = logs.Seldom(), 0
    for now in range(120):
        for kind in ("workflow", "activity"):
            passed += seldom.filter(record(CORE + AWAY.format(kind, now)))
    assert passed == 4


def test_what_the_core_repeats_is_logged_seldom_and_all_else_always() -> None:
    seldom = logs.Seldom()
    logged = [
        (CORE + "Task 17 not found {'id': 17}", True),
        (CORE + "Task 18 not found {'id': 18}", False),
        (CORE + "another thing", True),
        ("Activity failed", True),
        ("Activity failed", True),
    ]
    assert [seldom.filter(record(text)) for text, _ in logged] == [passes for _, passes in logged]


def test_lines_for_people() -> None:
    lines = [logs.Line().format(record(text)) for text in (CORE + AWAY.format("x", 3), "one\ntwo")]
    assert lines[0].endswith(" warning the Temporal server does not answer (tcp connect error); trying again")
    assert lines[1].endswith(" warning one")


def test_the_reason_of_an_outage_is_whole() -> None:
    away = CORE + r'gRPC call poll retried: Status { message: "no peer: desc = \"refused\", port 1" }'
    line = logs.Line().format(record(away))
    assert line.endswith('does not answer (no peer: desc = "refused", port 1); trying again')


def test_a_failed_activity_is_logged_with_its_reason_and_place() -> None:
    try:
        raise ValueError("no crane\nsecond line")
    except ValueError:
        failed = logging.LogRecord("x", logging.WARNING, "", 0, "Completing activity", (), sys.exc_info())
    failed.temporal_activity = {
        "activity_type": "lift",
        "activity_id": "a.b",
        "workflow_id": "r1",
        "attempt": 2,
    }
    line = logs.Line().format(failed)
    assert " warning agent lift failed in node a.b of run r1, attempt 2: no crane (test_logs.py:" in line
    assert line.endswith(" in test_a_failed_activity_is_logged_with_its_reason_and_place)")


class Kept(logging.Handler):
    """The messages that it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def test_the_lines_of_a_run_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 7.2
    monkeypatch.setattr(logs.time, "monotonic", lambda: now)
    per_run, kept = logs.PerRun(), Kept()
    monkeypatch.setattr(logging.getLogger("perdure"), "handlers", [kept])

    def passed(run: str, count: int) -> int:
        failed = record("Completing activity as failed")
        failed.temporal_activity = {"workflow_id": run}
        return sum(per_run.filter(failed) for _ in range(count))

    assert (passed("flood", 350), passed("other", 100), per_run.filter(record("no run"))) == (100, 100, True)
    now = 8.1
    assert (passed("other", 1), passed("flood", 100)) == (1, 100)
    assert kept.messages == ["run flood: 250 more lines were left out"]
