"""Long work pauses, in the same places whenever it is played, and its results are those without a pause."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

import pytest

from perdure.engine.fuel import MAX_EVENT_STEP_COUNT, MAX_OPEN_GRAPH_COUNT, Fuel
from perdure.engine.maps.version_gates import Gates
from perdure.engine.messages import (
    AgentCompleted,
    AgentFailed,
    Finish,
    Quotas,
    RunAgent,
    RunOptions,
    Settle,
    Settled,
    StartTimer,
    TimerFired,
)
from perdure.engine.scheduler import Scheduler
from perdure.engine.snapshot import restore, snapshot
from perdure.errors import QuotaExceeded
from tests.support.drive import graph, nested, rows, work

SKIPPED = {"agent": "copyAgent", "if": ":no", "defaultValue": {"d": 1}, "inputs": {"x": 1}}
IDLE_LOOP = graph(t={"value": True, "update": ":t"}, no={"value": False}, c=SKIPPED)
FAILING = graph(a={"value": "x"}, b=work(retry=900, inputs={"x": ":a.jsonParse()"}), c=work(isResult=True))
ITSELF = {
    "agent": "mapAgent",
    "inputs": {"rows": list(range(10)), "g": ":g"},
    "graph": ":g",
    "isResult": True,
}
RECURSIVE = graph(g={"value": {"nodes": {"g": {}, "m": ITSELF}}}, m=ITSELF)


def play(document: Any, steps: float, written: bool = False, **options: Any) -> tuple[Finish | None, int]:
    """The end of a run, and how often it paused; `written` writes it down and restores it at each event."""
    settings = RunOptions(**options)
    scheduler = Scheduler(document, settings, event_steps=steps)
    waiting, pauses, finish = list(scheduler.start(0)), 0, None
    while waiting:
        command = waiting.pop(0)
        match command:
            case RunAgent():
                event: Any = AgentCompleted(command.call, {"n": 1})
            case Settle():
                event = Settled(command.call)
            case StartTimer():
                event, pauses = TimerFired(command.call), pauses + 1
            case Finish():
                finish = command
                continue
            case _:
                continue
        if written:
            scheduler, again = restore(snapshot(scheduler), settings, event_steps=steps)
            assert {item.call for item in again} <= {command.call, *(item.call for item in waiting)}
        waiting += scheduler.handle(event, 0)
    return finish, pauses


PAUSING: Mapping[str, Any] = {
    "a loop": IDLE_LOOP | {"loop": {"count": 50}},
    "a loop of calls": graph(n={"value": 0, "update": ":a.n"}, a=work(isResult=True))
    | {"loop": {"count": 9}},
    "a map": graph(m=rows(*range(40)), after=work(inputs={"x": ":m"}, isResult=True)),
    "a map of skipped nodes": graph(
        m=rows(*range(40)) | {"graph": {"nodes": {"no": {"value": False}, "c": SKIPPED}}}
    ),
    "graphs in each other": graph(n=nested(), m=rows(1, 2, 3), z=work(isResult=True)),
    "many nodes": graph(s={"value": 1}, **{f"n{i}": work(inputs={"x": ":s"}) for i in range(60)}),
    "retries": FAILING,
}


@pytest.mark.parametrize("written", [False, True], ids=["played on", "restored at each event"])
@pytest.mark.parametrize("name", PAUSING)
def test_pauses_change_no_result(name: str, written: bool) -> None:
    whole, none = play(PAUSING[name], float("inf"))
    paused, pauses = play(PAUSING[name], 3, written)
    assert (none, paused) == (0, whole)
    assert pauses > 0


def test_a_pause_is_in_the_same_place_whatever_came_before() -> None:
    assert play(PAUSING["a map"], 10) == play(PAUSING["a map"], 10, written=True)


@pytest.mark.parametrize(
    "document",
    [IDLE_LOOP | {"loop": {"while": ":t"}}, RECURSIVE],
    ids=["an idle loop", "a graph that maps itself"],
)
def test_endless_work_ends_with_the_quota(document: Any) -> None:
    with pytest.raises(QuotaExceeded, match="steps=1000000"):
        play(document, 1_000, quotas=Quotas(steps=100_000, depth=1e9))


def test_a_run_without_fuel_never_pauses_and_has_no_quota_of_steps() -> None:
    finish, pauses = play(IDLE_LOOP | {"loop": {"count": 2_000}}, float("inf"), quotas=Quotas(steps=10))
    assert (finish is not None, pauses) == (True, 0)


def test_attempts_that_fail_at_once_are_calls() -> None:
    with pytest.raises(QuotaExceeded, match="calls=1000"):
        play(FAILING, float("inf"), quotas=Quotas(calls=100))


def test_open_graphs_are_bounded() -> None:
    calls = work(inputs={"x": ":row"})
    numbers = list(range(400))
    inner = graph(r={"value": numbers}, m=rows() | {"inputs": {"rows": ":r"}}, c=calls)
    document = graph(m=rows(*range(400)) | {"graph": inner}) | {"concurrency": 10_000}
    scheduler = Scheduler(document, event_steps=MAX_EVENT_STEP_COUNT)
    commands = scheduler.start(0)
    while (pause := scheduler.board.fuel.pause) is not None:
        commands = scheduler.handle(TimerFired(pause), 0)
    assert commands
    assert MAX_OPEN_GRAPH_COUNT <= len(scheduler.board.runs) < MAX_OPEN_GRAPH_COUNT + 400


def test_a_loop_pauses_within_the_steps_of_an_event() -> None:
    scheduler = Scheduler(IDLE_LOOP | {"loop": {"while": ":t"}}, event_steps=MAX_EVENT_STEP_COUNT)
    commands = scheduler.start(0)
    assert [type(command) for command in commands] == [StartTimer]
    assert MAX_EVENT_STEP_COUNT <= scheduler.board.fuel.used < MAX_EVENT_STEP_COUNT + 100 < 30_000


def test_an_activation_has_the_steps_of_two_events() -> None:
    assert Fuel(per_event=10, left=10, earlier=5).activation_end() == 25


def in_rows(count: Any, inner: Any = None, **inputs: Any) -> dict[str, Any]:
    """A map of as many maps of 1,000 rows, or of the rows at a reference, which the inner ones use too."""
    values = list(range(count)) if isinstance(count, int) else count
    rows = ":r" if inputs else list(range(1000))
    row = {"agent": "mapAgent", "inputs": {"rows": rows}, "graph": graph(w=work())}
    return {
        "agent": "mapAgent",
        "inputs": {"rows": values, **inputs},
        "graph": graph(i={**row, **(inner or {})}),
    }


COUNTED = graph(a=work(isResult=True)) | {"loop": {"count": 1e9}}


@pytest.mark.parametrize(
    ("document", "quotas", "match"),
    [
        (COUNTED, Quotas(), "iterations"),
        (COUNTED | {"loop": {"count": 1e6}}, Quotas(steps=1e6), "steps"),
        (graph(m=rows(*range(50_000))), Quotas(steps=1e6), "steps"),
        (graph(n=nested() | {"graph": COUNTED}), Quotas(), "steps"),
        (graph(m=in_rows(1000)), Quotas(), "steps"),
        (graph(r={"value": [0] * 1000}, m=in_rows(":r", r=":r")), Quotas(), "steps"),
        (graph(n=nested() | {"graph": graph(m=in_rows(1000))}), Quotas(), "steps"),
        (graph(m=in_rows(1000)) | {"loop": {"count": 1e5}}, Quotas(steps=1e9), "steps"),
        (graph(m=rows(*range(1000)) | {"graph": COUNTED | {"loop": {"count": 5000}}}), Quotas(), "steps"),
    ],
    ids=[
        "a counted loop",
        "one of many steps",
        "a map",
        "a loop inside",
        "rows in rows",
        "rows of a node in rows",
        "rows in rows in a graph",
        "a loop of rows",
        "loops in rows",
    ],
)
def test_what_cannot_end_within_the_quota_does_not_begin(document: Any, quotas: Quotas, match: str) -> None:
    scheduler = Scheduler(document, RunOptions(quotas=quotas), event_steps=MAX_EVENT_STEP_COUNT)
    with pytest.raises(QuotaExceeded, match=match):
        scheduler.start(0)
    assert scheduler.board.fuel.used < 1_000


@pytest.mark.parametrize(
    "document",
    [
        graph(t={"value": True, "update": ":t"}, a=work()) | {"loop": {"while": ":t"}},
        graph(t={"value": True}, a=work(**{"if": ":t"})) | {"loop": {"count": 1e9}},
        COUNTED | {"loop": {"count": "many"}},
        COUNTED | {"loop": {"count": 1000}},
    ],
    ids=["one with a condition", "one whose nodes may be skipped", "no number", "few passes"],
)
def test_a_loop_that_may_end_before_begins(document: Any) -> None:
    assert Scheduler(document, event_steps=MAX_EVENT_STEP_COUNT).start(0)


@pytest.mark.parametrize(
    "outer",
    [
        in_rows(1000, inner={"if": ":row"}),
        in_rows(1000, inner={"params": {"limit": 1}}),
        in_rows(1000, inner={"inputs": {"rows": ":row"}}),
        in_rows(1000) | {"params": {"supressError": True}},
        in_rows(1000) | {"params": {"quorum": 1}},
    ],
    ids=["a condition", "a limit", "rows that are not known", "failures that are results", "a quorum"],
)
def test_rows_in_rows_that_may_be_fewer_begin(outer: Any) -> None:
    assert Scheduler(graph(m=outer), event_steps=MAX_EVENT_STEP_COUNT).start(0)


def test_rows_in_rows_of_an_earlier_version_begin() -> None:
    document = graph(m=in_rows(1000))
    assert Scheduler(document, event_steps=MAX_EVENT_STEP_COUNT, gates=Gates(foresees_rows=False)).start(0)


def in_counted_rows(**outer: Any) -> dict[str, Any]:
    """A map of 40 rows, each with a map over rows that an agent has returned."""
    inner = graph(n=work(), m=rows("") | {"inputs": {"rows": ":n.list"}} | outer)
    return graph(m=rows(*range(40)) | {"graph": inner})


def opened(document: Any, gates: Gates | None = None, steps: float = 20_000, **inner: Any) -> Scheduler:
    """A run in which the agents of all rows have returned a hundred rows each. Raises QuotaExceeded."""
    options = RunOptions(quotas=Quotas(steps=steps))
    scheduler = Scheduler(document, options, event_steps=MAX_EVENT_STEP_COUNT, gates=gates)
    waiting = [command for command in scheduler.start(0) if isinstance(command, RunAgent)]
    while waiting:
        command = waiting.pop(0)
        if command.node == "n":
            event = AgentCompleted(command.call, {"list": list(range(100))})
            waiting += [each for each in scheduler.handle(event, 0) if isinstance(each, RunAgent)]
    return scheduler


def test_rows_that_open_maps_have_yet_to_begin_count_together() -> None:
    with pytest.raises(QuotaExceeded, match="steps"):
        opened(in_counted_rows())
    assert opened(in_counted_rows(), Gates(foresees_open=False)).board.fuel.bound == 0


@pytest.mark.parametrize(
    "inner",
    [{"params": {"limit": 5}}, {"params": {"supressError": True}}, {"timeout": 1000}, {"deadline": 1000}],
    ids=["a limit", "failures that are results", "a timeout", "a deadline"],
)
def test_rows_that_may_never_begin_do_not_count(inner: dict[str, Any]) -> None:
    assert opened(in_counted_rows(**inner)).board.fuel.bound == 0


def test_what_is_bound_follows_from_the_state_and_is_gone_with_its_maps() -> None:
    scheduler = opened(in_counted_rows(), steps=1e9)
    fuel = scheduler.board.fuel
    assert fuel.bound > 40_000
    again, _ = restore(snapshot(scheduler), RunOptions(), event_steps=MAX_EVENT_STEP_COUNT)
    assert again.board.fuel.bound == fuel.bound
    call = next(call for call, flight in scheduler.board.calls.items() if flight.node == "i")
    commands = scheduler.handle(AgentFailed(call, "no", final=True), 0)
    for command in commands:
        if isinstance(command, Settle):
            commands += scheduler.handle(Settled(command.call), 0)
    assert scheduler.finished
    assert fuel.bound == 0


def test_a_run_of_an_earlier_version_begins_what_it_began_then() -> None:
    assert Scheduler(COUNTED, event_steps=MAX_EVENT_STEP_COUNT, gates=Gates(foresees=False)).start(0)


@pytest.mark.parametrize(
    ("concurrency", "foresees", "limit"),
    [(8, True, 600), (100, True, 800), (10_000, True, 4_000), (8, False, 4_000)],
)
def test_as_many_graphs_are_open_as_a_run_can_use(concurrency: int, foresees: bool, limit: int) -> None:
    document = graph(a=work()) | {"concurrency": concurrency}
    scheduler = Scheduler(document, event_steps=MAX_EVENT_STEP_COUNT, gates=Gates(foresees=foresees))
    assert scheduler.board.open_limit == limit


MANY_PARTS = graph(
    v={"value": [{}] * 10_000},
    **{f"n{index}": work(inputs={"a": ":v", "b": ":v"}) for index in range(60)},
) | {"concurrency": 60}
"""Each call measures its inputs, of 1.4 MB: fourteen calls use up the steps of an event."""


def test_what_takes_long_to_measure_counts_as_steps() -> None:
    scheduler = Scheduler(MANY_PARTS, event_steps=MAX_EVENT_STEP_COUNT)
    begun = [command for command in scheduler.start(0) if isinstance(command, RunAgent)]
    assert len(begun) == 14
    finish, pauses = play(MANY_PARTS, MAX_EVENT_STEP_COUNT)
    assert pauses > 0
    assert finish == play(MANY_PARTS, MAX_EVENT_STEP_COUNT, written=True)[0] == play(MANY_PARTS, inf)[0]


def test_the_quota_does_not_count_what_is_measured() -> None:
    finish, _ = play(MANY_PARTS, MAX_EVENT_STEP_COUNT, written=True, quotas=Quotas(steps=1_000))
    assert finish is not None
    assert finish.failure is None


def test_in_a_run_of_an_earlier_version_sizes_take_no_steps() -> None:
    scheduler = Scheduler(MANY_PARTS, event_steps=MAX_EVENT_STEP_COUNT, gates=Gates(weighs=False))
    assert len([command for command in scheduler.start(0) if isinstance(command, RunAgent)]) == 60
