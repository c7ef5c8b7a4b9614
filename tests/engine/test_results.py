"""What becomes of a call: failures and retries, results, what is shown of them."""

from typing import Any

import pytest

from perdure.engine.messages import (
    AgentCompleted,
    AgentFailed,
    Finish,
    RunAgent,
)
from perdure.engine.outcomes import cut
from perdure.graph.values import UNDEFINED
from tests.support.drive import Drive, failing, graph, work

# Failures


def test_a_node_is_retried_at_once_in_its_slot() -> None:
    drive = Drive({**graph(a=work(retry=2), b=work()), "concurrency": 1}, failing("a", times=2))
    assert drive.run().all == {"a": {"n": 3}, "b": {"n": 1}}
    assert drive.paths == ["a", "a#1", "a#2", "b"]
    keys = [command.key for command in drive.commands if isinstance(command, RunAgent)]
    assert keys == ["a", "a", "a", "b"]


def test_the_first_failing_node_in_document_order_names_the_failure() -> None:
    drive = Drive(graph(b=work(inputs={"x": ":c"}), a=work(), c=work()), failing("a", "b"))
    finish = drive.run()
    assert (finish.failure, finish.errors) == ("b failed 1", {"b": "b failed 1", "a": "a failed 1"})
    assert finish.all == {"c": {"n": 1}}


def test_a_message_is_cut_once_whatever_it_quotes() -> None:
    name = "x" * 100_000
    finish = Drive(graph(v={"value": [name]}, a=work(agent=":v"))).run()
    message = f"No agent: {name} in a node"
    expected = f"{message[:8_000]} … ({len(message) - 8_000} characters more)"
    assert finish.errors == {"a": expected}
    assert cut(expected) == expected
    assert cut("x" * 8_000 + " characters more)") != "x" * 8_000 + " characters more)"


def test_a_final_failure_is_not_retried() -> None:
    drive = Drive(graph(a=work(retry=5)), failing("a", final=True))
    assert drive.run().errors == {"a": "a failed 1"}


def test_a_call_that_timed_out_may_be_retried() -> None:
    drive = Drive(graph(a=work(retry=1))).start()
    drive.give(AgentFailed(1, "Timeout", "timed-out")).give(AgentFailed(2, "Timeout", "timed-out"))
    assert drive.finish is not None
    assert drive.finish.failure == "Timeout"
    assert (
        drive.moves[-4:] == ["a timed-out", "a#1 executing", "a#1 timed-out"][-4:]
        or "a#1 timed-out" in drive.moves
    )


def test_inputs_that_cannot_be_read_fail_the_node() -> None:
    drive = Drive(graph(s={"value": "no"}, ok=work(), a=work(inputs={"x": ":s.jsonParse()"}, retry=2)))
    finish = drive.run()
    assert list(finish.errors) == ["a"]
    assert drive.moves.count("a#2 failed") == 1


def test_a_graph_that_is_no_mapping_fails_any_node() -> None:
    assert Drive(graph(a=work(graph=5), b=work())).run().errors == {"a": "graph must be a mapping, not '5'"}


@pytest.mark.parametrize(("results", "calls"), [([{"k": 0}], 1), ([{}, {"k": None}, {"k": 1}], 3)])
def test_repeat_until_something_exists(results: list[Any], calls: int) -> None:
    answers = iter(results)
    drive = Drive(graph(a=work(repeatUntil={"exists": ".k"}, retry=5)), lambda command: next(answers))
    assert drive.run().failure is None
    assert len(drive.paths) == calls


def test_repeat_until_gives_up() -> None:
    drive = Drive(graph(a=work(repeatUntil={"exists": ".k"}, retry=1)), {"a": {}})
    assert drive.run().failure == "Repeat Until"
    assert Drive(graph(a=work(repeatUntil={"exists": "literal"})), {"a": {}}).run().failure is None


def test_a_consumers_condition_that_fails_is_the_failure_of_the_source() -> None:
    drive = Drive(graph(a=work(retry=1), b=work(**{"if": ":a.jsonParse()"})), {"a": "no json"})
    finish = drive.run()
    assert (list(finish.errors), drive.paths) == (["a"], ["a", "a#1"])
    assert finish.all == {}


# Results


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"k": 1}, {"k": 1, "p": "S"}),
        ([{"k": 1}, 2], [{"k": 1, "p": "S"}, 2]),
        ([1], [1]),
        ("text", "text"),
        (0, 0),
    ],
)
def test_pass_through_is_merged_over_objects(result: Any, expected: Any) -> None:
    drive = Drive(graph(s={"value": "S"}, a=work(passThrough={"p": ":s"})), {"a": result})
    assert drive.run().all["a"] == expected


def test_output_maps_the_result_and_pass_through_goes_over_it_again() -> None:
    output = {"x": ".k.$0", "now": "${@now}", "own": ".p", "lit": ":s", "gone": ".zz"}
    drive = Drive(graph(s={"value": "S"}, a=work(output=output, passThrough={"p": ":s"})), {"a": {"k": [5]}})
    scheduler = drive.scheduler
    scheduler.start(0)
    (finish,) = scheduler.handle(AgentCompleted(1, {"k": [5]}), 1234)
    assert isinstance(finish, Finish)
    expected = {"x": 5, "now": "1234", "own": "S", "lit": ":s", "gone": UNDEFINED, "p": "S"}
    assert finish.all["a"] == expected


# Console


@pytest.mark.parametrize(
    ("console", "shown"),
    [
        (True, ['{\n  "x": 1\n}', '{\n  "k": [\n    2\n  ]\n}']),
        ({"before": True}, ['{\n  "x": 1\n}']),
        ({"before": "begins", "after": "ends"}, ["begins", "ends"]),
        ({"after": {"first": ".k.$0"}}, ['{\n  "first": 2\n}']),
        ({"before": 0, "after": ""}, []),
        (False, []),
        ("text", []),
    ],
)
def test_console_of_a_node(console: Any, shown: list[str]) -> None:
    drive = Drive(graph(a=work(inputs={"x": 1}, console=console)), {"a": {"k": [2]}})
    drive.run()
    assert drive.shown == [("a", text) for text in shown]


def test_console_shows_a_text_as_it_is() -> None:
    drive = Drive(graph(a=work(console={"after": True})), {"a": "plain"})
    drive.run()
    assert drive.shown == [("a", "plain")]


def test_console_of_a_static_node_shows_each_new_iteration() -> None:
    nodes = graph(s={"value": 1, "update": ":a.n", "console": True}, a=work())
    drive = Drive({**nodes, "loop": {"count": 3}}, failing())
    drive.run()
    assert drive.shown == [("s@1", "1"), ("s@2", "2")]


def test_console_that_cannot_be_shown_fails_the_node() -> None:
    drive = Drive(graph(a=work(console={"after": {"x": "${@loop}"}})))
    assert (drive.run().failure or "").startswith("${@loop} has no value in `output`")
