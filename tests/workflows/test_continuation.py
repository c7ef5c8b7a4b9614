"""When a run continues as new."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.workflows.continuation import (
    DRAIN_TIMEOUT_S,
    HISTORY_STRETCH_FACTOR,
    MAX_HISTORY_BYTES,
    MAX_HISTORY_EVENT_COUNT,
    RETRY_STEP_EVENT_COUNT,
    Continuation,
    HistoryFull,
)
from tests.support.host import FakeHost

pytestmark = [pytest.mark.unit, pytest.mark.anyio]
EVENTS = 4_000


def continuation(**history: Any) -> tuple[FakeHost, Continuation, list[str]]:
    host, woken = FakeHost(**history), list[str]()
    return host, Continuation(host, EVENTS, lambda: woken.append("woken")), woken


@pytest.mark.parametrize(
    ("history", "is_due"),
    [
        ({"events": EVENTS - 1}, False),
        ({"events": EVENTS}, True),
        ({"events": 10, "suggests": True}, True),
        ({"events": MAX_HISTORY_EVENT_COUNT, "bytes": MAX_HISTORY_BYTES}, True),
    ],
)
async def test_it_is_due_when_the_history_is_long_or_the_server_says_so(
    history: dict[str, Any], is_due: bool
) -> None:
    _, parts, _ = continuation(**history)
    assert not parts.is_holding
    assert parts.is_due() is is_due
    assert parts.is_holding is is_due


@pytest.mark.parametrize(
    "history", [{"events": MAX_HISTORY_EVENT_COUNT + 1}, {"bytes": MAX_HISTORY_BYTES + 1}]
)
async def test_a_run_whose_history_is_full_fails(history: dict[str, Any]) -> None:
    _, parts, _ = continuation(**history)
    with pytest.raises(HistoryFull, match="PERDURE_STORE"):
        parts.is_due()


async def test_calls_that_take_longer_than_the_drain_let_it_go_on_and_try_later() -> None:
    host, parts, woken = continuation(events=EVENTS)
    assert parts.is_due()
    parts.wait()
    parts.wait()
    await host.advance(DRAIN_TIMEOUT_S - 1)
    assert (len(host.timers), woken, parts.is_due()) == (1, [], True)
    host.events += 20
    await host.advance(1)
    assert (woken, parts.is_due()) == (["woken"], False)
    host.events += RETRY_STEP_EVENT_COUNT - 1
    assert not parts.is_due()
    host.events += 1
    assert parts.is_due()


async def test_a_long_history_waits_for_its_calls_however_long_they_take() -> None:
    host, parts, _ = continuation(events=EVENTS * HISTORY_STRETCH_FACTOR)
    assert parts.is_due()
    parts.wait()
    await host.advance(10 * DRAIN_TIMEOUT_S)
    assert (host.timers, parts.is_due()) == ([], True)


async def test_a_run_that_cannot_be_carried_on_tries_later() -> None:
    host, parts, woken = continuation(events=EVENTS)
    parts.give_up()
    assert (woken, parts.is_due()) == (["woken"], False)
    host.events += RETRY_STEP_EVENT_COUNT
    assert parts.is_due()


async def test_a_run_that_is_over_waits_for_nothing() -> None:
    host, parts, _ = continuation(events=EVENTS)
    parts.wait()
    await host.settle()
    parts.close()
    await host.settle()
    assert host.timers == []
