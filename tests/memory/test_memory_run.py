"""A run in this process is watched, answered, streamed and stopped as a durable one is."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from perdure import AgentContext, agent
from perdure.engine.human_tasks import HumanPrompt
from perdure.errors import RunCancelled, RunFailed, UsageError
from perdure.memory.run import MemoryRun
from perdure.monitoring.view import RunView, StreamPiece
from perdure.testing import fake_agent, run_in_memory, run_in_memory_async

pytestmark = pytest.mark.anyio

ASKING: dict[str, Any] = {
    "nodes": {
        "who": {"agent": "textInputAgent", "params": {"message": "name?", "required": True}},
        "hi": {
            "agent": "stringTemplateAgent",
            "inputs": {"name": ":who.text"},
            "params": {"template": "Hi ${name}"},
            "isResult": True,
            "console": {"after": True},
        },
    }
}


async def asked(run: RunView) -> HumanPrompt:
    while True:
        status = await run.status()
        if status is not None and status.questions:
            return status.questions[0]
        await asyncio.sleep(0)


async def test_an_answer() -> None:
    run = MemoryRun(ASKING, name="greeting")
    assert replace(await asked(run), asked=0) == HumanPrompt(
        path="who", node="who", message="name?", required=True
    )
    with pytest.raises(UsageError, match="waiting for an answer: who"):
        await run.answer("hi", "x")
    with pytest.raises(UsageError, match="not empty"):
        await run.answer("who", "")
    before = await run.report()
    await run.answer("who", "Ada")
    assert (await run.result()).results == {"hi": "Hi Ada"}
    after = await run.report()
    assert [(report.name, report.state, report.closed is None) for report in (before, after)] == [
        ("greeting", "running", True),
        ("greeting", "completed", False),
    ]
    assert after.status is not None
    assert [(row.path, row.state) for row in after.status.nodes] == [
        ("who", "completed"),
        ("hi", "completed"),
    ]
    assert (list(after.status.console), after.status.console_offset) == (["Hi Ada"], 1)
    assert list((await run.status(console_from=1)).console) == []


async def test_without_an_answer_the_node_fails() -> None:
    with pytest.raises(RunFailed):
        await MemoryRun(ASKING, answers=False).result()


async def test_a_cancelled_run() -> None:
    run = MemoryRun(ASKING)
    await asked(run)
    await run.cancel()
    with pytest.raises(RunCancelled):
        await run.result()
    report = await run.report()
    assert report.state == "cancelled"
    assert report.status is not None
    assert report.status.questions == ()


async def test_a_stream() -> None:
    begin = asyncio.Event()

    @agent("talker")
    async def talker(context: AgentContext) -> str:
        await begin.wait()
        await context.emit("one ")
        await context.emit("two")
        return "done"

    run = MemoryRun({"nodes": {"talk": {"agent": "talker"}}}, [talker])
    pieces: list[StreamPiece] = []

    async def read() -> None:
        pieces.extend([piece async for piece in run.stream()])

    reading = asyncio.ensure_future(read())
    await asyncio.sleep(0)
    begin.set()
    await run.result()
    await reading
    assert pieces == [StreamPiece("talk", 1, 0, "one "), StreamPiece("talk", 1, 4, "two")]
    assert [piece async for piece in run.stream()] == []


GRAPH = {"nodes": {"a": {"agent": "echo", "isResult": True}}}


async def test_in_a_loop_that_runs() -> None:
    echo = fake_agent("echo", 1)
    assert (await run_in_memory_async(GRAPH, [echo])).results == {"a": 1}
    with pytest.raises(UsageError, match="await run_in_memory_async"):
        run_in_memory(GRAPH, [echo])
