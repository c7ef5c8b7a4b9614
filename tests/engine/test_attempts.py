"""The account of a call's attempts: what is counted as what, when that is enough, how long to wait."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from perdure.engine.attempts import (
    AttemptAccount,
    account_at,
    attempt_s,
    pause_s,
    verdict,
)
from perdure.engine.messages import NodeOptions
from perdure.engine.outcomes import Failure
from perdure.settings import Settings

LIMITS = Settings(transient_attempts=3, lost_attempts=2, blocked_attempts=2)
FOR_NOW = Failure("busy", transient=True)


@pytest.mark.parametrize(
    ("attempt", "recorded", "blocked", "account"),
    [
        (1, None, "", AttemptAccount()),
        (1, {"lost": 2}, "", AttemptAccount()),  # an operator has reset the call
        (2, None, "", AttemptAccount(lost=1)),
        (2, None, "at x.py:3", AttemptAccount(blocked=1, last="at x.py:3")),
        (2, {"transient": 1, "last": "busy"}, "", AttemptAccount(transient=1, last="busy")),
        (5, {"transient": 1, "lost": 1}, "", AttemptAccount(transient=1, lost=3)),
        (
            5,
            {"transient": 1, "lost": 1},
            "at x.py:3",
            AttemptAccount(transient=1, lost=2, blocked=1, last="at x.py:3"),
        ),
        (5, None, "", AttemptAccount(unknown=3, lost=1)),  # of a worker of an earlier version
        (3, {"stopped": 2}, "", AttemptAccount(stopped=2)),
        (3, {"absent": 2, "absent_since": 7}, "", AttemptAccount(absent=2, absent_since=7.0)),
        (2, {"transient": 9}, "", AttemptAccount(transient=9)),
        # What comes from elsewhere is no account.
        (2, [1], "", AttemptAccount(lost=1)),
        (2, {"lost": "2"}, "", AttemptAccount(lost=1)),
        (2, {"lost": True}, "", AttemptAccount(lost=1)),
        (2, {"lost": -1}, "", AttemptAccount(lost=1)),
        (2, {"lost": 10**400}, "", AttemptAccount(lost=1)),
        (2, {"absent_since": float("nan")}, "", AttemptAccount(lost=1)),
    ],
)
def test_account_at(attempt: int, recorded: Any, blocked: str, account: AttemptAccount) -> None:
    assert account_at(attempt, recorded, blocked) == account


def test_an_account_is_read_as_it_was_written() -> None:
    account = AttemptAccount(
        transient=1, lost=2, blocked=3, stopped=4, absent=5, absent_since=6.5, unknown=7, last="l"
    )
    assert account_at(1 + account.ended, asdict(account)) == account


@pytest.mark.parametrize(
    ("account", "finding"),
    [
        (AttemptAccount(lost=1, blocked=1, transient=2, stopped=9, absent=9, unknown=9), None),
        (AttemptAccount(lost=2), "shout has lost its worker twice: it ended, or gave no sign of life"),
        (
            AttemptAccount(lost=4, last="busy"),
            "shout has lost its worker 4 times: it ended, or gave no sign of life; "
            "the last failure that was reported: busy",
        ),
        (
            AttemptAccount(blocked=2, last="at x.py:3"),
            "shout has blocked the event loop of its worker twice, at x.py:3",
        ),
    ],
)
def test_refusal(account: AttemptAccount, finding: str | None) -> None:
    refusal = account.refusal(LIMITS, "shout")
    if refusal is None:
        assert finding is None
        return
    assert (refusal.message.partition("\n")[0], refusal.kind) == (finding, "FinalError")
    assert "\n  hint: " in refusal.message


@pytest.mark.parametrize(
    ("failure", "before", "deadline", "passed", "message", "kind"),
    [
        (Failure("no"), 0, None, 0.0, "no", "AgentError"),
        (FOR_NOW, 0, None, 0.0, "busy", "TransientError"),
        (FOR_NOW, 1, None, 0.0, "busy", "TransientError"),
        (FOR_NOW, 2, None, 0.0, "busy (it has failed so 3 times)", "FinalError"),
        (FOR_NOW, 0, 3000.0, 1.0, "busy", "TransientError"),
        (
            FOR_NOW,
            0,
            3000.0,
            2.5,
            "Timeout: the deadline of 3000 ms has passed; the last failure: busy",
            "DeadlineExceeded",
        ),
    ],
)
def test_verdict(
    failure: Failure, before: int, deadline: float | None, passed: float, message: str, kind: str
) -> None:
    account = AttemptAccount(transient=before)
    options = NodeOptions(backoff=1.0, deadline=deadline)
    after = verdict(failure, account, LIMITS, options, passed, 0.0)
    assert (after.failure.message.partition("\n")[0], after.failure.kind) == (message, kind)
    assert after.account.transient == before + failure.transient


@pytest.mark.parametrize(
    ("failures", "backoff", "retry_after", "pause"),
    [
        (1, 1.0, None, 1.0),
        (2, 1.0, None, 2.0),
        (5, 0.5, None, 8.0),
        (100, 1.0, None, 600.0),
        (1, 1.0, 7.0, 7.0),
        (2, 1.0, 7.0, 7.0),
        (5, 1.0, 7.0, 7.0),
        (6, 1.0, 7.0, 8.0),  # it asks for too little
        (100, 1.0, 7.0, 600.0),
        (3, 1.0, 1800.0, 1800.0),
    ],
)
def test_pause(failures: int, backoff: float, retry_after: float | None, pause: float) -> None:
    assert pause_s(failures, backoff, retry_after, 0.0) == pause
    assert pause_s(failures, backoff, retry_after, 1.0) == pytest.approx(pause * 1.2)


@pytest.mark.parametrize(
    ("deadline", "passed", "last", "seconds"),
    [
        (None, 1.0, "busy", None),
        (4000.0, 1.0, "", None),
        (4000.0, 1.0, "busy", 2.8),
        (60_000.0, 10.0, "busy", 49.5),
        (4000.0, 9.0, "busy", 0.0),
    ],
)
def test_seconds_of_an_attempt(
    deadline: float | None, passed: float, last: str, seconds: float | None
) -> None:
    assert attempt_s(deadline, passed, AttemptAccount(last=last)) == seconds


def test_the_last_failure_is_cut() -> None:
    assert len(AttemptAccount().after_transient("x" * 9_999).last) == 500


def test_an_account_for_people() -> None:
    account = AttemptAccount(transient=1, lost=2, blocked=3, stopped=4, absent=5, unknown=6)
    assert str(account) == (
        "1 failed for now, 2 lost, 3 blocked the event loop, 4 returned by the worker, "
        "5 met a worker without the agent"
    )
    assert str(AttemptAccount()) == ""
