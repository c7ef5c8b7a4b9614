"""Functions that block, each in a thread of its own.

A pool of threads has an end: a few functions that never return take all of it, and then nothing in
the process runs any more, and the process itself waits for them when it ends. A daemon thread for
each call costs some 50 µs, and one that hangs is nobody's concern but its own.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from perdure.errors import TransientError

Result = TypeVar("Result")


async def in_thread(name: str, function: Callable[..., Result], *args: Any) -> Result:
    """The result of `function(*args)`, which runs in a new daemon thread called `name`.

    It sees the context variables of the caller. Where the caller gives up waiting, the thread goes on:
    nothing can stop it. What ends a thread early, such as SystemExit, is raised as RuntimeError here: it
    would end the event loop. Raises TransientError where the system has no more threads.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()
    context = contextvars.copy_context()

    def settle(result: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        elif isinstance(error, Exception) and not isinstance(error, StopIteration):
            future.set_exception(error)
        else:  # none of these may pass through a future
            wrapped = RuntimeError(f"{type(error).__name__}: {error}")
            wrapped.__cause__ = error
            future.set_exception(wrapped)

    def work() -> None:
        result, error = None, None
        try:
            result = context.run(function, *args)
        except BaseException as raised:
            error = raised
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, error)

    try:
        threading.Thread(target=work, name=name, daemon=True).start()
    except RuntimeError as error:
        raise TransientError(f"no thread for {name}: {error}; too many hang in this process") from error
    return await future
