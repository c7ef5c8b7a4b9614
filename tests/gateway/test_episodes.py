"""A few of the episodes that `python -m tests.gateway.episodes` plays."""

from __future__ import annotations

import random

import pytest

from tests.gateway.episodes import batches, due_alerts, in_memory, readings

pytestmark = [pytest.mark.unit, pytest.mark.anyio]


@pytest.mark.parametrize("seed", [1, 2])
async def test_each_episode_of_five_minutes_raises_one_alert(seed: int) -> None:
    source = random.Random(seed)
    rows = readings(8, source)
    due = due_alerts(rows)
    assert [alert["at"] for alert in await in_memory(rows, source)] == due != []


def test_readings_come_in_another_order_and_again() -> None:
    source = random.Random(1)
    rows = readings(4, source)
    times = [event.at for batch in batches(rows, source) for event in batch]
    assert sorted(set(times[:-1])) == [row.at for row in rows]
    assert times != sorted(times)
    assert len(times) > len(rows) + 1
