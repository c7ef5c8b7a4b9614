"""Calls on the queues that nodes name: who serves them is asked once, and decides about their limits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError, TimeoutError, TimeoutType

from perdure.engine.messages import AgentCompleted, NodeOptions, RunAgent
from perdure.engine.turn_order import TurnOrder
from perdure.protocol.agents import AgentRegistry, Placement
from perdure.protocol.progress import RunProgress
from perdure.workflows.activity_dispatcher import ActivityDispatcher
from perdure.workflows.task_budget import WorkflowTaskBudget
from tests.support.host import FakeHost

pytestmark = [pytest.mark.unit, pytest.mark.anyio]

COMMAND = RunAgent(0, "n", "n", "n", "x", {}, {}, {}, {}, 0, False, 0.5, False, NodeOptions(queue="other"))
ASKING = "perdure.agents@other"
LATE = TimeoutError("late", type=TimeoutType.START_TO_CLOSE, last_heartbeat_details=[])


class Calls:
    """The calls of one run on the queue "q", whose worker has the agent x."""

    def __init__(self, *, asks_queues: bool = True) -> None:
        self.host, self.turns = FakeHost(), TurnOrder()
        placement = Placement(AgentRegistry(others=["x"], asks_queues=asks_queues))
        budget = WorkflowTaskBudget(self.host, self.notify)
        self.dispatcher = ActivityDispatcher(
            self.host, placement, "q", RunProgress("demo"), self.turns, budget, self.notify
        )

    def notify(self) -> None:
        """Nothing waits."""

    def call(self, number: int, agent: str = "x", **options: Any) -> None:
        name, options = f"n{number}", {"queue": "other", **options}
        self.dispatcher.call_agent(
            replace(COMMAND, call=number, path=name, key=name, agent=agent, options=NodeOptions(**options))
        )
        self.dispatcher.pump()

    async def settle(self) -> None:
        await self.host.settle()
        self.dispatcher.pump()

    @property
    def sent(self) -> list[str]:
        return [each.path for each in self.host.started]

    def beats(self, path: str) -> bool:
        return "heartbeat_timeout" in self.host.find(path).options


async def test_a_queue_is_asked_once_and_its_calls_keep_their_order() -> None:
    calls = Calls()
    for number in (1, 2, 3):
        calls.call(number)
    calls.call(4, queue=None)
    assert calls.sent == [ASKING, "n4"]
    calls.dispatcher.drop(2)
    calls.host.answer(ASKING, {"others": ["x"]})
    await calls.settle()
    calls.call(5, agent="y")
    assert calls.sent == [ASKING, "n4", "n1", "n3", "n5"]
    assert [calls.beats(f"n{number}") for number in (1, 3, 4, 5)] == [True, True, True, False]


@pytest.mark.parametrize(
    ("error", "beats"),
    [
        (ApplicationError("no such activity", type="NotFoundError"), False),
        (ApplicationError("odd", type="SomethingElse"), False),
        (LATE, True),
    ],
)
async def test_no_answer_from_a_worker_is_an_answer(error: Exception, beats: bool) -> None:
    calls = Calls()
    calls.call(1)
    calls.host.fail(ASKING, error)
    await calls.settle()
    assert (calls.sent, calls.beats("n1")) == ([ASKING, "n1"], beats)


async def test_an_answer_that_is_no_list_of_agents_is_that_of_another_worker() -> None:
    calls = Calls()
    calls.call(1)
    calls.host.answer(ASKING, "anything")
    await calls.settle()
    assert not calls.beats("n1")
    calls.host.answer("n1", 1)
    await calls.settle()
    assert list(iter(calls.turns.next, None)) == [AgentCompleted(1, 1)]


async def test_runs_of_earlier_workers_do_not_ask() -> None:
    calls = Calls(asks_queues=False)
    calls.call(1, agent="y")
    assert (calls.sent, calls.beats("n1")) == (["n1"], True)


async def test_on_the_queue_of_the_run_its_own_worker_has_answered() -> None:
    calls = Calls()
    calls.call(1, queue="q")
    calls.call(2, queue="q", agent="y")
    assert calls.sent == ["n1", "n2"]
    assert [calls.beats("n1"), calls.beats("n2")] == [True, False]


async def test_a_run_that_is_over_asks_no_more() -> None:
    calls = Calls()
    calls.call(1)
    calls.dispatcher.close()
    await calls.settle()
    assert calls.host.find(ASKING).task.cancelled()
