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
    values = Values(host, arrived.append, arrived.extend)
    for call in range(count):
        values.fetch(
            Fetch(call=call, deferred=BlobRef(f"{call:064x}", 5, "string"), whole=True, then="attempt")
        )
    return host, values, arrived


def sizes(host: FakeHost) -> list[int]:
    return [len(started.argument) for started in host.started]


async def answer(host: FakeHost, result: Any) -> None:
    host.answer(FETCH, result)
    await host.settle()


async def test_what_waits_is_fetched_together() -> None:
    host, values, arrived = asking(4)
    assert (sizes(host), values.is_open, values.is_idle()) == ([], False, False)
    values.begin()
    values.begin()
    assert (sizes(host), values.is_open) == ([4], True)
    await answer(host, ["a", "b", "c", "d"])
    assert arrived == [Fetched(call, value) for call, value in enumerate("abcd")]
    assert values.is_idle()


async def test_one_is_on_its_way_at_a_time() -> None:
    host, values, arrived = asking(1)
    values.begin()
    values.fetch(Fetch(call=5, deferred=BlobRef("5" * 64, 5, "string"), whole=True, then="attempt"))
    values.begin()
    assert sizes(host) == [1]
    await answer(host, ["a"])
    assert (arrived, values.is_open, values.is_idle()) == ([Fetched(0, "a")], False, False)
    values.begin()
    assert sizes(host) == [1, 1]


async def test_how_many_are_fetched_together() -> None:
    host, values, _ = asking(1 + MAX_FETCH_COUNT)
    values.begin()
    await answer(host, ["b"] * MAX_FETCH_COUNT)
    values.begin()
    assert sizes(host) == [100, 1]


async def test_a_failure_is_that_of_its_own_request() -> None:
    host, values, arrived = asking(2)
    values.begin()
    host.fail(FETCH, AgentError("lost"))
    await host.settle()
    values.begin()
    assert sizes(host) == [2, 1]
    host.fail(FETCH, AgentError("lost"))
    await host.settle()
    values.begin()
    await answer(host, ["c"])
    assert [type(event) for event in arrived] == [AgentFailed, Fetched]
    assert values.is_idle()


async def test_an_abandoned_request_is_not_answered() -> None:
    host, values, arrived = asking(4)
    values.drop(3)
    values.begin()
    values.drop(1)
    await answer(host, ["a", "b", "c"])
    assert arrived == [Fetched(0, "a"), Fetched(2, "c")]
    values.fetch(Fetch(call=9, deferred=BlobRef("9" * 64, 5, "string"), whole=True, then="attempt"))
    values.begin()
    values.drop(9)
    await host.settle()
    assert (host.started[-1].task.cancelled(), values.is_idle()) == (True, True)


@pytest.mark.parametrize("result", ["no list", ["one too few"]])
async def test_an_answer_to_something_else(result: Any) -> None:
    host, values, arrived = asking(2)
    values.begin()
    await answer(host, result)
    assert [type(event) for event in arrived] == [AgentFailed, AgentFailed]
