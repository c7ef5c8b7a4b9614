"""Agents that do not behave: that hang, that block the event loop, that do not want to end."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from perdure import agent


@agent("hangAgent")
def hang(inputs: dict[str, Any]) -> dict[str, Any]:
    """Never returns."""
    while True:
        time.sleep(0.5)


@agent("blockAgent")
async def block(params: dict[str, Any]) -> dict[str, Any]:
    """Takes the event loop for `seconds`."""
    time.sleep(params["seconds"])
    return {"blocked": params["seconds"]}


@agent("stubbornAgent")
async def stubborn() -> dict[str, Any]:
    """Cannot be cancelled."""
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            continue
