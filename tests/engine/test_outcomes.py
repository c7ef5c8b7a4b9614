"""What a failure means is decided once, and every form in which an answer was ever written is read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from perdure.engine.messages import AgentCompleted, AgentFailed
from perdure.engine.outcomes import (
    MAX_MESSAGE_CHARS,
    Failure,
    decoded,
    encoded,
    failure_of,
    failure_of_kind,
    read_segment_answer,
    segment_answer,
)
from perdure.errors import (
    AgentError,
    AgentTimeout,
    FinalError,
    MalformedPayload,
    NotGranted,
    ObjectMissing,
    PerdureError,
    TransientError,
)

OF_ERRORS: list[tuple[BaseException, Failure, str]] = [
    (AgentError("no"), Failure("no"), "AgentError"),
    (FinalError("never"), Failure("never", final=True), "FinalError"),
    (ObjectMissing("gone"), Failure("gone", final=True), "FinalError"),
    (NotGranted("no"), Failure("no", final=True, refused=True), "NotGranted"),
    (TransientError("later", 3), Failure("later", transient=True, retry_after_s=3), "TransientError"),
    (AgentTimeout(), Failure("Timeout", "timed-out"), "Timeout"),
    (PerdureError("ours"), Failure("ours"), "AgentError"),
    (KeyError("x"), Failure("KeyError: 'x'"), "AgentError"),
    (
        TimeoutError("no crane"),
        Failure("TimeoutError: no crane"),
        "AgentError",
    ),
    (TimeoutError(), Failure("TimeoutError"), "AgentError"),
    (SystemExit(1), Failure("SystemExit: 1"), "AgentError"),
]


@pytest.mark.parametrize(("error", "failure", "kind"), OF_ERRORS, ids=lambda item: repr(item)[:40])
def test_of_an_error(error: BaseException, failure: Failure, kind: str) -> None:
    assert (failure_of(error), failure.kind) == (failure, kind)


def test_a_long_message_is_cut() -> None:
    message = failure_of(AgentError("x" * (MAX_MESSAGE_CHARS + 5))).message
    assert message == "x" * MAX_MESSAGE_CHARS + " … (5 characters more)"


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("AgentError", AgentFailed(1, "m")),
        ("Timeout", AgentFailed(1, "m", "timed-out")),
        ("DeadlineExceeded", AgentFailed(1, "m", "timed-out", final=True)),
        ("FinalError", AgentFailed(1, "m", final=True)),
        ("NotGranted", AgentFailed(1, "m", final=True, refused=True)),
        ("UnknownAgent", AgentFailed(1, "m", final=True)),
        ("TransientError", AgentFailed(1, "m", final=True)),  # repeated until nothing more is allowed
        (None, AgentFailed(1, "m", final=True)),
    ],
)
def test_of_a_kind_that_crossed(kind: str | None, answer: AgentFailed) -> None:
    assert failure_of_kind(kind, "m").answer(1) == answer


ANSWERS = [
    AgentCompleted(7, {"a": [1]}),
    AgentCompleted(7, None),
    AgentCompleted(7, "again"),
    AgentFailed(7, "no"),
    AgentFailed(7, "late", "timed-out", False),
    AgentFailed(7, "never", "failed", True),
]


@pytest.mark.parametrize("answer", ANSWERS, ids=repr)
def test_what_is_written_is_read(answer: AgentCompleted | AgentFailed) -> None:
    crossed = json.loads(json.dumps(encoded(answer)))
    assert decoded(7, crossed) == answer
    assert read_segment_answer(json.loads(json.dumps(segment_answer("p", answer)))) == ("p", answer)
    assert read_segment_answer([7, "p", *crossed]) == ("p", answer)  # the form to come


def test_a_call_to_be_made_again() -> None:
    assert encoded(failure_of(TransientError("later"))) == ["again"]
    assert decoded(7, ["again"]) is None


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (["completed", 1], AgentCompleted(7, 1)),
        (["failed", "m", "timed-out", False], AgentFailed(7, "m", "timed-out", False)),
        (["again"], None),
    ],
)
def test_the_form_of_batches_and_snapshots_stays(data: list[Any], answer: Any) -> None:
    assert decoded(7, data) == answer


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        ([7, "p", 1], AgentCompleted(7, 1)),
        ([7, "p", None], AgentCompleted(7, None)),
        ([7, "p", ["failed", "m"]], AgentCompleted(7, ["failed", "m"])),
        ([7, "p", None, "m", "failed", True], AgentFailed(7, "m", final=True)),
        ([7, "p", None, "Timeout", "timed-out", False], AgentFailed(7, "Timeout", "timed-out")),
    ],
)
def test_the_form_of_segments_stays(data: list[Any], answer: AgentCompleted | AgentFailed) -> None:
    assert read_segment_answer(data) == ("p", answer)
    assert segment_answer("p", answer) == (
        data if isinstance(answer, AgentFailed) else [7, "p", answer.result]
    )


@pytest.mark.parametrize(
    "data", [[7, "p", "later", 1], [7, "p", ["failed", 5], 1], ["7", "p", 1], [7, "p"], [], 5, {}]
)
def test_an_unknown_form_is_refused(data: Any) -> None:
    with pytest.raises(MalformedPayload, match="an answer of a segment has an unknown form"):
        read_segment_answer(data)


@pytest.mark.parametrize(
    "data", [[], 5, None, {}, ["failed", 5, "failed", True], ["failed", "m", "lost", True], ["completed"]]
)
def test_an_answer_of_unknown_form_fails_its_call(data: Any) -> None:
    assert decoded(7, data) == AgentFailed(7, "the agent's answer has an unknown form", final=True)
