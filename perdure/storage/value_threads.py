"""Threads in which large values are encoded, hashed and compared.

Why. The event loop has a few threads of its own, which agents hold for as long as they like: that is what
`asyncio.to_thread` is for. If the values of other runs had to wait for them, half a dozen hanging calls of
one run would keep every other one waiting. What is done here computes, so each thread is free again soon.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sized
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Final, TypeVar, cast

from perdure.graph.values import Value

Result = TypeVar("Result")

VALUE_THREAD_COUNT: Final = 4
"""Values that one process works on at a time: more threads than cores would make none of them faster."""

_THREADS: Final = ThreadPoolExecutor(VALUE_THREAD_COUNT, "perdure-values")


async def in_value_thread(work: Callable[..., Result], *args: Any) -> Result:
    """The result of `work(*args)`, which computes and does not wait."""
    context = copy_context()
    return await asyncio.get_running_loop().run_in_executor(_THREADS, lambda: context.run(work, *args))


async def encoded_apart(value: Value, work: Callable[[], Result]) -> Result:
    """Encodes in a thread what may take long: a long string, or many members."""
    is_large = isinstance(value, str | list | dict) and len(cast("Sized", value)) > 2_000
    return await in_value_thread(work) if is_large else work()
