"""Names that never resolve keep no other call waiting."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from perdure.errors import TransientError
from perdure.net import name_lookup
from perdure.net.egress import Guard
from perdure.net.name_lookup import look_up
from tests.support.waiting import until

pytestmark = pytest.mark.anyio


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names of "*.evil.test" never resolve; these are the ones that were asked for."""
    over, asked = threading.Event(), list[str]()

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        if host.endswith(".evil.test"):
            over.wait()
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("93.184.215.14", port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(name_lookup, "LOOKUP_TIMEOUT_S", 600.0)
    yield asked
    over.set()
    for thread in threading.enumerate():
        if thread.name.startswith("look-up"):
            thread.join(60)
    assert name_lookup._open.total() == 0


async def test_names_that_hang_leave_threads_to_others(hanging: list[str]) -> None:
    lookups = [asyncio.ensure_future(look_up(f"{number}.evil.test", 80)) for number in range(60)]
    await until(lambda: len(hanging) >= 32, "as many are looked up as one domain may")
    assert [lookup.done() for lookup in lookups] == [False] * 32 + [True] * 28
    assert await look_up("good.test", 80) == ["93.184.215.14"]
    assert await asyncio.to_thread(lambda: "store") == "store"
    for lookup in lookups:
        lookup.cancel()
    ends = await asyncio.gather(*lookups, return_exceptions=True)
    assert str(ends[-1]) == "32 names of evil.test are being looked up already"
    assert len(hanging) == 33


async def test_all_domains_together(hanging: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(name_lookup, "_open", name_lookup.Counter({str(number): 1 for number in range(256)}))
        with pytest.raises(TimeoutError):
            await look_up("good.test", 80)
    assert hanging == []


async def test_a_name_that_hangs_is_tried_again_later(
    hanging: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(name_lookup, "LOOKUP_TIMEOUT_S", 0.05)
    with pytest.raises(TransientError, match=r"the name a\.evil\.test does not resolve: no answer within"):
        await Guard().addresses("a.evil.test", 443)
    assert hanging == ["a.evil.test"]
