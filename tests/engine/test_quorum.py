"""Maps that end with some of their rows: which count, when, and what is said of the others."""

from typing import Any

import pytest

from perdure.engine.fuel import MAX_EVENT_STEP_COUNT
from perdure.engine.maps.version_gates import Gates
from perdure.engine.messages import (
    AgentCompleted,
    AgentFailed,
    CancelCall,
    RunAgent,
    Settle,
    Settled,
    StartTimer,
    TimerFired,
)
from perdure.engine.snapshot import restore, snapshot
from tests.support.drive import Drive, failing, graph, rows, work

SITES = [{"id": "a"}, {"id": "b"}, {"id": "c"}, {"id": "d"}]


def sites(**params: Any) -> Any:
    return graph(m=rows(*SITES, params={"compositeResultKey": "i", **params}))


def calls(drive: Drive) -> dict[str, int]:
    return {command.path: command.call for command in drive.commands if isinstance(command, RunAgent)}


def answered(drive: Drive, *names: str) -> Drive:
    """Rows by the id of their site: each returns it."""
    for name in names:
        row = "abcd".index(name)
        drive.give(AgentCompleted(calls(drive)[f"m[{row}].i"], name))
    return drive


def timers(drive: Drive) -> list[StartTimer]:
    return [command for command in drive.waiting if isinstance(command, StartTimer)]


def settled(drive: Drive) -> Any:
    """How the run ends. A map that has decided ends before anything else is answered."""
    while drive.finish is None:
        decided = next((command for command in drive.waiting if isinstance(command, Settle)), drive.next())
        drive.give(drive.answer(decided))
    return drive.finish


def test_the_deadline_ends_a_map_with_the_rows_that_are_there_and_names_the_others() -> None:
    drive = answered(Drive(sites(quorum=2, deadline=60_000)).start(), "d", "a")
    (deadline,) = timers(drive)
    assert deadline.milliseconds == 60_000
    drive.give(TimerFired(deadline.call))
    assert drive.waiting[-1].__class__ is Settle
    assert settled(drive).all["m"] == {
        "rows": ["a", "d"],
        "index": [0, 3],
        "missing": [
            {"index": 1, "id": "b", "why": "late"},
            {"index": 2, "id": "c", "why": "late"},
        ],
    }
    cancelled = {command.call for command in drive.commands if isinstance(command, CancelCall)}
    assert cancelled == {calls(drive)["m[1].i"], calls(drive)["m[2].i"]}
    assert drive.shown == [("m", "2 of 4 rows have a result; missing: row 1 'b' (late), row 2 'c' (late)")]


def test_a_row_that_fails_is_missing_and_the_map_ends_with_its_last_row() -> None:
    drive = Drive(sites(quorum=0.5)).start()
    drive.give(AgentFailed(calls(drive)["m[1].i"], "no power"))
    result = settled(answered(drive, "a", "c", "d")).all["m"]
    assert result == {
        "rows": ["a", "c", "d"],
        "index": [0, 2, 3],
        "missing": [{"index": 1, "id": "b", "why": "failed", "message": "no power"}],
    }


def test_too_few_rows_at_the_deadline_fail_the_node() -> None:
    drive = answered(Drive(sites(quorum=3, deadline=1_000)).start(), "a", "b")
    drive.give(TimerFired(timers(drive)[0].call))
    failure = settled(drive).failure
    assert failure == (
        "mapAgent: quorum: 3 rows are needed; 2 of 4 rows have a result; "
        "missing: row 2 'c' (late), row 3 'd' (late)"
    )


def test_a_map_fails_as_soon_as_enough_rows_cannot_be_reached() -> None:
    drive = Drive(sites(quorum=3, deadline=1_000)).start()
    for row in (0, 2):
        drive.give(AgentFailed(calls(drive)[f"m[{row}].i"], "down"))
    assert "row 0 'a' (down), row 1 'b' (late), row 2 'c' (down)" in (settled(drive).failure or "")


def test_grace_begins_with_the_last_row_that_is_needed() -> None:
    drive = answered(Drive(sites(quorum=2, grace=500)).start(), "b")
    assert timers(drive) == []
    answered(drive, "d")
    (grace,) = timers(drive)
    assert grace.milliseconds == 500
    answered(drive, "a")
    assert timers(drive) == [grace]
    drive.give(TimerFired(grace.call))
    assert settled(drive).all["m"]["index"] == [0, 1, 3]


def test_without_grace_the_map_ends_with_the_last_row_that_is_needed() -> None:
    drive = answered(Drive(sites(quorum=2, grace=0)).start(), "b", "d", "a")
    assert settled(drive).all["m"]["rows"] == ["b", "d"]


def test_all_rows_end_a_map_before_its_times() -> None:
    drive = answered(Drive(sites(quorum=2, deadline=60_000, grace=500)).start(), "a", "b", "c", "d")
    assert timers(drive) == []
    assert settled(drive).all["m"] == {"rows": ["a", "b", "c", "d"], "index": [0, 1, 2, 3], "missing": []}
    assert drive.shown == []


@pytest.mark.parametrize(
    ("quorum", "failures", "ends_with"), [(0.7, 3, [3, 4, 5, 6, 7, 8, 9]), (0.7, 4, None), (0.71, 3, None)]
)
def test_a_share_of_the_rows_is_rounded_up(quorum: float, failures: int, ends_with: Any) -> None:
    document = graph(m=rows(*range(10), params={"quorum": quorum}))
    drive = Drive({**document, "concurrency": 10}).start()
    for row in range(failures):
        drive.give(AgentFailed(calls(drive)[f"m[{row}].i"], "down"))
    finish = settled(drive)
    assert finish.all.get("m", {}).get("index") == ends_with


@pytest.mark.parametrize(
    ("params", "finding"),
    [
        ({"quorum": 5}, "5 rows are needed, and there are 4"),
        ({"quorum": 1.5}, "quorum says how many rows are enough"),
        ({"quorum": 2, "deadline": "soon"}, "deadline is a time in milliseconds"),
        ({"quorum": 2, "grace": -1}, "grace is a time in milliseconds"),
    ],
)
def test_params_from_data_that_make_no_sense_fail_the_node(params: Any, finding: str) -> None:
    node = rows(*SITES)
    node["inputs"]["params"] = ":p"
    assert finding in (settled(Drive(graph(p={"value": params}, m=node)).start()).failure or "")


def test_a_failed_quorum_may_be_a_result() -> None:
    drive = Drive(sites(quorum=4, supressError=True)).start()
    drive.give(AgentFailed(calls(drive)["m[0].i"], "down"))
    assert "4 rows are needed" in settled(drive).all["m"]["onError"]["message"]


def test_a_retry_runs_all_rows_again_with_a_deadline_of_its_own() -> None:
    document = graph(m=rows(*SITES, params={"quorum": 4, "deadline": 1_000}, retry=1))
    drive = Drive(document).start()
    first = timers(drive)[0]
    drive.give(TimerFired(first.call)).give(Settled(1))
    assert drive.paths[-4:] == ["m#1[0].i", "m#1[1].i", "m#1[2].i", "m#1[3].i"]
    assert [timer.call == first.call for timer in timers(drive)] == [False]


def test_a_graph_that_is_stopped_takes_the_times_of_its_maps_along() -> None:
    inner = {**sites(quorum=1, deadline=60_000)["nodes"], "broken": work(agent="other")}
    document = graph(n={"agent": "mapAgent", "inputs": {"rows": [1]}, "graph": graph(**inner), "timeout": 10})
    drive = Drive(document).start()
    outer = next(timer for timer in timers(drive) if timer.milliseconds == 10)
    drive.give(TimerFired(outer.call))
    assert timers(drive) == []


@pytest.mark.parametrize("after", range(6))
def test_a_snapshot_at_any_moment_ends_with_the_same_rows(after: int) -> None:
    """Events in the same order, with the run written and read again before one of them."""

    def played(written_before: int) -> Any:
        drive = Drive(sites(quorum=2, deadline=900, grace=300)).start()
        events: list[Any] = [
            lambda: AgentFailed(calls(drive)["m[1].i"], "down"),
            lambda: AgentCompleted(calls(drive)["m[3].i"], "d"),
            lambda: AgentCompleted(calls(drive)["m[0].i"], "a"),
            lambda: TimerFired(next(timer.call for timer in timers(drive) if timer.milliseconds == 300)),
        ]
        for number, event in enumerate(events):
            if number == written_before:
                drive.scheduler, _ = restore(snapshot(drive.scheduler), drive.options, observe=drive.observe)
            drive.give(event())
        if written_before == len(events):
            drive.scheduler, _ = restore(snapshot(drive.scheduler), drive.options, observe=drive.observe)
        finish = settled(drive)
        return finish.all, [command for command in drive.commands if not isinstance(command, RunAgent)]

    assert played(after) == played(99)


def test_runs_of_earlier_versions_do_not_know_a_quorum() -> None:
    drive = Drive(sites(quorum=1, deadline=5))
    drive.scheduler.rules = type(drive.scheduler.rules)(
        drive.options, None, drive.scheduler.rules.own, gates=Gates(quorums=False)
    )
    drive.scheduler.nested.rules = drive.scheduler.rules
    drive.start().give(AgentFailed(calls(drive)["m[1].i"], "down"))
    assert settled(drive).failure == "down"


def test_what_missing_rows_hold_is_counted_once() -> None:
    document = {**sites(quorum=1), "concurrency": 4}
    drive = Drive(document)
    drive.scheduler = type(drive.scheduler)(document, event_steps=MAX_EVENT_STEP_COUNT)
    drive.start()
    before = drive.scheduler.board.live
    drive.give(AgentFailed(calls(drive)["m[1].i"], "down"))
    held = drive.scheduler.board.live
    drive.scheduler.board.recount()
    assert drive.scheduler.board.live == held < before


def test_rows_fail_by_their_agents_and_not_by_order() -> None:
    answers = failing("i", times=2)
    finish = Drive(sites(quorum=2), answers).run()
    assert finish.all["m"]["index"] == [2, 3]


def test_a_message_names_ten_rows() -> None:
    document = {**graph(m=rows(*range(12), params={"quorum": 12})), "concurrency": 12}
    drive = Drive(document).start()
    drive.give(AgentFailed(calls(drive)["m[0].i"], "down"))
    failure = settled(drive).failure or ""
    assert failure.count("row ") == 10
    assert failure.endswith("row 9 (late), and 2 more")


def test_a_long_failure_is_cut() -> None:
    drive = Drive(sites(quorum=1)).start()
    drive.give(AgentFailed(calls(drive)["m[1].i"], "x" * 400))
    result = settled(answered(drive, "a", "c", "d")).all["m"]
    assert result["missing"][0]["message"] == "x" * 300
