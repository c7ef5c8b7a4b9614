from dataclasses import replace
from typing import Any

import pytest

from perdure.engine.maps.version_gates import Gates
from perdure.engine.messages import Quotas
from perdure.errors import QuotaExceeded
from tests.support.drive import Drive, Fail, work


def passes(loop: Any, **options: Any) -> int:
    graph = {"nodes": {"s": {"value": 0, "update": ":a.x"}, "a": work(inputs={"x": ":s"})}, "loop": loop}
    return len([path for path in played(graph, **options).paths if path[0] == "a"])


def played(graph: Any, answers: Any = None, **options: Any) -> Drive:
    drive = Drive(graph, answers or (lambda command: command.inputs), **options)
    drive.run()
    return drive


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, 1), (3, 3), ("2", 2), (2.5, 3), (0, 1), (-1, 1), (None, 1), ("abc", 1), (True, 1), ([2], 2)],
)
def test_count_is_compared_as_in_javascript(count: Any, expected: int) -> None:
    assert passes({"count": count}) == expected


def test_the_caller_may_replace_the_loop_by_a_count() -> None:
    assert passes({"while": "literal"}, loop_count=2) == 2
    assert passes(None, loop_count=3) == 3
    assert passes({"count": 5}, loop_count=0) == 1


def test_a_loop_that_never_could_end_is_refused() -> None:
    drive = Drive({"nodes": {"a": work()}, "loop": {"while": True}})
    assert drive.run().failure == "loop.while is not a reference, so the loop could never end"
    assert drive.paths == []


def test_a_quota_of_the_caller_ends_a_loop_that_never_could_end() -> None:
    drive = Drive({"nodes": {"a": work()}, "loop": {"while": True}}, quotas=Quotas(iterations=2))
    with pytest.raises(QuotaExceeded, match="its quota of 2 iterations"):
        drive.run()
    assert drive.paths == ["a", "a@1", "a@2"]


@pytest.mark.parametrize(
    "asking",
    [
        {"agent": "textInputAgent"},
        {"agent": "nestedAgent", "graph": {"nodes": {"b": {"agent": "textInputAgent"}}}},
    ],
    ids=["itself", "inside"],
)
def test_a_person_who_is_asked_in_each_pass_may_end_the_loop(asking: Any) -> None:
    def answer(command: Any) -> Any:
        if "@2" in command.path:
            raise Fail("enough")
        return {"text": command.path}

    drive = played({"nodes": {"a": asking}, "loop": {"while": True}}, answer)
    assert drive.finish is not None
    assert drive.finish.failure == "enough"
    assert len(drive.paths) == 3


def test_in_runs_of_earlier_versions_it_does_not() -> None:
    drive = Drive({"nodes": {"a": {"agent": "textInputAgent"}}, "loop": {"while": True}})
    drive.scheduler.rules = replace(drive.scheduler.rules, gates=Gates(foresees=False))
    drive.scheduler.graphs.rules = drive.scheduler.rules
    assert drive.run().failure == "loop.while is not a reference, so the loop could never end"


def test_while_sees_updated_statics_and_computed_results() -> None:
    rest = {"value": [1, 2, 3], "update": ":shift.array"}
    graph = {"nodes": {"rest": rest, "shift": work(inputs={"array": ":rest"})}, "loop": {"while": ":rest"}}

    def shift(command: Any) -> Any:
        return {"array": command.inputs["array"][1:]}

    drive = played(graph, shift)
    assert drive.paths == ["shift", "shift@1", "shift@2"]
    assert drive.finish is not None
    assert drive.finish.all == {"rest": [], "shift": {"array": []}}


def test_updates_read_one_snapshot() -> None:
    graph = {
        "nodes": {
            "a": {"value": 1, "update": ":b"},
            "b": {"value": 2, "update": ":a"},
            "n": work(inputs={"i": "@loop", "a": ":a"}),
        },
        "loop": {"count": 2},
    }
    finish = played(graph).finish
    assert finish is not None
    assert finish.all == {"a": 1, "b": 2, "n": {"i": 1, "a": 2}}


def test_an_update_that_gives_nothing_leaves_the_static_node_empty() -> None:
    graph = {
        "nodes": {"s": {"value": 1, "update": ":a.gone"}, "a": work(), "b": work(inputs={"s": ":s"})},
        "loop": {"count": 2},
    }
    drive = played(graph)
    assert drive.paths == ["a", "b", "a@1"]
    assert drive.finish is not None
    assert drive.finish.all == {"a": {}}


def test_an_iteration_with_nothing_to_run_ends_the_loop() -> None:
    graph = {
        "nodes": {"s": {"value": 1, "update": ":b.gone"}, "b": work(inputs={"s": ":s"})},
        "loop": {"count": 5},
    }
    drive = played(graph)
    assert drive.paths == ["b"]
    assert drive.finish is not None
    assert (drive.finish.all, drive.finish.failure) == ({}, None)


def test_an_update_that_fails_ends_the_run() -> None:
    graph = {"nodes": {"s": {"value": 1, "update": ":a.jsonParse()"}, "a": work()}, "loop": {"count": 2}}
    finish = played(graph, lambda command: "no json").finish
    assert finish is not None
    assert finish.failure is not None
    assert finish.failure.startswith(":a.jsonParse(): ")


def test_initial_values_come_back_unless_updated() -> None:
    graph = {"nodes": {"s": {"value": 1}, "a": work(inputs={"s": ":s"})}, "loop": {"count": 2}}
    finish = played(graph, injects=(("s", 7),)).finish
    assert finish is not None
    assert finish.all == {"s": 7, "a": {"s": 7}}


def test_a_static_node_waits_for_its_first_update() -> None:
    graph = {
        "nodes": {"s": {"update": ":a.x"}, "a": work(inputs={"x": 5}), "b": work(inputs={"s": ":s"})},
        "loop": {"count": 2},
    }
    assert played(graph).paths == ["a", "a@1", "b@1"]
