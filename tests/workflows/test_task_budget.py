"""What one workflow task may send."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.workflows.task_budget import (
    MAX_TASK_BYTES,
    MAX_TASK_CALL_COUNT,
    MAX_TASK_SEGMENT_S,
    WorkflowTaskBudget,
)
from tests.support.host import FakeHost

pytestmark = [pytest.mark.unit, pytest.mark.anyio]


def budget() -> tuple[FakeHost, WorkflowTaskBudget, list[str]]:
    host, woken = FakeHost(), list[str]()
    return host, WorkflowTaskBudget(host, lambda: woken.append("woken")), woken


@pytest.mark.parametrize(
    ("last", "spent"),
    [
        ({"size": 0}, [{"size": 0}] * (MAX_TASK_CALL_COUNT - 1)),
        ({"size": 1, "calls": 0}, [{"size": MAX_TASK_BYTES - 1}]),
        ({"size": 0, "seconds": 0.5}, [{"size": 0, "seconds": MAX_TASK_SEGMENT_S - 0.5}]),
    ],
    ids=["calls", "bytes", "seconds"],
)
async def test_a_workflow_task_sends_so_much_and_the_next_one_begins(
    last: dict[str, Any], spent: list[dict[str, Any]]
) -> None:
    host, share, woken = budget()
    for each in spent:
        share.add(**each)
    assert share.has_room()
    share.add(**last)
    assert (share.has_room(), share.has_room(), share.is_waiting()) == (False, False, True)
    await host.settle()
    assert [(round(due - host.now, 3), summary) for due, summary, _ in host.timers] == [
        (0.001, "end of a workflow task")
    ]
    await host.advance(1)
    assert (woken, share.is_waiting(), share.has_room()) == (["woken"], False, False)
    host.events += 5  # another workflow task has begun
    assert share.has_room()
    share.close()


async def test_what_comes_in_counts_in_the_total_only() -> None:
    _, share, _ = budget()
    share.total = 5
    share.count(10 * MAX_TASK_BYTES)
    share.add(7)
    assert (share.has_room(), share.total) == (True, 10 * MAX_TASK_BYTES + 12)


async def test_a_run_that_is_over_waits_for_no_workflow_task() -> None:
    host, share, _ = budget()
    share.add(MAX_TASK_BYTES)
    assert not share.has_room()
    await host.settle()
    share.close()
    await host.settle()
    assert host.timers == []
