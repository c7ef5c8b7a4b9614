"""A limit for every asynchronous test and fixture, in the event loop: what hangs fails alone and says where.

The tests and fixtures of a process share an event loop, and those that use a fixture of a module or package
share one task in it. The signal of pytest-timeout ends a hanging test from outside: that task keeps
waiting, and all later tests fail because of it. So the limit here, `async_timeout` in pyproject.toml,
cancels what hangs from inside, and again for as long as its cleanup hangs too. The signal remains for what
blocks the loop itself. When it strikes between two steps of the loop, the test is cancelled afterwards, and
the task is free again.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import io
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import suppress
from types import FrameType
from typing import Any

import pytest


class Limited:
    """Something asynchronous that fails when it takes longer than `seconds`."""

    def __init__(self, what: str, seconds: float) -> None:
        self.what, self.seconds = what, seconds
        self.loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._hung = ""

    async def run(self, work: Awaitable[Any]) -> Any:
        """What `work` returns."""
        self.loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        self._timer = self.loop.call_later(self.seconds, self.stop)
        try:
            result = await work
        except BaseException as error:
            self._fail_if_hung(error)
            raise
        else:  # also if it has swallowed the cancellation
            self._fail_if_hung(None)
            return result
        finally:
            self._timer.cancel()
            self._task = None

    def stop(self) -> None:
        """Cancels it, now and again and again until it has ended."""
        if self.loop is not None and self._task is not None:
            self._hung = self._hung or where_all_wait(self.loop)
            self._task.cancel()
            self._timer = self.loop.call_later(self.seconds / 10, self.stop)

    def free(self) -> str:
        """Ends what an exception from outside, a signal's, has left running; where that waited."""
        if self.loop is not None and self._task is not None and not self.loop.is_running():
            self.stop()
            ended = asyncio.wait_for(self._ended(), self.seconds)
            with suppress(TimeoutError):
                self.loop.run_until_complete(ended)
            return self._hung
        return ""

    async def _ended(self) -> None:
        while self._task is not None:
            await asyncio.sleep(0.05)

    def _fail_if_hung(self, error: BaseException | None) -> None:
        if self._hung:
            while self._task is not None and self._task.uncancel():
                pass
            raise pytest.fail.Exception(f"{self.what} did not end: cancelled.\n{self._hung}") from error


def where_all_wait(loop: asyncio.AbstractEventLoop) -> str:
    """The stack of every task of the loop, and of every other thread."""
    out = io.StringIO()
    for task in asyncio.all_tasks(loop):
        print(f"Task {task.get_name()}:", file=out)
        out.writelines(waiting(task.get_coro()))
    frames = sys._current_frames()
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and thread.ident in frames:
            print(f"Thread {thread.name}:", file=out)
            traceback.print_stack(frames[thread.ident], file=out)
    return out.getvalue()


def waiting(awaited: Any) -> Iterator[str]:
    """Where a coroutine waits, and what it waits for, as far down as Python shows."""
    while awaited is not None:
        for kind, further in (("cr", "cr_await"), ("gi", "gi_yieldfrom"), ("ag", "ag_await")):
            frame: FrameType | None = getattr(awaited, f"{kind}_frame", None)
            if frame is not None:
                yield from traceback.format_list(traceback.extract_stack(frame, limit=1))
                awaited = getattr(awaited, further)
                break
        else:
            yield f"  {awaited!r}\n"
            return


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("async_timeout", "seconds that an asynchronous test or fixture may take", default="300")


def limited(what: str, config: pytest.Config) -> Limited:
    return Limited(what, float(config.getini("async_timeout")))


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    test = pyfuncitem.obj
    if not inspect.iscoroutinefunction(test):
        return (yield)
    limit = limited(pyfuncitem.nodeid, pyfuncitem.config)

    @functools.wraps(test)
    async def within(**arguments: Any) -> Any:
        return await limit.run(test(**arguments))

    pyfuncitem.obj = within
    try:
        return (yield)
    except BaseException as error:
        if where := limit.free():
            error.add_note(where)
        raise
    finally:
        pyfuncitem.obj = test


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, Any, Any]:
    """Its setup and its teardown have a limit each."""
    function = fixturedef.func
    within = _within(function, fixturedef.argname, request.config)
    fixturedef.func = within
    try:
        return (yield)
    finally:
        if fixturedef.func is within:
            fixturedef.func = function


def _within(function: Callable[..., Any], name: str, config: pytest.Config) -> Callable[..., Any]:
    """The function of a fixture with limits, if it is asynchronous."""

    @functools.wraps(function)
    async def once(**arguments: Any) -> Any:
        return await limited(f"the fixture {name}", config).run(function(**arguments))

    @functools.wraps(function)
    async def twice(**arguments: Any) -> AsyncIterator[Any]:
        parts = function(**arguments)
        yield await limited(f"the setup of the fixture {name}", config).run(anext(parts))
        with suppress(StopAsyncIteration):
            await limited(f"the teardown of the fixture {name}", config).run(anext(parts))
            raise RuntimeError(f"the fixture {name} yields twice")

    if inspect.isasyncgenfunction(function):
        return twice
    return once if inspect.iscoroutinefunction(function) else function
