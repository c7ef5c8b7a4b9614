"""What has arrived as an event is let in by workflow tasks, in order, whenever it arrived."""

from __future__ import annotations

import pytest

from perdure.workflows.arrivals import Arrivals, HistorySize

pytestmark = pytest.mark.unit


def size(events: int) -> HistorySize:
    return HistorySize(events, events * 100, suggests_continuing=False)


@pytest.mark.parametrize(
    "steps",
    [
        ["a@10", "b@10", "c@14", "admit", "admit", "admit"],
        ["a@10", "b@10", "admit", "c@14", "admit", "admit"],
    ],
    ids=["all there before", "one after the other"],
)
def test_events_of_one_workflow_task_are_let_in_together(steps: list[str]) -> None:
    notices, done = list[str](), list[list[str]]()
    arrivals = Arrivals(lambda: notices.append("notified"))
    seen: list[int | None] = []
    for step in steps:
        name, mark, task = step.partition("@")
        if mark:
            arrivals.add(size(int(task)), lambda name=name: done[-1].append(name))
            continue
        done.append([])
        history = arrivals.admit()
        seen.append(None if history is None else history.events)
    assert done == [["a", "b"], ["c"], []]
    assert seen == [10, 14, None]
    assert len(notices) == 5  # three that came, two groups let in
    assert arrivals.is_empty()


def test_what_follows_from_one_may_bring_another() -> None:
    arrivals, done = Arrivals(lambda: None), list[str]()
    arrivals.add(size(10), lambda: arrivals.add(size(12), lambda: done.append("second")))
    assert arrivals.admit() == size(10)
    assert done == []
    assert arrivals.admit() == size(12)
    assert done == ["second"]
