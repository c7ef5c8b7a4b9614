from typing import Any

import pytest

from perdure.engine.human_tasks import HumanPrompt, human_prompt
from perdure.engine.messages import RunAgent
from perdure.graph.deferred import BlobRef
from tests.support.drive import Drive


@pytest.mark.parametrize(
    ("answer", "required", "refusal"),
    [
        ("yes", True, None),
        ("", False, None),
        ("", True, "n requires a string that is not empty"),
        (5, False, "n takes a string"),
    ],
)
def test_answers_that_are_not_taken(answer: Any, required: bool, refusal: str | None) -> None:
    assert HumanPrompt(path="n", required=required).refusal(answer) == refusal


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, HumanPrompt(path="n", message="Enter", node="n")),
        (
            {"message": 5, "role": "system", "required": 1},
            HumanPrompt(path="n", message="5", role="system", required=True, node="n"),
        ),
    ],
)
def test_what_a_call_asks(params: dict[str, Any], expected: HumanPrompt) -> None:
    drive = Drive({"nodes": {"n": {"agent": "textInputAgent", "params": params}}}).start()
    (command,) = drive.commands
    assert isinstance(command, RunAgent)
    assert human_prompt(command) == expected


def test_an_answer_is_a_text_and_a_message() -> None:
    result = HumanPrompt(path="n", role="system").result("yes")
    assert result == {"text": "yes", "message": {"role": "system", "content": "yes"}}


def test_a_text_of_the_store_is_a_text() -> None:
    asked = HumanPrompt(path="a", required=True)
    assert asked.refusal(BlobRef("d", 9, "string", 9)) is None
    assert asked.refusal(BlobRef("d", 9, "list", 9)) == "a takes a string"
