"""Functions that block, each in a thread of its own.

A pool of threads has an end: a few functions that never return take all of it, and then nothing else
that needs it runs, and the process waits for them when it ends. A daemon thread for each call costs
some 50 µs, and one that hangs blocks nothing else.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from perdure.errors import TransientError

LOG = logging.getLogger("perdure")
Result = TypeVar("Result")

_left_alone: set[threading.Thread] = set()
"""Threads that continue although their calls were abandoned: of this process, as threads are."""


async def in_thread(name: str, function: Callable[..., Result], *args: Any) -> Result:
    """The result of `function(*args)`, which runs in a new daemon thread called `name`.

    It sees the context variables of the caller. If the caller is cancelled, the thread continues: nothing
    can stop it; a warning says how many such threads there are. What would end the event loop, such as
    SystemExit, is raised as RuntimeError. Raises TransientError where the system has no more threads.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()
    context = contextvars.copy_context()

    def work() -> None:
        result, error = None, None
        try:
            result = context.run(function, *args)
        except BaseException as raised:
            error = _passable(raised)
        _left_alone.discard(threading.current_thread())
        with suppress(RuntimeError):  # the loop is closed: no caller is left
            loop.call_soon_threadsafe(_settle, future, result, error)

    thread = threading.Thread(target=work, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise TransientError(f"no thread for {name}: {error}; {_number()}") from error
    try:
        return await future
    except asyncio.CancelledError:
        if thread.is_alive():
            _left_alone.add(thread)
            LOG.warning("%s continues in its thread, though its call was abandoned; %s", name, _number())
        raise


def _number() -> str:
    alive = sum(thread.is_alive() for thread in list(_left_alone))
    return f"{alive} thread{'s'[: alive != 1]} of abandoned calls still running in this process"


def _settle(future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


def _passable(error: BaseException) -> Exception:
    """The error, or one in its place where it must not pass through a future or the event loop."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    passed = RuntimeError(f"{type(error).__name__}: {error}")
    passed.__cause__ = error
    return passed
