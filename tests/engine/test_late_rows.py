"""Rows that are late and count in a later pass of the loop: which, and with what age."""

from typing import Any

import pytest

from perdure.engine.board import Rules
from perdure.engine.fuel import MAX_EVENT_STEP_COUNT
from perdure.engine.maps.version_gates import Gates
from perdure.engine.messages import Abort, AgentCompleted, AgentFailed, CancelCall, RunAgent, Settle
from perdure.engine.scheduler import Scheduler
from perdure.engine.snapshot import restore, snapshot
from perdure.engine.steering.request import Steering
from tests.support.drive import Drive, graph, rows, work

SITES = [{"id": "a"}, {"id": "b"}, {"id": "c"}]


def learning(passes: int = 3, *, late: str = "carry", **keys: Any) -> Any:
    """A loop over a map that ends with two of three rows, and a node that uses its result."""
    params = {"quorum": 2, "grace": 0, "late": late, "compositeResultKey": "i"}
    nodes = graph(m=rows(*SITES, params=params, **keys), use=work(inputs={"m": ":m"}))
    return {**nodes, "loop": {"count": passes}}


class Rounds:
    """A run whose rows are answered by name; everything else is answered as soon as it waits."""

    def __init__(self, document: Any, **options: Any) -> None:
        self.drive = Drive(document, **options)
        self.drive.start()

    def answer(self, *paths: str) -> "Rounds":
        """These calls return their path."""
        for path in paths:
            self.give(AgentCompleted(self.call(path), path))
        return self

    def fail(self, path: str) -> "Rounds":
        return self.give(AgentFailed(self.call(path), "no power"))

    def give(self, event: Any) -> "Rounds":
        self.drive.give(event)
        while True:
            others = [
                command
                for command in self.drive.waiting
                if isinstance(command, Settle) or getattr(command, "node", "") == "use"
            ]
            if not others:
                return self
            self.drive.give(self.drive.answer(others[0]))

    def call(self, path: str) -> int:
        return next(command.call for command in self.drive.waiting if getattr(command, "path", "") == path)

    def rewrite(self) -> "Rounds":
        """Continues with a run that is read from a snapshot of this one."""
        data = snapshot(self.drive.scheduler)
        self.drive.scheduler, commands = restore(data, self.drive.options, observe=self.drive.observe)
        assert [command.call for command in commands] == [command.call for command in self.drive.waiting]
        return self

    @property
    def waiting(self) -> list[str]:
        return [command.path for command in self.drive.waiting if isinstance(command, RunAgent)]

    @property
    def results(self) -> list[Any]:
        """What the map returned in each pass."""
        calls = [command for command in self.drive.commands if isinstance(command, RunAgent)]
        return [command.inputs["m"] for command in calls if command.node == "use"]


def late(index: int) -> dict[str, Any]:
    return {"index": index, "id": "abc"[index], "why": "late"}


def test_a_late_row_takes_its_place_in_a_later_pass_and_has_an_age() -> None:
    rounds = Rounds(learning()).answer("m[0].i", "m[1].i")
    assert rounds.waiting == ["m[2].i", "m@1[0].i", "m@1[1].i"]  # none is begun that still runs
    rounds.answer("m@1[1].i", "m[2].i")
    assert rounds.waiting == ["m@1[0].i", "m@2[1].i", "m@2[2].i"]
    rounds.answer("m@2[1].i", "m@1[0].i")
    assert rounds.results == [
        {"rows": ["m[0].i", "m[1].i"], "index": [0, 1], "age": [0, 0], "missing": [late(2)]},
        {"rows": ["m@1[1].i", "m[2].i"], "index": [1, 2], "age": [0, 1], "missing": [late(0)]},
        {"rows": ["m@1[0].i", "m@2[1].i"], "index": [0, 1], "age": [1, 0], "missing": [late(2)]},
    ]


def test_a_row_that_is_late_twice_ages() -> None:
    rounds = Rounds(learning()).answer("m[0].i", "m[1].i", "m@1[0].i", "m@1[1].i", "m[2].i", "m@2[0].i")
    assert rounds.results[2] == {
        "rows": ["m@2[0].i", "m[2].i"],
        "index": [0, 2],
        "age": [0, 2],
        "missing": [late(1)],
    }


def test_the_end_of_the_loop_cancels_what_is_still_late() -> None:
    rounds = Rounds(learning(passes=1)).answer("m[0].i", "m[1].i")
    cancelled = [command for command in rounds.drive.commands if isinstance(command, CancelCall)]
    finish = rounds.drive.finish
    assert (finish is not None, rounds.waiting, len(cancelled)) == (True, [], 1)
    assert rounds.drive.moves.count("m[2].i abort") == 1


def test_without_carry_late_rows_are_cancelled_and_begun_again() -> None:
    rounds = Rounds(learning(late="drop")).answer("m[0].i", "m[1].i")
    assert rounds.waiting == ["m@1[0].i", "m@1[1].i", "m@1[2].i"]
    assert rounds.results == [{"rows": ["m[0].i", "m[1].i"], "index": [0, 1], "missing": [late(2)]}]


def test_runs_of_earlier_versions_do_not_carry() -> None:
    rounds = Rounds.__new__(Rounds)
    rounds.drive = Drive(learning())
    rules = Rules(rounds.drive.options, None, rounds.drive.scheduler.rules.own, gates=Gates(carries=False))
    rounds.drive.scheduler.rules = rounds.drive.scheduler.nested.rules = rules
    rounds.drive.start()
    rounds.answer("m[0].i", "m[1].i")
    assert "m@1[2].i" in rounds.waiting
    assert "age" not in rounds.results[0]


def test_a_late_row_that_fails_is_missing_or_begun_again() -> None:
    rounds = Rounds(learning()).answer("m[0].i", "m[1].i").fail("m[2].i")
    rounds.answer("m@1[0].i", "m@1[1].i")
    assert rounds.results[1]["missing"] == [
        {"index": 2, "id": "c", "why": "failed", "message": "no power"},
    ]
    assert "m@2[2].i" in rounds.waiting


def between(passes: int) -> "tuple[Rounds, int]":
    """A run whose pass 0 is over, except for the node that uses it; the call of that."""
    rounds = Rounds(learning(passes))
    drive = rounds.drive
    for path in ("m[0].i", "m[1].i"):
        drive.give(AgentCompleted(rounds.call(path), path))
    settle = next(command for command in drive.waiting if isinstance(command, Settle))
    drive.give(drive.answer(settle))
    return rounds, rounds.call("use")


def test_a_row_that_ends_between_two_passes_counts_in_the_next() -> None:
    rounds, use = between(2)
    rounds.drive.give(AgentCompleted(rounds.call("m[2].i"), "late"))
    rounds.give(AgentCompleted(use, None))
    assert rounds.waiting == ["m@1[0].i", "m@1[1].i"]
    rounds.answer("m@1[0].i")
    assert rounds.results[1] == {
        "rows": ["m@1[0].i", "late"],
        "index": [0, 2],
        "age": [0, 1],
        "missing": [late(1)],
    }


def test_a_row_that_fails_between_two_passes_is_begun_again() -> None:
    rounds, use = between(2)
    rounds.drive.give(AgentFailed(rounds.call("m[2].i"), "no power"))
    rounds.give(AgentCompleted(use, None))
    assert rounds.waiting == ["m@1[0].i", "m@1[1].i", "m@1[2].i"]


def test_a_row_that_a_pass_does_not_have_waits_for_one_that_has_it() -> None:
    document = learning()
    document["nodes"]["sites"] = {"value": SITES, "update": ":use.sites"}
    document["nodes"]["m"]["inputs"] = {"rows": ":sites"}
    rounds = Rounds(document)
    rounds.drive.answers = lambda command: {
        "sites": SITES[:2] if "@" not in command.path else [SITES[2], SITES[0]]
    }
    rounds.answer("m[0].i", "m[1].i", "m@1[0].i", "m@1[1].i")
    assert rounds.waiting == ["m[2].i", "m@2[1].i"]
    rounds.answer("m[2].i", "m@2[1].i")
    assert rounds.results[2]["age"] == [2, 0]


def test_rows_without_an_id_are_known_by_their_number() -> None:
    document = learning()
    document["nodes"]["m"]["inputs"] = {"rows": [1, 2, 3]}
    rounds = Rounds(document).answer("m[0].i", "m[2].i")
    assert rounds.waiting == ["m[1].i", "m@1[0].i", "m@1[2].i"]


def test_of_rows_with_one_id_one_is_carried() -> None:
    document = learning()
    same = [{"id": "a"}, {"id": "b"}, {"id": "b"}, {"id": "c"}]
    document["nodes"]["m"]["inputs"] = {"rows": same}
    rounds = Rounds(document).answer("m[0].i", "m[3].i")
    assert rounds.waiting == ["m[1].i", "m@1[0].i", "m@1[2].i", "m@1[3].i"]


def test_a_map_that_fails_carries_nothing() -> None:
    rounds = Rounds(learning(retry=1)).answer("m[0].i").fail("m[1].i").fail("m[2].i")
    assert rounds.waiting == ["m#1[0].i", "m#1[1].i", "m#1[2].i"]


def test_a_map_that_carries_no_more_drops_what_is_late() -> None:
    document = learning()
    document["nodes"]["p"] = {
        "value": document["nodes"]["m"].pop("params"),
        "update": ":use.params",
    }
    document["nodes"]["m"]["inputs"]["params"] = ":p"
    rounds = Rounds(document)
    rounds.drive.answers = {"use": {"params": {"quorum": 2, "grace": 0}}}
    rounds.answer("m[0].i", "m[1].i")
    assert rounds.waiting == ["m@1[0].i", "m@1[1].i", "m@1[2].i"]


def test_a_graph_that_is_stopped_takes_its_late_rows_along() -> None:
    rounds = Rounds(learning()).answer("m[0].i", "m[1].i")
    rounds.drive.give(Abort())
    assert rounds.waiting == []


@pytest.mark.parametrize(("changed", "is_kept"), [("m", False), ("use", True)])
def test_a_map_that_a_person_changes_drops_its_late_rows(changed: str, is_kept: bool) -> None:
    drive = between(3)[0].drive
    document = learning()
    document["nodes"][changed]["timeout"] = 5
    survey = drive.scheduler.survey(Steering(graph=document, done="rerun", running="cancel", now=True))
    late_call = next(command for command in drive.waiting if getattr(command, "path", "") == "m[2].i")
    drive._take(drive.scheduler.steer(survey, 0))
    assert (late_call in drive.waiting) is is_kept


STEPS = ("m[0].i", "m[1].i", "m@1[1].i", "m[2].i", "m@2[1].i", "m@1[0].i")


@pytest.mark.parametrize("before", range(len(STEPS)))
def test_a_snapshot_at_any_moment_carries_the_same_rows(before: int) -> None:
    whole, rewritten = Rounds(learning()).answer(*STEPS), Rounds(learning())
    rewritten.answer(*STEPS[:before]).rewrite().answer(*STEPS[before:])
    assert rewritten.results == whole.results
    assert rewritten.drive.paths == whole.drive.paths
    assert rewritten.drive.finish == whole.drive.finish


def test_a_snapshot_between_two_passes_has_a_row_that_has_ended() -> None:
    rounds, use = between(2)
    rounds.drive.give(AgentCompleted(rounds.call("m[2].i"), "late"))
    rounds.rewrite().give(AgentCompleted(use, None)).answer("m@1[0].i")
    assert rounds.results[1]["age"] == [0, 1]


def test_late_rows_hold_what_they_held() -> None:
    document = {**learning(), "concurrency": 4}
    rounds = Rounds.__new__(Rounds)
    rounds.drive = Drive(document)
    rounds.drive.scheduler = Scheduler(document, event_steps=MAX_EVENT_STEP_COUNT)
    rounds.drive.start()
    for path in STEPS:
        rounds.answer(path)
        board = rounds.drive.scheduler.board
        held = board.live
        board.recount()
        assert board.live == held
    assert len(board.runs) == 1
    assert rounds.drive.finish is not None
