"""What is said of the notices of a question: in an explanation, and in the list of questions."""

from __future__ import annotations

import pytest

from perdure.cli.commands.runs.pending import notice_summary
from perdure.history.model import Attempt, Phase
from perdure.history.notices import (
    MAX_READ_NOTICE_COUNT,
    Delivery,
    QuestionNotice,
    notice_causes,
    notice_name,
)

pytestmark = pytest.mark.unit

ATTEMPT = Attempt(path="default", number=3, worker="1@host", ended=5_000, due=7_000, beat=1_000)
BUSY = Attempt(path="default", number=3, due=7_000, failure="the webhook answered 503")
NAME = "the notice of the question on channel 'default'"


def notice(*phases: Phase, attempt: Attempt = ATTEMPT, path: str = "ask") -> QuestionNotice:
    deliveries = tuple(Delivery(channel="default", phase=phase, attempt=attempt) for phase in phases)
    return QuestionNotice(id="n", event="asked", number=0, path=path, at=1, deliveries=deliveries)


CASES = [
    (Phase.COMPLETED, ATTEMPT, "notice-sent", "was delivered at 00:00:05 UTC", "sent"),
    (Phase.FAILED, BUSY, "notice-failed", "was not delivered: the webhook answered 503", "failed: the web"),
    (Phase.ABORTED, ATTEMPT, "notice-failed", "was not delivered", "failed"),
    (Phase.BACKOFF, BUSY, "notice-open", "is repeated at 00:00:07 UTC, attempt 3: the w", "repeated: the w"),
    (Phase.LOST, ATTEMPT, "notice-open", "no heartbeat of worker 1@host since 00:00:01 UTC", "repeated"),
    (Phase.RUNNING, ATTEMPT, "notice-open", "is being delivered, attempt 3", "on its way"),
    (Phase.QUEUED_THERE, ATTEMPT, "notice-open", "waits for a worker of the run", "on its way"),
]


@pytest.mark.parametrize(("phase", "attempt", "code", "finding", "summary"), CASES)
def test_each_phase(phase: Phase, attempt: Attempt, code: str, finding: str, summary: str) -> None:
    (cause,) = notice_causes([notice(phase, attempt=attempt)])
    assert cause.code == code
    assert cause.finding.startswith(NAME)
    assert finding in cause.finding
    assert notice_summary([notice(phase, attempt=attempt)]).startswith(summary)


def test_the_worst_is_listed_and_a_long_reason_is_cut() -> None:
    assert notice_summary([]) == ""
    assert notice_summary([notice(Phase.COMPLETED, Phase.FAILED, attempt=ATTEMPT)]) == "failed"
    long = Attempt(path="default", failure="x" * 100)
    assert notice_summary([notice(Phase.FAILED, attempt=long)]) == f"failed: {'x' * 52}"


def test_names_and_paths() -> None:
    named = [notice_name(event, 2) for event in ("asked", "reminded", "escalated", "closed")]
    assert named == [
        "the notice of the question",
        "reminder 2",
        "the notice of the escalation",
        "the notice that the question is closed",
    ]
    assert notice(path="rows[3].ask").is_of(["rows[3].ask", "rows[4].ask"])
    assert not notice(path="rows[3].ask").is_of(["rows[4].ask"])
    assert MAX_READ_NOTICE_COUNT == 50
