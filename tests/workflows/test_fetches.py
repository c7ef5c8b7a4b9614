"""Values that a run asks the store for: one local activity at a time, and each request answered."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.engine.messages import AgentFailed, Event, Fetch, Fetched
from perdure.errors import AgentError
from perdure.graph.deferred import BlobRef
from perdure.protocol.names import FETCH
from perdure.workflows.run_values import MAX_FETCH_COUNT, Values
from tests.support.host import FakeHost

pytestmark = [pytest.mark.unit, pytest.mark.anyio]


def asking(count: int) -> tuple[FakeHost, Values, list[Event]]:
    """A run that asks for `count` values at once."""
    host, arrived = FakeHost(), list[Event]()
    values = Values(host, arrived.append)
    for call in range(count):
        values.fetch(
            Fetch(call=call, distant=BlobRef(f"{call:064x}", 5, "string"), whole=True, then="attempt")
        )
    return host, values, arrived


def sizes(host: FakeHost) -> list[int]:
    return [len(started.argument) for started in host.started]


async def answer(host: FakeHost, result: Any) -> None:
    host.answer(FETCH, result)
    await host.settle()


async def test_what_waits_is_fetched_together() -> None:
    host, values, arrived = asking(4)
    assert (sizes(host), values.is_idle()) == ([1], False)
    await answer(host, ["a"])
    assert sizes(host) == [1, 3]
    await answer(host, ["b", "c", "d"])
    assert arrived == [Fetched(call, value) for call, value in enumerate("abcd")]
    assert values.is_idle()


async def test_how_many_are_fetched_together() -> None:
    host, _, _ = asking(2 + MAX_FETCH_COUNT)
    await answer(host, ["a"])
    await answer(host, ["b"] * MAX_FETCH_COUNT)
    assert sizes(host) == [1, 100, 1]


async def test_a_failure_is_that_of_its_own_request() -> None:
    host, values, arrived = asking(3)
    await answer(host, ["a"])
    host.fail(FETCH, AgentError("lost"))
    await host.settle()
    assert sizes(host) == [1, 2, 1]
    host.fail(FETCH, AgentError("lost"))
    await host.settle()
    await answer(host, ["c"])
    assert [type(event) for event in arrived] == [Fetched, AgentFailed, Fetched]
    assert values.is_idle()


async def test_an_abandoned_request_is_not_answered() -> None:
    host, values, arrived = asking(4)
    values.drop(3)
    await answer(host, ["a"])
    values.drop(1)
    await answer(host, ["b", "c"])
    assert arrived == [Fetched(0, "a"), Fetched(2, "c")]
    values.fetch(Fetch(call=9, distant=BlobRef("9" * 64, 5, "string"), whole=True, then="attempt"))
    values.drop(9)
    await host.settle()
    assert (host.started[-1].task.cancelled(), values.is_idle()) == (True, True)


@pytest.mark.parametrize("result", ["no list", ["one too few"]])
async def test_an_answer_to_something_else(result: Any) -> None:
    host, _, arrived = asking(3)
    await answer(host, ["a"])
    await answer(host, result)
    assert [type(event) for event in arrived] == [Fetched, AgentFailed, AgentFailed]
