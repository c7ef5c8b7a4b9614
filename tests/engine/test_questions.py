"""What an answer means: to an open question, too early, too late, again; and what time does to a question."""

from __future__ import annotations

import random
from typing import Any

import pytest

from perdure.engine.human_paths import may_ask
from perdure.engine.human_tasks import MAX_FORM_ANSWER_BYTES, Answer, HumanPrompt
from perdure.engine.messages import AgentCompleted, AgentFailed, RunAgent
from perdure.engine.questions import Questions
from tests.support.drive import Drive

HUMAN = ("textInputAgent", "humanInputAgent")


def calls(params: dict[str, Any], **node: Any) -> RunAgent:
    document = {"nodes": {"n": {"agent": "humanInputAgent", "params": params, **node}}}
    (command,) = Drive(document).start().commands
    assert isinstance(command, RunAgent)
    return command


def opened(params: dict[str, Any], **node: Any) -> tuple[Questions, RunAgent]:
    questions, command = Questions(notifies=True), calls(params, **node)
    assert questions.ask(command, 1_000) is None
    return questions, command


def never(path: str) -> bool:
    del path
    return True


def answer(value: Any, who: str = "anna", path: str = "n", id: str = "") -> Answer:
    return Answer(path=path, value=value, who=who, id=id)


def test_a_message_is_filled_with_inputs() -> None:
    inputs = {"doc": {"title": "Tides"}, "n": 3}
    questions, _ = opened({"message": "${doc.title}: ${n} of ${n}, ${other}"}, inputs=inputs)
    assert [prompt.message for prompt in questions.prompts()] == ["Tides: 3 of 3, ${other}"]
    questions, _ = opened({"message": "${n}"}, inputs={"n": "x" * 20_000})
    assert [len(prompt.message) for prompt in questions.prompts()] == [16_000]


@pytest.mark.parametrize(
    ("params", "sent", "read"),
    [
        ({"choices": ["a", "1"]}, "1", {"decision": "1"}),
        ({"choices": ["a"]}, '{"decision": "a"}', {"decision": "a"}),
        ({"schema": {"properties": {"n": {"type": "number"}}}}, "5", {"n": 5}),
        ({"schema": {"properties": {"n": {"type": "string"}}}}, "5", {"n": "5"}),
        ({"schema": {"type": "object"}}, '{"x": [1]}', {"x": [1]}),
        ({}, '{"x": 1}', '{"x": 1}'),
    ],
)
def test_how_an_answer_is_read(params: dict[str, Any], sent: Any, read: Any) -> None:
    questions, _ = opened(params)
    _, event = questions.take(answer(sent), 2_000)
    assert event is not None
    assert event.result["answer"] == read


def test_a_large_answer_fills_no_form() -> None:
    prompt = HumanPrompt(path="n", schema={"type": "object"})
    limit = f"n takes an answer of at most {MAX_FORM_ANSWER_BYTES:,} bytes"
    assert prompt.refusal({"x": "y" * 63_800}) is None
    assert prompt.refusal({"x": "y" * 64_000}) == limit


def test_wrong_params_fail_the_node() -> None:
    event = Questions().ask(calls({"timeout": {"after": "soon"}}), 0)
    assert isinstance(event, AgentFailed)
    assert (event.final, event.message.partition("\n")[0]) == (
        True,
        "params.timeout.after: after is a time after the question was asked",
    )


def test_a_quorum_counts_people_once() -> None:
    questions, command = opened({"choices": ["yes", "no"], "quorum": {"need": 3}})
    receipts = [questions.take(answer("yes", who), 2_000)[0] for who in ("a", "b", "a")]
    assert [(receipt.count, receipt.need) for receipt in receipts] == [(1, 3), (2, 3), (2, 3)]
    _, event = questions.take(answer("no", "c"), 3_000)
    assert isinstance(event, AgentCompleted)
    assert [each["who"] for each in event.result["by"]] == ["b", "a", "c"]
    assert event.call == command.call


def test_one_answer_against_ends_a_quorum() -> None:
    quorum = {"need": 3, "same": "decision", "against": "no"}
    questions, _ = opened({"choices": ["yes", "no"], "quorum": quorum})
    assert questions.take(answer("yes", "a"), 2_000)[1] is None
    _, event = questions.take(answer("no", "b"), 3_000)
    assert event is not None
    assert event.result["answer"] == {"decision": "no"}


def test_time() -> None:
    questions, command = opened(
        {
            "who": ["anna"],
            "remind": [20, 10],
            "escalate": {"after": 30, "who": ["group:leads", "anna"]},
            "timeout": {"after": 40},
        }
    )
    events = []
    while (due := questions.next_due(command.call)) < float("inf"):
        events.append((due, questions.fire(command.call, due)))
    assert events == [
        (1_010, None),
        (1_020, None),
        (1_030, None),
        (1_040, AgentFailed(command.call, "Timeout", "timed-out")),
    ]
    assert [notice.event for notice in questions.notices] == [
        *("asked", "reminded", "reminded", "escalated", "closed")
    ]
    assert questions.notices[-1].prompt.who == ["anna", "group:leads"]
    refusal = questions.refusal(answer("x"), never)
    assert refusal == "n is closed: its time ran out at 1970-01-01 00:00:01 UTC"


def test_the_earlier_limit_holds() -> None:
    questions, command = opened({"timeout": {"after": 40, "result": "x"}}, timeout=30)
    assert questions.next_due(command.call) == 1_030
    questions, command = opened({"timeout": {"after": 20, "result": "x"}}, timeout=30)
    event = questions.fire(command.call, questions.next_due(command.call))
    assert isinstance(event, AgentCompleted)
    assert (event.result["text"], event.result["how"]) == ("x", "timeout")


def test_a_long_answer_is_quoted_in_part() -> None:
    questions, _ = opened({})
    questions.take(answer("x" * 101), 0)
    assert str(questions.refusal(answer("y"), never)).endswith(f"UTC: {'x' * 100}…")


def test_early_answers_are_bounded() -> None:
    questions = Questions()
    for number in range(100):
        early = answer("x", path=f"n@{number}")
        assert questions.refusal(early, lambda _: False) is None
        questions.take(early, 0)
    refusal = questions.refusal(answer("x", path="n@100"), lambda _: False)
    assert refusal == "n@100: the run keeps at most 100 answers to questions to come"
    refusal = questions.refusal(answer("x" * 64_001, path="n@1"), lambda _: False)
    assert refusal == "n@1: an answer before its question has at most 64,000 bytes"
    refusal = questions.refusal(answer("x", "ben", path="n@1"), lambda _: False)
    assert refusal == "n@1 has an answer of anna already"
    assert questions.refusal(answer("y", path="n@1"), lambda _: False) is None


def test_closed_questions_are_bounded() -> None:
    questions = Questions()
    for number in range(1_001):
        command = calls({})
        command.call, command.path = number, f"n@{number}"
        questions.ask(command, 0)
        questions.take(answer("x", path=f"n@{number}", id=str(number)), 0)
    assert questions.refusal(answer("x", path="n@1"), never) is None
    assert "no single question" in str(questions.refusal(answer("x", path="n@0"), never))


@pytest.mark.parametrize("seed", range(20))
def test_a_run_that_continues_answers_the_same(seed: int) -> None:
    """A race of two people for ten questions, written down and restored after each step: one winner each."""
    make = random.Random(seed)
    questions, winners = Questions(), dict[str, str]()
    commands = {f"n@{number}": calls({"choices": ["yes", "no"]}) for number in range(10)}
    for number, (path, command) in enumerate(commands.items()):
        command.call, command.path = number + 1, path
    steps = [(path, who) for path in commands for who in ("anna", "ben") for _ in range(2)]
    make.shuffle(steps)
    asked = set[str]()
    for path, who in steps:
        if path not in asked and make.random() < 0.6:
            asked.add(path)
            event = questions.ask(commands[path], 5)
            if event is not None:
                winners.setdefault(path, event.result["by"][0]["who"])
        sent = answer("yes", who, path, id=f"{path} {who}")
        if questions.refusal(sent, lambda _: False) is None:
            receipt, event = questions.take(sent, 5)
            assert winners.setdefault(path, who) == who
            assert receipt.who == who
        else:
            assert winners[path] != who
        restored = Questions()
        restored.resume(questions.state())
        for open_path in [prompt.path for prompt in questions.prompts()]:
            assert restored.ask(commands[open_path], 9) is None
        assert [prompt for prompt in restored.prompts()] == questions.prompts()
        questions = restored
    assert len(winners) == 10


@pytest.mark.parametrize(
    ("path", "may"),
    [
        ("ask", True),
        ("ask@1", True),
        ("copy", False),
        ("other", False),
        ("rows[3].ask", True),
        ("rows[3].copy", False),
        ("rows", False),
        ("rows[3]", False),
        ("computed.anything", True),
        ("any", True),
        ("askew", False),
        ("computed." + "x" * 991, True),
        ("computed." + "x" * 992, False),
    ],
)
def test_paths_that_may_ask(path: str, may: bool) -> None:
    inner = {"nodes": {"ask": {"agent": "textInputAgent"}, "copy": {"agent": "copyAgent"}}}
    nodes = {
        "name": {"value": "textInputAgent"},
        "ask": {"agent": "textInputAgent"},
        "copy": {"agent": "copyAgent"},
        "rows": {"agent": "mapAgent", "inputs": {"rows": [1]}, "graph": inner},
        "computed": {"agent": "nestedAgent", "graph": ":ask.text"},
        "any": {"agent": ":name"},
    }
    drive = Drive({"loop": {"count": 2}, "nodes": nodes}).start()
    assert may_ask(drive.scheduler.root, HUMAN, path) is may
