"""The quotas that the shell counts: bytes and seconds."""

from __future__ import annotations

import pytest

from perdure.engine.messages import Quotas
from perdure.errors import QuotaExceeded
from perdure.workflows.run_limits import RunLimits
from tests.support.host import FakeHost

pytestmark = [pytest.mark.unit, pytest.mark.anyio]


def limits(host: FakeHost, woken: list[str], began_s: float, **quotas: float) -> RunLimits:
    return RunLimits(host, Quotas(**quotas), int(began_s * 1000), lambda: woken.append("woken"))


async def test_bytes() -> None:
    parts = limits(FakeHost(), [], 1_000, bytes=100)
    parts.check(100)
    with pytest.raises(QuotaExceeded, match="100 bytes of values"):
        parts.check(101)


async def test_seconds_count_from_the_first_run_of_the_chain() -> None:
    host, woken = FakeHost(now=1_040.0), list[str]()
    parts = limits(host, woken, 1_000, seconds=60)
    await host.advance(19)
    parts.check(0)
    assert woken == []
    await host.advance(1)
    assert woken == ["woken"]
    with pytest.raises(QuotaExceeded, match="60 seconds"):
        parts.check(0)


async def test_a_chain_that_is_late_already_stops_at_once() -> None:
    host, woken = FakeHost(now=2_000.0), list[str]()
    limits(host, woken, 1_000, seconds=60)
    await host.advance(0)
    assert woken == ["woken"]


async def test_without_a_quota_of_seconds_there_is_no_timer() -> None:
    host = FakeHost()
    limits(host, [], 1_000).close()
    await host.settle()
    assert host.timers == []


async def test_a_run_that_is_over_has_no_timer() -> None:
    host = FakeHost()
    parts = limits(host, [], 1_000, seconds=60)
    await host.settle()
    assert len(host.timers) == 1
    parts.close()
    await host.settle()
    assert host.timers == []
