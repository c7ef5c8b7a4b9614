"""Waiting for what will come: looked at again and again, until a deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

PAUSE = 0.05
"""Seconds between two looks."""


async def until(check: Callable[[], Any], what: str = "it holds", seconds: float = 120.0) -> Any:
    """What `check` returns, or what it returns awaited, as soon as it is truthy. Fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = check()
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        await asyncio.sleep(PAUSE)


def wait_until(check: Callable[[], Any], what: str = "it holds", seconds: float = 120.0) -> Any:
    """The same without an event loop."""
    deadline = time.monotonic() + seconds
    while not (value := check()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(PAUSE)
    return value
