"""What a run holds at a time is counted, the same however its state came about, and bounded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from perdure.engine.board import Board
from perdure.engine.fuel import MAX_EVENT_STEP_COUNT
from perdure.engine.live_bytes import GRAPH_OVERHEAD_BYTES, NODE_OVERHEAD_BYTES, ROW_OVERHEAD_BYTES
from perdure.engine.messages import Abort, AgentCompleted, Finish, Quotas, RunAgent, RunOptions
from perdure.engine.scheduler import Scheduler
from perdure.engine.snapshot import restore, snapshot
from perdure.errors import QuotaExceeded
from perdure.graph.deferred import BlobRef, stored
from perdure.graph.sizes import size_of
from tests.support.drive import Drive, failing, graph, nested, rows, work

TEXT = {"t": "x" * 1000}
FAR = stored("0" * 64, 1_000_000, {})


class Counted(Drive):
    """A drive that counts, and says after each event what the run holds. Ended calls give `TEXT`."""

    def __init__(self, document: Any, answers: Any = None, **options: Any) -> None:
        super().__init__(document, answers or (lambda command: TEXT), **options)
        self.scheduler = Scheduler(
            document, self.options, observe=self.observe, event_steps=MAX_EVENT_STEP_COUNT
        )
        self.held: list[int] = []

    def _take(self, commands: Any) -> Any:
        super()._take(commands)
        self.held.append(self.scheduler.board.live)
        return self


LOOP = graph(s={"value": "", "update": ":a.t"}, a=work(inputs={"s": ":s"}, isResult=True)) | {
    "loop": {"count": 3}
}

DOCUMENTS: Mapping[str, Any] = {
    "nodes in a row": graph(a=work(), b=work(inputs={"x": ":a"}), c=work(inputs={"x": ":b"})),
    "output and passThrough": graph(
        s={"value": "y" * 500},
        a=work(output={"o": ".t"}, passThrough={"s": ":s"}),
        b=work(inputs={"x": ":a"}),
    ),
    "a loop": LOOP,
    "a nested graph": graph(n=nested(), b=work(inputs={"x": ":n"})),
    "a map": graph(m=rows(1, 2, 3), b=work(inputs={"x": ":m"})),
    "a map of maps": graph(m=rows(1, 2) | {"graph": graph(m=rows(1, 2))}, b=work(inputs={"x": ":m"})),
    "a map of loops": graph(m=rows(1, 2) | {"graph": LOOP}, b=work(inputs={"x": ":m"})),
    "a map that fails": graph(m=rows(1, 2, 3, retry=1), b=work()),
}


def recounted(board: Board) -> tuple[int, dict[int, int]]:
    live = board.live, {run.id: run.live for run in board.runs.values()}
    board.recount()
    return live


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_is_counted_is_what_is_there(name: str) -> None:
    answers = failing("i", times=2) if "fails" in name else None
    drive = Counted(DOCUMENTS[name], answers).start()
    while drive.finish is None:
        board = drive.scheduler.board
        assert recounted(board) == recounted(board)
        copy, _ = restore(snapshot(drive.scheduler), event_steps=MAX_EVENT_STEP_COUNT)
        assert recounted(copy.board) == recounted(board)
        drive.step()


def test_in_bytes() -> None:
    begun = GRAPH_OVERHEAD_BYTES + 2 * NODE_OVERHEAD_BYTES
    result, member = size_of(TEXT), size_of({"i": TEXT})
    assert Counted(graph(a=work(), b=work(inputs={"x": ":a"}))).run() is not None
    drive = Counted(graph(a=work(), b=work(inputs={"x": ":a"})))
    drive.run()
    assert drive.held == [begun, begun + result, begun + 2 * result]
    drive = Counted(graph(m=rows(1, 2), z=work(inputs={"m": ":m"}, isResult=True)) | {"concurrency": 1})
    drive.run()
    row = GRAPH_OVERHEAD_BYTES + 3 * NODE_OVERHEAD_BYTES + 2 * len("m[0].")  # of i, row and the row's number
    whole = size_of([{"i": TEXT}, {"i": TEXT}])
    assert drive.held == [
        begun + 2 * row,
        begun + row + ROW_OVERHEAD_BYTES + member,
        begun + 2 * (ROW_OVERHEAD_BYTES + member),
        begun + whole,
        begun + whole + result,
    ]
    assert (GRAPH_OVERHEAD_BYTES, NODE_OVERHEAD_BYTES, ROW_OVERHEAD_BYTES) == (1_000, 250, 300)


def test_a_loop_holds_what_it_carries_over() -> None:
    drive = Counted(LOOP)
    drive.run()
    begun, result = GRAPH_OVERHEAD_BYTES + 2 * NODE_OVERHEAD_BYTES, size_of(TEXT)
    carried = size_of("x" * 1000)
    assert drive.held == [begun, begun + carried, begun + carried, begun + carried + result]


def test_what_is_in_the_store_takes_nothing() -> None:
    drive = Counted(graph(a=work(), b=work(inputs={"x": ":a"})), lambda command: FAR)
    drive.run()
    assert isinstance(FAR, BlobRef)
    assert drive.held[-1] < drive.held[0] + 100


EXCEEDED: Mapping[str, Any] = {
    "results": graph(**{f"a{i}": work() for i in range(20)}),
    "rows": graph(m=rows(*range(20))) | {"concurrency": 1},
    "rows of rows": graph(m=rows(1, 2, 3) | {"graph": graph(m=rows(1, 2, 3, 4))}),
    "open graphs": graph(m=rows(*range(40))),
}


@pytest.mark.parametrize("name", EXCEEDED)
def test_what_is_too_much_ends_the_run(name: str) -> None:
    with pytest.raises(
        QuotaExceeded, match=r"quota of 15,000 bytes of results and open graphs .*\n.*live=150000"
    ):
        Counted(EXCEEDED[name], quotas=Quotas(live=15_000)).run()
    assert Counted(EXCEEDED[name]).run().failure is None


def test_what_is_released_is_no_longer_held() -> None:
    loop = graph(m=rows(1, 2, 3), z=work(inputs={"m": ":m"}, isResult=True)) | {"loop": {"count": 50}}
    assert Counted(loop, quotas=Quotas(live=15_000)).run().failure is None


def test_a_run_that_holds_too_much_can_be_aborted() -> None:
    drive = Counted(graph(n=nested(), m=rows(*range(20))), quotas=Quotas(live=15_000))
    with pytest.raises(QuotaExceeded):
        drive.run()
    finish = drive.scheduler.handle(Abort(), 0)[-1]
    assert isinstance(finish, Finish)
    assert finish.aborted


def test_old_runs_hold_what_they_like() -> None:
    assert Drive(EXCEEDED["rows"], quotas=Quotas(live=1)).run().failure is None


def test_values_of_old_runs_have_no_bound() -> None:
    """A history in which a call had 80 MB of inputs in the store must replay."""
    document = graph(
        a=work(passThrough={"p": "x"}),
        b=work(inputs={"x": ":a", "y": ":a"}, passThrough={"z": ":a"}, output={"o": ".", "p": ".z"}),
    )
    large = stored("0" * 64, 40_000_000, {})
    for steps, failure in ((float("inf"), None), (MAX_EVENT_STEP_COUNT, "at most 64 MB")):
        scheduler = Scheduler(document, RunOptions(), event_steps=steps)
        (call,) = scheduler.start(0)
        commands = scheduler.handle(AgentCompleted(call.call, large), 0)
        if failure is None:
            assert isinstance(commands[0], RunAgent)
        else:
            assert failure in (commands[0].failure or "")
