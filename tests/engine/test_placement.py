"""Task queues that come from data."""

from typing import Any

import pytest

from perdure.engine.messages import Fetch
from perdure.engine.snapshot import restore, snapshot
from tests.support.drive import Drive, graph, rows, work
from tests.support.far import Far, Shelf

PLACES = [{"id": 1, "queue": "north"}, {"id": 2, "queue": "south"}]


def queues(drive: Drive) -> list[tuple[str, str | None]]:
    return [(command.path, command.options.queue) for command in drive.waiting]


def placed(queue: str) -> dict[str, Any]:
    return graph(fit=rows(*PLACES, graph=graph(i=work(queue=queue, inputs={"n": ":row.id"}))))


@pytest.mark.parametrize(("queue", "prefix"), [(":row.queue", ""), ("@${:row.queue}", "@")])
def test_rows_go_where_they_say(queue: str, prefix: str) -> None:
    drive = Drive(placed(queue))
    drive.start()
    expected = [("fit[0].i", f"{prefix}north"), ("fit[1].i", f"{prefix}south")]
    assert queues(drive) == expected
    _, commands = restore(snapshot(drive.scheduler))
    assert [(each.path, each.options.queue) for each in commands] == expected  # type: ignore[union-attr] -- all are calls


def test_a_queue_waits_for_its_node_and_for_its_value() -> None:
    document = graph(where=work(), a=work(queue=":where.queue", isResult=True))
    drive = Far(document, lambda command: {"queue": "north"}, Shelf(chance=0.9))
    drive.start()
    assert [command.path for command in drive.waiting] == ["where"]
    drive.step()
    while isinstance(drive.waiting[0], Fetch):
        drive.step()
    assert queues(drive) == [("a", "north")]


@pytest.mark.parametrize("queue", ["", 5, ["north"], ["x" * 200]])
def test_what_is_no_queue_fails_the_node(queue: Any) -> None:
    drive = Drive(graph(where={"value": {"queue": queue}}, a=work(queue=":where.queue")))
    failure = drive.run().failure or ""
    assert "is not the name of a task queue" in failure
    assert len(failure) < 250
