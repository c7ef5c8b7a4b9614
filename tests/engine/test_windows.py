"""Large maps: so many rows are open at a time, and everything else is as it is for small ones."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.engine.large_values import large_values
from perdure.engine.lifecycle.nested import MAX_OPEN_ROW_COUNT, Withheld
from perdure.engine.maps.starts import ranges
from perdure.engine.messages import RunAgent, Settle, Settled
from perdure.engine.snapshot import restore, snapshot
from perdure.graph.deferred import BlobRef
from tests.support.drive import Drive, Fail, graph, rows, work
from tests.support.far import Far, Shelf

ROWS = 1_200


def large(**keys: Any) -> dict[str, Any]:
    return graph(m=rows(*range(ROWS), isResult=True, **keys)) | {"concurrency": 3}


def double(command: RunAgent) -> Any:
    return {"r": command.inputs["row"] * 2}


def most_open(drive: Drive) -> int:
    """Plays to the end; how many rows were open at most."""
    drive.start()
    most = 0
    while drive.finish is None:
        most = max(most, len(drive.scheduler.board.runs) - 1)
        drive.step()
    return most


@pytest.mark.parametrize("keys", [{"batch": 100}, {}])
@pytest.mark.parametrize("inner", [{"batch": 70}, {}])
def test_more_rows_are_open_where_calls_share_activities(keys: dict[str, Any], inner: dict[str, Any]) -> None:
    node = rows(*range(ROWS), **keys)
    node["graph"]["nodes"]["i"] |= inner
    drive = Drive(graph(m=node), double)
    assert most_open(drive) == (1_000 if keys else 700 if inner else MAX_OPEN_ROW_COUNT)


def test_rows_are_opened_as_others_end() -> None:
    drive = Drive(large(), double)
    assert most_open(drive) == MAX_OPEN_ROW_COUNT
    assert drive.finish is not None
    assert drive.finish.results["m"] == [{"i": {"r": row * 2}} for row in range(ROWS)]
    assert drive.paths == [f"m[{row}].i" for row in range(ROWS)]
    assert len(drive.scheduler.board.runs) == 1


def test_the_first_failure_stops_the_map() -> None:
    def answer(command: RunAgent) -> Any:
        if command.inputs["row"] == 700:
            raise Fail("row 700")
        return {}

    drive = Drive(large(), answer)
    assert drive.run().errors == {"m": "row 700"}
    assert len(drive.paths) < 710
    assert (len(drive.scheduler.board.runs), drive.scheduler.board.calls) == (1, {})


@pytest.mark.parametrize("params", [{}, {"compositeResult": True}, {"compositeResultKey": "i"}])
def test_a_large_map_goes_on_elsewhere(params: dict[str, Any]) -> None:
    near, far = Far(large(params=params), double), Far(large(params=params), double, Shelf())
    near.run()
    far.start()
    for step in range(ROWS):
        far.step()
        if step % 300 == 250:
            far.puts = 1
            far.move()
        else:
            far.puts = 0
    while far.finish is None:
        far.step()
    assert far.outcome == near.outcome


def test_withheld_results_are_asked_of_the_run() -> None:
    drive = Drive(large(), double).start()
    for _ in range(ROWS - 1):
        drive.step()
    data = snapshot(drive.scheduler, light=True)
    (node,) = (run["nodes"]["m"]["nested"] for run in data["runs"] if run["id"] == 1)
    assert (node["withheld"], node["rows"], node["results"], node["kept"]) == (True, [], [], [])
    drive.scheduler, _ = restore(data)
    assert snapshot(drive.scheduler, light=True) == data
    with pytest.raises(Withheld):
        drive.step()


def test_few_results_are_in_a_light_snapshot() -> None:
    drive = Drive(graph(m=rows(*range(3))), double).start().step()
    light, whole = snapshot(drive.scheduler, light=True), snapshot(drive.scheduler)
    (node,) = (run["nodes"]["m"]["nested"] for run in light["runs"] if run["id"] == 1)
    node["starts"] = light.pop("rows")[node["starts"]]
    assert light == whole


@pytest.mark.parametrize(
    ("given", "expected"),
    [([], []), ([3], [[3, 3]]), ([5, 1, 2, 3, 7, 6], [[1, 3], [5, 7]]), ([2, 0], [[0, 0], [2, 2]])],
)
def test_ranges(given: list[int], expected: list[list[int]]) -> None:
    assert ranges(given) == expected


def test_rows_are_made_when_they_are_asked_for() -> None:
    drive = Drive(large()).start()
    nested = drive.scheduler.root.nodes["m"].nested
    assert nested is not None
    assert len(nested.starts) == ROWS
    with pytest.raises(IndexError):
        nested.starts[ROWS]


def test_the_rows_of_a_map_are_put_elsewhere_in_portions() -> None:
    drive = Drive(large(), double).start()
    for _ in range(300):
        drive.step()
    nested = drive.scheduler.root.nodes["m"].nested
    assert nested is not None
    portions: list[int] = []
    for number, each in enumerate(large_values(drive.scheduler, 40_000)):
        if isinstance(each.value, list) and len(each.value) < ROWS:
            portions.append(len(each.value))
            each.put(BlobRef(str(number), 40_000, "list"))
    assert sum(portions) == 299
    assert len(set(portions[:-1])) == 1
    assert 50 < portions[0] < 100
    assert [*nested.results] == [0]


def test_what_a_run_holds_can_be_put_elsewhere_at_once() -> None:
    shelf = Shelf()
    run = Far(large(), double, shelf).start()
    for _ in range(300):
        run.step()
    holders = list(large_values(run.scheduler))
    for each in holders:
        each.put(shelf.put(each.value))
    left: list[Any] = [each.value for each in large_values(run.scheduler)]
    assert not [value for value in left if isinstance(value, list) and value]
    while run.finish is None:
        run.step()
    near = Far(large(), double)
    near.run()
    assert run.outcome == near.outcome


def test_settled_twice_is_settled_once() -> None:
    drive = Drive(graph(m=rows(1)), double).start().step()
    settle = next(command for command in drive.waiting if isinstance(command, Settle))
    assert drive.give(Settled(settle.call)).finish is not None
    assert drive.scheduler.handle(Settled(settle.call), 0) == []


def test_values_of_a_graph_that_never_began_are_held_too() -> None:
    """Its node is not over before a turn of its own; until then the graph stays, and may be carried on."""
    inner = graph(s={"value": [{"large": 1}]}, n=work(inputs={"s": ":s"})) | {"loop": {"while": True}}
    document = graph(o={"agent": "nestedAgent", "graph": inner}, k=work(isResult=True))
    near = Far(document, lambda command: {"k": 1})
    near.run()
    assert "could never end" in near.outcome[2]["o"]
    shelf = Shelf()
    far = Far(document, lambda command: {"k": 1}, moved=1, puts=1)
    far.shelf = shelf
    far.start()
    assert [{"large": 1}] in [each.value for each in large_values(far.scheduler)]
    while far.finish is None:
        far.step()
    assert far.outcome == near.outcome
    assert [{"large": 1}] in shelf.values.values()
