"""Calls of pure agents: one local activity answers as many as can be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from perdure.engine.messages import AgentCompleted, AgentFailed, RunAgent
from perdure.engine.scheduler import Scheduler
from perdure.engine.turn_order import TurnOrder
from perdure.errors import MalformedPayload
from perdure.protocol.agents import AgentRegistry, Placement
from perdure.protocol.names import SEGMENT
from perdure.protocol.payloads import RunRequest, SegmentResult
from perdure.protocol.progress import RunProgress
from perdure.workflows.run_view import RunView
from perdure.workflows.segments import Segments
from perdure.workflows.task_budget import MAX_TASK_SEGMENT_S, WorkflowTaskBudget
from tests.support.host import FakeHost

pytestmark = [pytest.mark.unit, pytest.mark.anyio]
GRAPH = {"version": 0.5, "nodes": {"a": {"agent": "x"}, "b": {"agent": "x"}, "c": {"agent": "x"}}}


class Pure:
    """The segments of a run whose three nodes wait for a pure agent."""

    def __init__(self) -> None:
        self.host, self.turns, self.progress = FakeHost(), TurnOrder(), RunProgress("demo")
        self.remote: list[str] = []
        directory = AgentRegistry(pure=["x"])
        self.budget = WorkflowTaskBudget(self.host, self.notify)
        self.woken = 0
        self.segments = Segments(
            self.host,
            RunRequest(document=GRAPH),
            directory,
            Placement(directory),
            self.progress,
            self.turns,
            self.budget,
            self.notify,
            lambda command: self.remote.append(command.path),
        )
        self.scheduler = Scheduler(GRAPH)
        commands = self.scheduler.start(1_000)
        self.commands = [command for command in commands if isinstance(command, RunAgent)]
        for command in self.commands:
            self.segments.call_agent(command)

    def notify(self) -> None:
        self.woken += 1

    def begin(self) -> None:
        self.segments.begin(self.scheduler, 1_000)

    async def answered(self, **result: Any) -> None:
        self.host.answer(SEGMENT, SegmentResult(**result))
        await self.host.settle()

    def handed_on(self) -> list[Any]:
        return list(iter(self.turns.next, None))


async def test_one_segment_has_the_calls_that_wait() -> None:
    pure = Pure()
    pure.begin()
    (started,) = pure.host.started
    assert (started.is_local, started.options["summary"]) == (True, "a and 2 more")
    assert pure.segments.is_open
    assert [call for call, _, _ in started.argument["places"]] == [each.call for each in pure.commands]
    a, b, c = (command.call for command in pure.commands)
    answers = [[a, "a", 1], [b, "b", None, "no", "timed-out", False], [c, "c", 3]]
    await pure.answered(answers=answers, console=["shown"], seconds=0.25)
    assert not pure.segments.is_open
    assert pure.handed_on() == [
        AgentCompleted(a, 1),
        AgentFailed(b, "no", "timed-out"),
        AgentCompleted(c, 3),
    ]
    assert (list(pure.progress.status(None, 0, []).console), pure.remote, pure.woken) == (["shown"], [], 1)
    pure.begin()
    assert len(pure.host.started) == 1  # nothing waits any more


async def test_no_segment_begins_while_another_call_has_its_turn_first() -> None:
    pure = Pure()
    local = TurnOrder()
    local.expect(99)
    for command in pure.commands:
        local.expect(command.call)
    pure.segments.turns = local
    pure.begin()
    assert pure.host.started == []
    local.arrive(AgentCompleted(99, "over"))
    assert local.next() == AgentCompleted(99, "over")
    pure.begin()
    assert [each.options["summary"] for each in pure.host.started] == ["a and 2 more"]


async def test_a_call_that_needs_an_activity_of_its_own_gets_one() -> None:
    pure = Pure()
    pure.begin()
    a, b, c = (command.call for command in pure.commands)
    await pure.answered(answers=[[a, "a", 1]], alone=b)
    assert pure.remote == ["b"]
    assert pure.handed_on() == [AgentCompleted(a, 1)]
    pure.begin()
    assert pure.host.started[-1].options["summary"] == "c"
    await pure.answered(answers=[[c, "c", 3]])
    assert pure.handed_on() == [AgentCompleted(c, 3)]


async def test_a_segment_that_fails_costs_its_calls_an_activity_each() -> None:
    pure = Pure()
    pure.begin()
    pure.host.fail(SEGMENT, RuntimeError("gone"))
    await pure.host.settle()
    assert (pure.remote, pure.handed_on(), pure.segments.is_open) == (["a", "b", "c"], [], False)


async def test_a_later_call_that_was_answered_ahead_is_not_made() -> None:
    pure = Pure()
    pure.begin()
    a, b, c = (command.call for command in pure.commands)
    later = replace(pure.commands[0], call=99, path="later")
    await pure.answered(answers=[[a, "a", 1], [b, "b", 2], [c, "c", 3], [99, "later", 4]])
    pure.segments.call_agent(later)
    assert pure.handed_on()[-1] == AgentCompleted(99, 4)


async def test_a_cancelled_call_is_not_asked_for() -> None:
    pure = Pure()
    for command in pure.commands[:2]:
        pure.segments.drop(command.call)
        pure.turns.drop(command.call)
    pure.begin()
    assert pure.host.started[0].options["summary"] == "c"


async def test_a_workflow_task_that_has_worked_long_enough_begins_none() -> None:
    pure = Pure()
    pure.budget.add(0, seconds=MAX_TASK_SEGMENT_S)
    pure.begin()
    assert (pure.host.started, pure.segments.is_open) == ([], False)


async def test_the_end_of_the_run_may_come_with_the_answers() -> None:
    pure = Pure()
    pure.begin()
    await pure.answered(end={"results": {"a": 1}})
    assert pure.segments.end is not None
    assert pure.segments.end.results == {"a": 1}


async def test_a_run_that_is_over_cancels_its_segment() -> None:
    pure = Pure()
    pure.begin()
    pure.segments.close()
    await pure.host.settle()
    assert (pure.host.started[0].task.cancelled(), pure.remote, pure.woken) == (True, [], 0)


def over(pure: Pure) -> None:
    """The run is over, by answers of which the second cannot be read."""
    for command in pure.commands:
        pure.segments.drop(command.call)
    answers = [[pure.commands[0].call, "a", 1], ["?"], [pure.commands[2].call, "c", 3]]
    pure.segments.take(SegmentResult(answers=answers, end={"failure": "no"}), 0, 1_000)


def states(scheduler: Scheduler) -> list[str]:
    return [str(scheduler.root.nodes[name].state) for name in "abc"]


async def test_an_answer_that_cannot_be_read_hides_those_after_it_once_the_run_is_over() -> None:
    pure = Pure()
    over(pure)
    human_tasks: Any = None
    view = RunView(pure.progress, pure.segments, human_tasks, lambda: Scheduler(GRAPH))
    for _ in range(2):
        played = view.scheduler()
        assert played is not None
        assert states(played) == ["completed", "executing", "executing"]


async def test_what_was_not_read_is_forgotten_when_the_run_changes() -> None:
    pure = Pure()
    over(pure)
    pure.segments.forget_ahead(pure.commands[-1].call, 2_000)
    scheduler = Scheduler(GRAPH)
    pure.segments.play_to_end(scheduler, begun=False)
    assert states(scheduler) == ["executing"] * 3


async def test_nothing_is_taken_of_a_segment_that_cannot_be_read() -> None:
    pure = Pure()
    result = SegmentResult(answers=[[1, "a", 1]], refusal="no", end={"failure": 5})
    with pytest.raises(MalformedPayload):
        pure.segments.take(result, 0, 1_000)
    for command in pure.commands:
        pure.segments.drop(command.call)
    with pytest.raises(MalformedPayload):
        pure.segments.take(result, 0, 1_000)
    assert (pure.segments.end, pure.segments.refusal) == (None, None)
    scheduler = Scheduler(GRAPH)
    pure.segments.play_to_end(scheduler, begun=False)
    assert states(scheduler) == ["executing"] * 3
