"""Quotas of a run, and deadlines of nodes."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.engine.messages import CancelCall, Quotas, RunAgent, StartTimer, TimerFired
from perdure.engine.snapshot import restore, snapshot
from perdure.errors import QuotaExceeded, UsageError
from tests.support.drive import Drive, failing, graph, nested, rows, work


def deep(depth: int) -> dict[str, Any]:
    outer = graph(i=work())
    for _ in range(depth - 1):
        outer = graph(o={"agent": "nestedAgent", "graph": outer})
    return outer


EXCEEDED: dict[str, tuple[dict[str, Any], Quotas, str]] = {
    "calls": (graph(a=work(), b=work(), c=work()), Quotas(calls=2), "calls"),
    "retries are calls": (graph(a=work(retry=9)), Quotas(calls=3), "calls"),
    "calls inside": (graph(m=rows(1, 2, 3)), Quotas(calls=3), "calls"),
    "iterations": (graph(a=work()) | {"loop": {"count": 9}}, Quotas(iterations=3), "iterations"),
    "depth": (deep(4), Quotas(depth=3), "depth"),
}


@pytest.mark.parametrize("name", EXCEEDED)
def test_a_quota_ends_the_run(name: str) -> None:
    document, quotas, what = EXCEEDED[name]
    with pytest.raises(QuotaExceeded, match=what):
        Drive(document, failing("a") if "retries" in name else None, quotas=quotas).run()


MESSAGES = [
    (("calls", 1, "calls of agents"), "quota of 1 call of an agent", "calls=10"),
    (("iterations", 1.0, "iterations of loops"), "quota of 1 iteration of a loop", "iterations=10"),
    (("depth", 1, "graphs inside each other"), "quota of 1 graph, with none inside it", "depth=10"),
    (("seconds", 1.0, "seconds"), "quota of 1 second", "seconds=10"),
    (("seconds", 0.04, "seconds"), "quota of 0.04 seconds", "seconds=0.4"),
    (("bytes", 1, "bytes of values"), "quota of 1 byte of values", "bytes=10"),
    (
        ("bytes", 100e9, "bytes of values"),
        "quota of 100,000,000,000 bytes of values",
        "bytes=1000000000000",
    ),
]


@pytest.mark.parametrize(("quota", "text", "hint"), MESSAGES)
def test_a_quota_in_words(quota: tuple[str, float, str], text: str, hint: str) -> None:
    error = QuotaExceeded(*quota)
    assert error.finding == f"the run has used up its {text}"
    assert error.hint == f"start it with a larger one where that is meant: --quota {hint}"


def test_what_is_allowed_is_allowed() -> None:
    for document, quotas in (
        (graph(a=work(), b=work()), Quotas(calls=2)),
        (graph(a=work()) | {"loop": {"count": 4}}, Quotas(iterations=3)),
        (deep(3), Quotas(depth=3)),
    ):
        assert Drive(document, quotas=quotas).run().failure is None


def test_what_is_used_is_in_a_snapshot() -> None:
    options = {"quotas": Quotas(calls=3)}
    drive = Drive(graph(a=work()) | {"loop": {"count": 9}}, **options).start().step()
    board = restore(snapshot(drive.scheduler))[0].board
    assert (board.used_calls, board.used_iterations) == (2, 1)


def test_quotas_are_checked() -> None:
    assert Quotas.of({"calls": 1, "bytes": 5, "seconds": 0.5}) == Quotas(calls=1, bytes=5, seconds=0.5)
    with pytest.raises(UsageError, match="no quota 'call'\n  hint: there are calls, iterations"):
        Quotas.of({"call": 1})
    with pytest.raises(UsageError, match="quota depth: 0 is not above 0"):
        Quotas.of({"depth": 0})


def timers(drive: Drive) -> list[StartTimer]:
    return [command for command in drive.waiting if isinstance(command, StartTimer)]


def test_a_deadline_is_for_all_attempts() -> None:
    drive = Drive(graph(a=work(deadline=100, retry=5), b=work()), failing("a")).start()
    (timer,) = timers(drive)
    assert timer.milliseconds == 100
    drive.step().step()
    assert timers(drive) == [timer]
    drive.give(TimerFired(timer.call))
    while drive.finish is None:
        drive.step()
    assert drive.finish.errors == {
        "a": "Timeout: the deadline of 100 ms has passed; the last failure: a failed 1"
    }
    assert str(drive.scheduler.root.nodes["a"].state) == "timed-out"


def test_a_deadline_ends_with_its_node() -> None:
    drive = Drive(graph(a=work(deadline=100), b=work(inputs={"a": ":a"}))).start()
    (timer,) = timers(drive)
    drive.step()
    assert CancelCall(timer.call) in drive.commands
    assert drive.give(TimerFired(timer.call)).finish is None


def test_a_deadline_stops_the_graphs_inside() -> None:
    drive = Drive(graph(n=nested(deadline=100, timeout=60, retry=3), b=work())).start()
    inner = next(
        command for command in drive.waiting if isinstance(command, RunAgent) and command.node == "i"
    )
    timer = next(timer for timer in timers(drive) if timer.milliseconds == 100)
    drive.give(TimerFired(timer.call))
    assert CancelCall(inner.call) in drive.commands
    assert timers(drive) == []
    assert "deadline" in drive.step().finish.errors["n"]


def test_a_deadline_goes_on_elsewhere() -> None:
    drive = Drive(graph(a=work(deadline=100, retry=5), b=work()), failing("a")).start().step()
    drive.scheduler.board.clock.now_ms = 30
    scheduler, commands = restore(snapshot(drive.scheduler))
    (timer,) = (command for command in commands if isinstance(command, StartTimer))
    assert timer.milliseconds == 70
    assert scheduler.root.nodes["a"].deadline == timer.call


def test_an_abort_stops_a_deadline_of_a_graph_inside() -> None:
    drive = Drive(graph(o=nested(timeout=5, graph=graph(a=work(deadline=100))), b=work())).start()
    outer = next(timer for timer in timers(drive) if timer.milliseconds == 5)
    drive.give(TimerFired(outer.call))
    assert timers(drive) == []
