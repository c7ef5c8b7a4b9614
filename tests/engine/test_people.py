from typing import Any

import pytest

from perdure.engine.people import Question


@pytest.mark.parametrize(
    ("answer", "required", "refusal"),
    [
        ("yes", True, None),
        ("", False, None),
        ("", True, "n requires a text that is not empty"),
        (5, False, "n takes a text"),
    ],
)
def test_answers_that_are_not_taken(answer: Any, required: bool, refusal: str | None) -> None:
    assert Question(path="n", required=required).refusal(answer) == refusal
