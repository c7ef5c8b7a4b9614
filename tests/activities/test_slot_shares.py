"""How the slots of a worker are shared among runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from perdure.activities import slot_shares
from perdure.activities.slot_shares import HandedBack, SlotShares
from perdure.agents.resting import rest
from tests.support.waiting import until

pytestmark = pytest.mark.anyio


@dataclass
class Call:
    """An attempt of a run that takes until `ends`, and what became of it."""

    sharer: str
    ends: asyncio.Event
    has_slot: bool = True
    may_be_handed_back: bool = True
    is_timed: bool = False
    is_stopping: bool = False
    state: str = "waits"
    recorded: bool = False

    rests_s: float = 0.0

    async def wait(self) -> None:
        self.recorded = True

    def rest_left_s(self, seconds: float) -> float:
        return seconds

    async def play(self, slots: SlotShares) -> None:
        try:
            async with slots.entered(self):
                self.state = "begun"
                if self.rests_s:
                    await rest(self.rests_s)
                await self.ends.wait()
            self.state = "over"
        except HandedBack:
            self.state = "handed back"


@dataclass
class Worker:
    """The calls of a worker, in the order in which the server sent them."""

    slots: SlotShares
    ends: asyncio.Event
    tasks: set[asyncio.Task[None]]

    async def takes(self, runs: str, **options: Any) -> list[Call]:
        """A call for each letter, which names its run."""
        calls = [Call(run, self.ends, **options) for run in runs]
        self.tasks |= {asyncio.create_task(call.play(self.slots)) for call in calls}
        await settled()
        return calls


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def states(calls: Sequence[Call]) -> list[str]:
    return [call.state for call in calls]


@pytest.fixture
async def worker(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Worker]:
    monkeypatch.setattr(slot_shares, "MAX_LOOK_INTERVAL_S", 3600)
    worker = Worker(SlotShares(8), asyncio.Event(), set())
    yield worker
    for task in worker.tasks:
        task.cancel()
    await asyncio.gather(*worker.tasks, return_exceptions=True)


SHARES = [(1, 1), (3, 3), (4, 3), (8, 6), (100, 75)]


@pytest.mark.parametrize(("slots", "share"), SHARES)
async def test_the_share_of_one_run(worker: Worker, slots: int, share: int) -> None:
    worker.slots = SlotShares(slots)
    assert states(await worker.takes("a" * slots)) == ["begun"] * share + ["waits"] * (slots - share)


async def test_slots_that_are_not_shared(worker: Worker) -> None:
    worker.slots = SlotShares(None)
    assert states(await worker.takes("a" * 200)) == ["begun"] * 200


async def test_local_activities_have_no_slot(worker: Worker) -> None:
    await worker.takes("a" * 50, has_slot=False)
    assert states(await worker.takes("a" * 6)) == ["begun"] * 6


async def test_a_call_that_the_server_would_not_offer_again(worker: Worker) -> None:
    await worker.takes("a" * 7)
    assert states(await worker.takes("a", may_be_handed_back=False)) == ["begun"]


async def test_what_waits_begins_when_its_run_has_room(worker: Worker) -> None:
    first = await worker.takes("a")
    worker.ends, ends = asyncio.Event(), worker.ends
    others = await worker.takes("a" * 7)
    assert states(others) == ["begun"] * 5 + ["waits"] * 2
    ends.set()
    await settled()
    assert states([*first, *others]) == ["over"] + ["begun"] * 6 + ["waits"]


async def test_room_for_others_one_at_a_time_then_at_once(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slot_shares, "MAX_LOOK_INTERVAL_S", 0.01)
    worker.slots = SlotShares(9)
    many = await worker.takes("a" * 9)
    assert states(many) == ["begun"] * 7 + ["waits"] * 2
    await until(lambda: states(many).count("handed back") == 1, "one is handed back")
    monkeypatch.setattr(slot_shares, "MAX_LOOK_INTERVAL_S", 3600)
    monkeypatch.setattr(slot_shares, "MIN_LOOK_INTERVAL_S", 3600)
    (other,) = await worker.takes("b")
    assert other.state == "begun"
    assert states(many) == ["begun"] * 7 + ["handed back"] * 2


async def test_calls_that_only_wait_leave_where_all_slots_are_taken(worker: Worker) -> None:
    resting = await worker.takes("abcdef", rests_s=3600)
    brief = await worker.takes("g", rests_s=1)
    assert states([*resting, *brief]) == ["begun"] * 7
    (other,) = await worker.takes("h")
    assert states([*resting, *brief, other]) == ["handed back"] * 6 + ["begun"] * 2


@pytest.mark.parametrize("options", [{"is_timed": True}, {"may_be_handed_back": False}, {"has_slot": False}])
async def test_what_cannot_be_offered_again_later_keeps_its_slot(
    worker: Worker, options: dict[str, Any]
) -> None:
    resting = await worker.takes("a", rests_s=3600, **options)
    await worker.takes("bcdefgh")
    assert states(resting) == ["begun"]


async def test_a_worker_of_few_slots_keeps_calls_that_only_wait(worker: Worker) -> None:
    worker.slots = SlotShares(3)
    assert states(await worker.takes("abc", rests_s=3600)) == ["begun"] * 3


async def test_nothing_is_handed_back_while_a_slot_is_free(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slot_shares, "MAX_LOOK_INTERVAL_S", 0.001)
    worker.slots = SlotShares(8)
    (early,) = (await worker.takes("a" * 7))[6:]
    (late,) = await worker.takes("a")  # all slots are taken from here on
    await until(lambda: "handed back" in (early.state, late.state), "one is handed back")
    assert (early.state, late.state) == ("handed back", "waits")


async def test_a_call_with_a_time_limit_waits_for_a_little(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slot_shares, "MAX_TIMED_WAIT_S", 0.05)
    await worker.takes("a" * 6)
    (call,) = await worker.takes("a", is_timed=True)
    await until(lambda: call.state == "handed back", "it is handed back")


async def test_a_worker_that_stops_hands_back_what_waits(worker: Worker) -> None:
    await worker.takes("a" * 6)
    (call,) = await worker.takes("a", is_stopping=True)
    await until(lambda: call.state == "handed back", "it is handed back")


async def test_the_server_hears_of_a_long_wait(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slot_shares, "UNRECORDED_WAIT_S", 0.01)
    await worker.takes("a" * 6)
    (call,) = await worker.takes("a")
    await until(lambda: call.recorded, "word is left")


async def test_a_cancelled_wait_leaves_the_slots_as_they_were(worker: Worker) -> None:
    begun = await worker.takes("a" * 6)
    before = set(worker.tasks)
    await worker.takes("a")
    (task,) = worker.tasks - before
    task.cancel()
    await settled()
    worker.ends.set()
    await settled()
    worker.ends = asyncio.Event()
    assert states(begun) == ["over"] * 6
    assert states(await worker.takes("a" * 7)) == ["begun"] * 6 + ["waits"]
