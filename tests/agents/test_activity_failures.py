"""Failures of activities begin with the cause; one that is repeated is of a size that the server keeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from temporalio.api.failure.v1 import Failure
from temporalio.converter import DataConverter, DefaultFailureConverter

from perdure.activities.failures import application_error, fitting_cause, shortened
from perdure.agents.code_place import code_place
from perdure.engine.outcomes import failure_of

SERVER_BYTES = 4096
"""Of a larger failure of a repeated activity the server keeps nothing but that it is too large."""

HERE = Path(__file__).name


def causes(count: int, text: str) -> Exception:
    """An error with that many causes, as it is caught."""
    try:
        if count:
            raise RuntimeError(text) from causes(count - 1, text)
        raise ValueError(f"first {text}")
    except Exception as error:
        return error


def deep(frames: int) -> Exception:
    """An error raised under that many frames, as it is caught."""

    def dive(left: int) -> None:
        if left:
            dive(left - 1)
        raise ValueError("at the bottom")

    try:
        dive(frames)
    except ValueError as error:
        return error
    raise AssertionError("it raises")


def sent(error: Exception, *, repeated: bool = False) -> Failure:
    """What goes to the server."""
    failure, meaning = Failure(), replace(failure_of(error), transient=repeated)
    try:
        raise application_error(meaning) from fitting_cause(error)
    except Exception as made:
        DefaultFailureConverter().to_failure(made, DataConverter.default.payload_converter, failure)
    return failure


def chain(failure: Failure) -> Iterator[Failure]:
    while True:
        yield failure
        if not failure.HasField("cause"):
            return
        failure = failure.cause


ERRORS = {
    "short": causes(0, "x"),
    "causes": causes(3, "y"),
    "long": causes(0, "x" * 1_000_000),
    "many causes": causes(40, "x" * 500),
    "emoji": causes(3, "\U0001f600" * 3000),
    "surrogates": causes(2, "\ud800" * 3000),
    "one surrogate": causes(2, "\ud800"),
    "deep": deep(900),
    "no text": TimeoutError(),
}


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_a_failure_is_kept_whole(error: Exception) -> None:
    failure = sent(error, repeated=True)
    assert failure.ByteSize() < SERVER_BYTES
    assert failure.message.startswith(type(error).__name__)


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_the_message_of_a_final_failure_is_that_of_the_node(error: Exception) -> None:
    assert sent(error).message == failure_of(error).message


def test_causes_that_fit_are_kept() -> None:
    assert [each.message for each in chain(sent(causes(2, "y")))][1:] == [
        "y",
        "y",
        "first y",
    ]


def test_of_causes_that_do_not_fit_the_place_is_kept() -> None:
    last = [each.message for each in chain(sent(causes(40, "x" * 500)))][-1]
    assert last.startswith(f"raised at {HERE}:")
    assert last.endswith(" in causes")


def test_characters_that_are_cut_are_counted() -> None:
    assert shortened("é" * 601) == "é" * 600 + " … (1 characters more)"


def test_the_place_is_in_the_agents_code() -> None:
    assert code_place(causes(2, "x")) == f"{HERE}:{causes.__code__.co_firstlineno + 5} in causes"
    assert code_place(ValueError("never raised")) == ""
