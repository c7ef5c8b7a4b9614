"""Calls on their way: when one is sent, by which activity, what its answer is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from perdure.engine.messages import AgentCompleted, AgentFailed, NodeOptions, RunAgent
from perdure.engine.turn_order import TurnOrder
from perdure.protocol.agents import AgentRegistry, Placement
from perdure.protocol.names import KEEP, TOO_LARGE_FOR_LOCAL
from perdure.protocol.progress import RunProgress
from perdure.protocol.wire import MAX_PAYLOAD_BYTES, pack
from perdure.workflows.activity_dispatcher import ActivityDispatcher
from perdure.workflows.call_windows import MAX_KEPT_INPUT_BYTES, LocalWindow, RemoteWindow
from perdure.workflows.run_values import MAX_INLINE_BYTES
from perdure.workflows.task_budget import MAX_TASK_CALL_COUNT, WorkflowTaskBudget
from tests.support.host import FakeHost

pytestmark = [pytest.mark.unit, pytest.mark.anyio]


class Calls:
    """An outbox with a host, and what it hands on."""

    def __init__(
        self,
        *,
        store: bool = False,
        remote: RemoteWindow | None = None,
        allowed: list[str] | None = None,
        keeps_in_turn: bool = True,
    ) -> None:
        self.host, self.turns, self.woken = FakeHost(), TurnOrder(), 0
        self.budget = WorkflowTaskBudget(self.host, self.notify)
        placement = Placement(
            AgentRegistry(
                others=["x"],
                store=store,
                queues={"elsewhere": "theirs"},
                allowed_queues=allowed,
                keeps_in_turn=keeps_in_turn,
            )
        )
        self.progress = RunProgress("demo")
        self.dispatcher = ActivityDispatcher(
            self.host,
            placement,
            "q",
            self.progress,
            self.turns,
            self.budget,
            self.notify,
            local=LocalWindow(2),
        )
        if remote is not None:
            self.dispatcher.remote = remote

    def notify(self) -> None:
        self.woken += 1

    def call(self, number: int, **more: Any) -> RunAgent:
        command = replace(COMMAND, call=number, path=f"n{number}", key=f"n{number}", **more)
        self.dispatcher.call_agent(command)
        return command

    @property
    def sent(self) -> list[str]:
        return [each.path for each in self.host.started]

    def handed_on(self) -> list[Any]:
        return list(iter(self.turns.next, None))


COMMAND = RunAgent(0, "n", "n", "n", "x", {}, {}, {}, {}, 0, False, 0.5, False, NodeOptions())
LOCAL = NodeOptions(placement="local")
BATCH = NodeOptions(batch=3)


async def test_a_call_is_an_activity_of_the_name_of_its_agent() -> None:
    calls = Calls()
    calls.call(1, inputs={"v": 1})
    calls.call(2, agent="elsewhere")
    calls.dispatcher.pump()
    first, second = calls.host.started
    assert (first.name, first.options["task_queue"], first.is_local) == ("x", "q", False)
    assert first.argument["inputs"] == {"v": 1}
    assert (second.name, second.options["task_queue"]) == ("elsewhere", "theirs")
    assert not calls.dispatcher.is_idle()
    calls.host.answer("n1", {"r": 1})
    await calls.host.settle()
    assert (calls.handed_on(), calls.dispatcher.is_idle()) == ([AgentCompleted(1, {"r": 1})], False)


async def test_as_many_are_in_flight_as_the_window_holds() -> None:
    calls = Calls(remote=RemoteWindow(2, 1_000_000))
    for number in range(1, 5):
        calls.call(number)
    calls.dispatcher.pump()
    assert calls.sent == ["n1", "n2"]
    calls.host.answer("n2", None)
    await calls.host.settle()
    calls.dispatcher.pump()
    assert calls.sent == ["n1", "n2", "n3"]


async def test_so_many_bytes_are_in_flight_but_for_a_single_larger_call() -> None:
    calls = Calls(remote=RemoteWindow(100, 3_000))
    for number in (1, 2, 3):
        calls.call(number, inputs={"text": "x" * 2_000})
    calls.dispatcher.pump()
    assert calls.sent == ["n1", "n2"]
    calls.host.fail("n1", RuntimeError("gone"))
    await calls.host.settle()
    calls.dispatcher.pump()
    assert calls.sent == ["n1", "n2", "n3"]


async def test_a_workflow_task_sends_its_share() -> None:
    calls = Calls()
    for number in range(MAX_TASK_CALL_COUNT + 10):
        calls.call(number + 1)
    calls.dispatcher.pump()
    assert len(calls.sent) == MAX_TASK_CALL_COUNT
    calls.host.events += 1
    calls.dispatcher.pump()
    assert len(calls.sent) == MAX_TASK_CALL_COUNT + 10


async def test_local_calls_have_a_window_of_their_own_and_keep_their_turns() -> None:
    calls = Calls()
    for number in (1, 2, 3):
        calls.call(number, options=LOCAL)
    calls.dispatcher.pump()
    assert calls.sent == ["n1", "n2"]
    assert all(each.is_local for each in calls.host.started)
    calls.host.answer("n2", "second")
    await calls.host.settle()
    assert calls.handed_on() == []
    calls.host.answer("n1", "first")
    await calls.host.settle()
    assert calls.handed_on() == [AgentCompleted(1, "first"), AgentCompleted(2, "second")]


async def test_a_local_result_that_is_too_large_is_asked_for_as_an_activity() -> None:
    calls = Calls()
    calls.call(1, options=LOCAL)
    calls.call(2, options=LOCAL)
    calls.dispatcher.pump()
    calls.host.fail("n1", ApplicationError("too large", type=TOO_LARGE_FOR_LOCAL))
    await calls.host.settle()
    calls.dispatcher.pump()
    again = calls.host.find("n1")
    assert (again.is_local, again.options["task_queue"]) == (False, "q")
    calls.host.answer("n2", 2)
    calls.host.answer("n1", 1)
    await calls.host.settle()
    assert calls.handed_on() == [AgentCompleted(1, 1), AgentCompleted(2, 2)]


async def test_calls_that_are_ready_together_share_an_activity() -> None:
    calls = Calls()
    for number in range(1, 5):
        calls.call(number, inputs={"n": number}, options=BATCH)
    calls.dispatcher.pump()
    assert calls.sent == ["n1", "n4"]
    argument = calls.host.find("n1").argument
    assert [each["inputs"] for each in argument["calls"]] == [{"n": 1}, {"n": 2}, {"n": 3}]
    answers = [["completed", "one"], ["again"], ["failed", "no", "failed", True]]
    calls.host.answer("n1", answers)
    await calls.host.settle()
    assert calls.handed_on() == [AgentCompleted(1, "one"), AgentFailed(3, "no", final=True)]
    calls.dispatcher.pump()
    assert "calls" not in calls.host.find("n2").argument  # made again, alone


async def test_an_activity_of_a_batch_is_cancelled_with_the_last_of_its_calls() -> None:
    calls = Calls()
    for number in (1, 2):
        calls.call(number, options=BATCH)
    calls.dispatcher.pump()
    task = calls.host.find("n1").task
    calls.dispatcher.drop(1)
    await calls.host.settle()
    assert not task.cancelled()
    calls.dispatcher.drop(2)
    await calls.host.settle()
    assert (task.cancelled(), calls.dispatcher.is_idle(), calls.handed_on()) == (True, True, [])


async def test_a_call_that_is_made_again_is_another_activity_while_the_first_is_pending() -> None:
    calls = Calls()
    for number in (1, 2, 3):
        calls.dispatcher.call_agent(replace(COMMAND, call=number, path="n", key="n"))
        calls.dispatcher.pump()
        calls.dispatcher.drop(number)
        await calls.host.settle()
    assert calls.sent == ["n", "n~2", "n~3"]


async def test_one_that_is_made_again_after_its_activity_has_ended_has_the_same_id() -> None:
    calls = Calls()
    for number in (1, 2):
        calls.dispatcher.call_agent(replace(COMMAND, call=number, path="n", key="n"))
        calls.dispatcher.pump()
        calls.host.started[-1].result.set_result(pack(None))
        await calls.host.settle()
    assert calls.sent == ["n", "n"]


async def test_a_cancelled_call_that_was_not_sent_is_never_sent() -> None:
    calls = Calls(remote=RemoteWindow(1, 1_000))
    calls.call(1)
    calls.call(2)
    calls.dispatcher.pump()
    calls.dispatcher.drop(2)
    calls.host.answer("n1", None)
    await calls.host.settle()
    calls.dispatcher.pump()
    assert calls.sent == ["n1"]


async def test_an_activity_that_was_cancelled_from_outside_fails_its_call() -> None:
    calls = Calls()
    calls.call(1)
    calls.dispatcher.pump()
    calls.host.find("n1").task.cancel()
    await calls.host.settle()
    assert calls.handed_on() == [AgentFailed(1, "cancelled", final=True)]


async def test_large_inputs_go_to_the_store_first() -> None:
    calls = Calls(store=True, remote=RemoteWindow(1, 1_000_000))
    calls.call(1, inputs={"text": "x" * MAX_INLINE_BYTES})
    calls.call(2)
    calls.dispatcher.pump()
    await calls.host.settle()
    assert calls.sent == [KEEP]
    calls.host.answer(KEEP, pack({"inputs": "kept"}))
    await calls.host.settle()
    assert (calls.sent, calls.host.find("n1").argument) == ([KEEP, "n1"], {"inputs": "kept"})


LARGE = "x" * MAX_KEPT_INPUT_BYTES


@pytest.mark.parametrize(("in_turn", "sent"), [(True, [KEEP]), (False, [KEEP, KEEP, "n3"])])
async def test_large_inputs_go_to_the_store_one_after_another(in_turn: bool, sent: list[str]) -> None:
    calls = Calls(store=True, keeps_in_turn=in_turn)
    calls.call(1, inputs={"text": LARGE})
    calls.call(2, inputs={"text": LARGE})
    calls.call(3)
    calls.dispatcher.pump()
    await calls.host.settle()
    assert sorted(calls.sent) == sorted(sent)


async def test_inputs_on_their_way_to_the_store() -> None:
    calls = Calls(store=True)
    for number in range(1, 40):
        calls.call(number, inputs={"text": "x" * 400_000})
    calls.dispatcher.pump()
    await calls.host.settle()
    assert len(calls.sent) == 20


async def test_the_next_large_input_follows_when_one_is_in_the_store() -> None:
    calls = Calls(store=True)
    calls.call(1, inputs={"text": LARGE})
    calls.call(2, inputs={"text": LARGE})
    calls.dispatcher.pump()
    await calls.host.settle()
    calls.host.answer(KEEP, pack({"inputs": "kept"}))
    await calls.host.settle()
    calls.dispatcher.pump()
    await calls.host.settle()
    assert calls.sent == [KEEP, "n1", KEEP]


async def test_inputs_that_no_store_takes_fail_their_call() -> None:
    calls = Calls()
    calls.call(1, inputs={"text": "x" * MAX_PAYLOAD_BYTES})
    calls.dispatcher.pump()
    await calls.host.settle()
    (event,) = calls.handed_on()
    assert event.message.startswith("n1: its inputs: a value of 2.0 MB cannot pass")
    assert (event.final, calls.dispatcher.is_idle(), calls.sent) == (True, True, [])


async def test_a_run_that_is_over_cancels_what_is_on_its_way() -> None:
    calls = Calls()
    calls.call(1)
    calls.dispatcher.pump()
    calls.call(2)
    calls.dispatcher.close()
    calls.dispatcher.pump()
    await calls.host.settle()
    assert (calls.sent, calls.host.find("n1").task.cancelled()) == (["n1"], True)


@pytest.mark.parametrize(
    ("agent", "queue", "refused"),
    [
        ("x", "q", None),
        ("x", "theirs", None),
        ("x", "gpu", None),
        ("transfer", "payments", "n1: graphs may not use the task queue 'payments'"),
        ("perdure.keep", "q", "n1: 'perdure.keep' is an activity of Perdure, not an agent"),
        ("perdure.agents", None, "n1: 'perdure.agents' is an activity of Perdure, not an agent"),
    ],
)
async def test_a_node_names_queues_that_are_allowed(agent: str, queue: str, refused: str | None) -> None:
    calls = Calls(allowed=["gpu"])
    calls.call(1, agent=agent, options=NodeOptions(queue=queue))
    calls.dispatcher.pump()
    assert calls.sent == ([] if refused else ["n1"])
    failures = [each.message.splitlines()[0] for each in calls.handed_on() if isinstance(each, AgentFailed)]
    assert failures == ([refused] if refused else [])


async def test_workers_of_earlier_versions_list_no_queues() -> None:
    calls = Calls(allowed=None)
    calls.call(1, options=NodeOptions(queue="payments"))
    calls.dispatcher.pump()
    assert calls.sent == ["n1"]
