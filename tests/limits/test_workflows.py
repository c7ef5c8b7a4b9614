"""Limits of a run and of its workflow tasks, each at its number."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from perdure import AgentContext, agent
from perdure.engine.messages import NodeOptions, RunAgent
from perdure.engine.scheduler import Scheduler
from perdure.engine.turn_order import TurnOrder
from perdure.graph.deferred import BlobRef
from perdure.memory.run import MemoryRun
from perdure.memory.shell import MemoryEnvironment
from perdure.protocol.agents import AgentRegistry, Placement
from perdure.protocol.progress import RunProgress
from perdure.protocol.wire import pack, unpack
from perdure.workflows.activity_dispatcher import ActivityDispatcher
from perdure.workflows.activity_options import remote
from perdure.workflows.continuation import Continuation, HistoryFull
from perdure.workflows.run_values import keep_large_state, keep_values, packed
from perdure.workflows.task_budget import WorkflowTaskBudget
from tests.support.drive import Drive, graph, work
from tests.support.host import FakeHost

pytestmark = pytest.mark.anyio


def nothing() -> None:
    pass


# A workflow task


@pytest.mark.parametrize(
    ("spent", "more"),
    [
        ([{"size": 0}] * 199, {"size": 0}),
        ([{"size": 1_499_999}], {"size": 1, "calls": 0}),
        ([{"size": 0, "seconds": 0.9}], {"size": 0, "seconds": 0.1}),
    ],
    ids=["calls", "bytes", "seconds"],
)
async def test_a_workflow_task(spent: list[dict[str, Any]], more: dict[str, Any]) -> None:
    budget = WorkflowTaskBudget(FakeHost(), nothing)
    for each in spent:
        budget.add(**each)
    assert budget.has_room()
    budget.add(**more)
    assert not budget.has_room()
    budget.close()


class Calls:
    """A dispatcher whose workflow tasks are as many as are asked for."""

    def __init__(self, *, local: bool = False) -> None:
        self.host = FakeHost()
        self.dispatcher = ActivityDispatcher(
            self.host,
            Placement(AgentRegistry(others=["x"])),
            "q",
            RunProgress("demo"),
            TurnOrder(),
            WorkflowTaskBudget(self.host, nothing),
            nothing,
        )
        self.options = NodeOptions(placement="local" if local else None)

    def started(self, count: int, size: int = 1) -> int:
        """How many activities are begun by so many calls with inputs of that size."""
        for call in range(count):
            inputs, name = {"t": "x" * size}, f"n{call}"
            command = RunAgent(
                call, "n", name, name, "x", inputs, {}, {}, {}, 0, False, 0.5, False, self.options
            )
            self.dispatcher.call_agent(command)
        for _ in range(20):
            self.dispatcher.pump()
            self.host.events += 1  # the next workflow task
        found = len(self.host.started)
        self.dispatcher.close()
        return found


async def test_calls_in_flight() -> None:
    assert Calls().started(700) == 500


async def test_bytes_in_flight() -> None:
    """Of 200 kB each, ten calls make 2 MB: no other begins."""
    assert Calls().started(20, size=200_000) == 10


async def test_local_calls_in_flight() -> None:
    assert Calls(local=True).started(60) == 40


# An activity


def test_the_id_and_the_summary_of_an_activity() -> None:
    options = remote(NodeOptions(), "p" * 500, "q")
    assert len(options["activity_id"]) <= 200
    assert len(options["summary"]) == 200
    assert remote(NodeOptions(), "p" * 200, "q")["activity_id"] == "p" * 200


def test_the_longest_pause_between_attempts() -> None:
    assert remote(NodeOptions(), "n", "q")["retry_policy"].maximum_interval == timedelta(minutes=10)


# What is shown


def test_console_lines_of_a_run() -> None:
    progress = RunProgress("demo")
    for _ in range(1_200):
        progress.add_console("l" * 400)
    assert len(progress.status(None, 0, []).console) == 1_000
    progress.add_console("l" * 10_000)
    assert len(progress.status(None, 0, []).console[-1]) == 8_000


async def test_console_lines_of_a_run_in_memory() -> None:
    @agent("talker")
    async def talker(context: AgentContext) -> None:
        for number in range(100_002):
            context.log(str(number))

    silent = MemoryEnvironment(console=lambda line: None)
    run = MemoryRun(graph(a={"agent": "talker"}), [talker], environment=silent)
    await run.result()
    status = await run.status()
    assert (len(status.console), status.console[0], status.console_offset) == (100_000, "2", 100_002)


def test_ends_of_streams() -> None:
    progress = RunProgress("demo")
    for number in range(30):
        stream = {"attempt": 1, "offset": 0, "text": "t"}
        progress.add_stream(f"n{number}", stream)
    assert len(progress.status(None, 0, []).streams) == 20


def test_rows_of_nodes() -> None:
    nodes = {f"n{number}": {"value": number} for number in range(499)} | {"last": {"agent": "x"}}
    scheduler = Scheduler({"nodes": nodes})
    scheduler.start(0)
    progress = RunProgress("demo")
    assert len(progress.status(scheduler, 0, []).nodes) == 200
    assert "… and 460 more nodes" in progress.markdown(scheduler, [])


# A history


async def test_events_of_a_history() -> None:
    assert Continuation(FakeHost(events=45_000), 4_000, nothing).is_due()
    with pytest.raises(HistoryFull):
        Continuation(FakeHost(events=45_001), 4_000, nothing).is_due()


async def test_bytes_of_a_history() -> None:
    assert not Continuation(FakeHost(bytes=45_000_000), 4_000, nothing).is_due()
    with pytest.raises(HistoryFull):
        Continuation(FakeHost(bytes=45_000_001), 4_000, nothing).is_due()


async def test_events_until_the_next_try() -> None:
    host = FakeHost(events=4_000)
    continuation = Continuation(host, 4_000, nothing)
    continuation.give_up()
    host.events = 4_999
    assert not continuation.is_due()
    host.events = 5_000
    assert continuation.is_due()


# What a run holds


async def test_bytes_that_a_run_hands_on() -> None:
    """Up to 256,000 bytes go on as they are; with a store, more is brought there."""
    host = FakeHost()
    small, large = pack("x" * 255_998), pack("x" * 256_000)
    assert await packed(host, small, True) is small
    assert await packed(host, large, False) is large
    assert not host.started
    task = asyncio.create_task(packed(host, large, True))
    await host.settle()
    host.answer("perdure.keep", BlobRef("d", 256_002, "string"))
    assert unpack(await task) == BlobRef("d", 256_002, "string")


async def test_values_that_are_offloaded() -> None:
    """When a run continues, values of 200 bytes stay in it; larger ones go to the store."""
    drive = Drive(graph(a=work(), b=work(), c=work(inputs={"x": [":a", ":b"]}))).start()
    drive.answers = {"a": "x" * 50, "b": "x" * 300}
    drive.step().step()
    host = FakeHost()
    task = asyncio.create_task(keep_values(host, drive.scheduler))
    await host.settle()
    (keep,) = host.started
    assert "x" * 300 in unpack(keep.arguments[0])
    assert "x" * 50 not in unpack(keep.arguments[0])
    task.cancel()


async def test_what_a_run_holds_is_offloaded_in_portions() -> None:
    """Of more than 2 MB, 4 MB at a time; of less, nothing before all is written."""
    for live, has_store, portions in ((2_000_001, True, 2), (2_000_000, True, 0), (2_000_001, False, 0)):
        drive = Drive(graph(a=work(), b=work(), c=work(), d=work(inputs={"x": [":a", ":b", ":c"]}))).start()
        drive.answers = {"a": "x" * 3_000_000, "b": "y" * 1_500_000, "c": "z" * 900_000}
        drive.step().step().step()
        drive.scheduler.board.live = live
        host, seen = FakeHost(), 0
        task = asyncio.create_task(keep_large_state(host, drive.scheduler, has_store))
        await host.settle()
        while not task.done():
            seen += 1
            host.answer("perdure.keep", BlobRef(f"d{seen}", 4_500_000, "list"))
            await host.settle()
        assert seen == portions
        assert isinstance(drive.scheduler.root.nodes["a"].result, str) is (portions == 0)
