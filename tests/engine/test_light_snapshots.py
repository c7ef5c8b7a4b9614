"""What a segment begins with stays small, however much the maps of its run have collected."""

from __future__ import annotations

from typing import Any

from perdure.engine.fuel import MAX_EVENT_STEP_COUNT
from perdure.engine.maps.opened_graphs import Nested
from perdure.engine.scheduler import Scheduler
from perdure.engine.snapshot import snapshot
from perdure.engine.snapshot_nested import MAX_SNAPSHOT_ROW_BYTES, SnapshotRoom
from perdure.protocol.encoding import encoded_size
from tests.support.drive import Drive, graph, rows

TEXT = {"t": "x" * 8_000}


class Bounded(Drive):
    """A drive whose scheduler counts what it holds."""

    def __init__(self, document: Any, **options: Any) -> None:
        super().__init__(document, lambda command: TEXT, **options)
        self.scheduler = Scheduler(
            document, self.options, observe=self.observe, event_steps=MAX_EVENT_STEP_COUNT
        )


def collected(room: int, count: int) -> Nested:
    return Nested(call=1, agent="mapAgent", params={}, results=dict.fromkeys(range(count), 1), live=room)


def test_all_maps_share_the_room() -> None:
    room = SnapshotRoom()
    half = MAX_SNAPSHOT_ROW_BYTES // 2
    assert [room.takes(collected(half + 1, 3)), room.takes(collected(half, 3))] == [True, False]
    assert room.takes(collected(half - 1, 500))
    assert not room.takes(collected(1, 1))
    assert SnapshotRoom().takes(collected(MAX_SNAPSHOT_ROW_BYTES, 500))
    assert not SnapshotRoom().takes(collected(0, 501))


def test_a_map_of_maps_is_not_copied_for_each_segment() -> None:
    inner = rows(*range(40), isResult=True)
    drive = Bounded(graph(m=rows(*range(40)) | {"graph": graph(m=inner)}))
    drive.start()
    largest = held = 0
    while len(drive.paths) < 1_600:
        drive.step()
        if len(drive.paths) % 100 == 99:
            largest = max(largest, encoded_size(snapshot(drive.scheduler, light=True)))
            held = max(held, drive.scheduler.board.live)
    assert held > 2 * MAX_SNAPSHOT_ROW_BYTES
    assert largest < 1.5 * MAX_SNAPSHOT_ROW_BYTES
