"""Threads of agents and the watch over the event loop: what hangs delays nothing else, and is named."""

import asyncio
import contextvars
import logging
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack

import pytest

from perdure.agents import loop_watchdog, threads
from perdure.agents.agent import AgentContext, agent
from perdure.agents.invoke import invoke
from perdure.agents.loop_watchdog import (
    ACTIVITY,
    OpenCall,
    blocked_at,
    open_calls,
    report,
    watch_calls,
    watched,
)
from perdure.agents.threads import in_thread
from perdure.errors import AgentError, AgentTimeout, TransientError
from perdure.settings import Settings

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
async def none_left_alone() -> AsyncIterator[None]:
    """Threads that a test released have ended before the next test begins."""
    yield
    async with asyncio.timeout(180):
        while threads._left_alone:
            await asyncio.sleep(0.01)


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("perdure"), "propagate", True)
    return caplog


async def test_results_errors_and_context() -> None:
    variable = contextvars.ContextVar("variable", default="")
    variable.set("mine")
    assert await in_thread("t", lambda: (variable.get(), threading.current_thread().name)) == ("mine", "t")
    with pytest.raises(ValueError, match="odd"):
        await in_thread("t", int, "odd")


@pytest.mark.parametrize("error", [StopIteration(3), SystemExit(2), KeyboardInterrupt()])
async def test_what_would_end_the_event_loop_is_an_error_like_others(error: BaseException) -> None:
    def end() -> None:
        raise error

    with pytest.raises(RuntimeError, match=type(error).__name__):
        await in_thread("t", end)


async def test_threads_that_hang_delay_nothing_else(logged: pytest.LogCaptureFixture) -> None:
    release = threading.Event()

    @agent("hang")
    def hang() -> None:
        release.wait(60)

    async def call() -> None:
        with pytest.raises(AgentTimeout):
            await invoke(hang.agent, {}, {}, AgentContext(agent="hang", path="n"), 50)

    try:
        await asyncio.gather(*(call() for _ in range(50)))
        assert await in_thread("t", lambda: 1) == 1
        assert await asyncio.to_thread(lambda: 2) == 2
        assert "agent hang (n) continues in its thread, though its call was abandoned" in logged.text
        assert "50 threads of abandoned calls" in logged.records[-1].message
    finally:
        release.set()


async def test_without_a_timeout_the_limit_of_the_worker_holds(logged: pytest.LogCaptureFixture) -> None:
    release = threading.Event()

    @agent("hang")
    def hang() -> None:
        release.wait(60)

    @agent("gives up")
    async def gives_up() -> None:
        raise TimeoutError("my own")

    context = AgentContext(agent="hang", path="n", settings=Settings(call_limit=0.05))
    try:
        with pytest.raises(AgentTimeout, match=r"0\.05 s that this worker allows (?s:.*) PERDURE_CALL_LIMIT"):
            await invoke(hang.agent, {}, {}, context)
        assert "1 thread of abandoned calls" in logged.text
    finally:
        release.set()
    with pytest.raises(AgentError, match=r"^TimeoutError: my own$"):
        await invoke(gives_up.agent, {}, {}, context)


async def test_no_more_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(TransientError, match="no thread for t: can't start new thread; 0 threads"):
        await in_thread("t", int)


async def test_an_agent_that_exits() -> None:
    @agent("quits")
    def quits() -> None:
        sys.exit("enough")

    @agent("quitsToo")
    async def quits_too() -> None:
        sys.exit("enough")

    for each in (quits, quits_too):
        with pytest.raises(AgentError, match="SystemExit: enough"):
            await invoke(each.agent, {}, {}, AgentContext())
    assert open_calls() == "none"


async def test_who_blocks_the_event_loop(logged: pytest.LogCaptureFixture) -> None:
    @agent("blocks")
    async def blocks() -> int:
        time.sleep(0.5)
        return 1

    with watched(0.02):
        assert await invoke(blocks.agent, {}, {}, AgentContext(agent="blocks", path="a.b")) == 1
        async with asyncio.timeout(60):
            while "moves again" not in logged.text:
                await asyncio.sleep(0.01)
    (first, _) = [record.message for record in logged.records]
    assert first.startswith(
        "the event loop has not moved for 0.1 s: agent blocks (a.b, for 0 s) blocks it at "
    )
    assert "test_threads.py:" in first


async def test_every_worker_watches_the_calls_that_it_makes(
    logged: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    @agent("blocks")
    async def blocks() -> None:
        time.sleep(0.5)

    monkeypatch.setattr(loop_watchdog, "WATCH_INTERVAL_S", 0.02)
    watch_calls()
    watch_calls()
    watches = [thread for thread in threading.enumerate() if thread.name == "perdure-watch"]
    await invoke(blocks.agent, {}, {}, AgentContext(agent="blocks", path="a.b"))
    assert len(watches) == 1
    with OpenCall("other", "x"):
        async with asyncio.timeout(180):
            while "moves again" not in logged.text:
                await asyncio.sleep(0.01)
    assert "agent blocks (a.b, for 0 s) blocks it at " in logged.records[0].message
    with watched():  # a command watches all the time, and in its place
        watches[0].join(60)
        assert not watches[0].is_alive()


async def test_the_report_when_no_agent_is_to_blame() -> None:
    with OpenCall("other", "x"):
        message = report(threading.get_ident())
    assert "in report" in message
    assert "open calls: other (x, for 0 s); " in message
    assert "no place that is known; open calls: none" in report(0)


async def test_many_open_calls() -> None:
    with ExitStack() as stack:
        for name in "abcdef":
            stack.enter_context(OpenCall(name, "n"))
        assert open_calls().endswith("e (n, for 0 s) and 1 more")


async def test_calls_that_blocked_the_loop_are_forgotten() -> None:
    for number in range(102):
        token = ACTIVITY.set(f"run/{number}")
        OpenCall("a", "n").blocks(f"at x.py:{number}")
        ACTIVITY.reset(token)
    OpenCall("a", "n").blocks("outside of an activity")
    assert [blocked_at(f"run/{number}") for number in (0, 1, 2, 101, 101)] == [
        "", "", "at x.py:2", "at x.py:101", "",
    ]  # fmt: skip
    for number in range(102):
        blocked_at(f"run/{number}")
