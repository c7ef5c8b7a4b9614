"""The last changes of a run, by their numbers."""

from __future__ import annotations

from perdure.protocol.trail import Trail


def test_it_keeps_the_last_changes() -> None:
    trail = Trail()
    assert trail.last is None
    for number in range(20_003):
        trail.sent(f"p{number}", "")
    assert (trail.count, trail.last) == (20_003, ["sent", "p20002", ""])
    assert trail.since(3) is None
    answer = trail.since(4)
    assert answer is not None
    assert (answer[0], answer[-1], len(answer)) == (["sent", "p3", ""], ["sent", "p5003", ""], 5_001)
    assert trail.since(20_003) == [["sent", "p20002", ""]]
    assert trail.since(20_004) is None
