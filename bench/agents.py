"""The agents of the graphs that are measured; bench/hand_written.py calls the same functions."""

from __future__ import annotations

import asyncio
from typing import Any

from perdure import agent

PAUSE = 0.05
"""Seconds that `pause` waits."""


@agent("step")
async def step(inputs: Any) -> Any:
    """Counts one up. Not declared pure, so each call is an activity."""
    return {"n": inputs["n"] + 1}


@agent("collect")
async def collect(inputs: Any) -> Any:
    """How many there are; an activity."""
    return {"n": len(inputs["items"])}


@agent("pause")
async def pause(inputs: Any) -> Any:
    """Waits, as an agent that asks a service does."""
    await asyncio.sleep(PAUSE)
    return {"n": len(inputs)}


@agent("keep")
async def keep(inputs: Any) -> Any:
    """Its own inputs; an activity."""
    return inputs


@agent("add", pure=True)
def add(inputs: Any) -> Any:
    """Counts one up; pure."""
    return {"n": inputs["n"] + 1}


@agent("count", pure=True)
def count(inputs: Any) -> Any:
    """How many there are; pure."""
    return {"n": len(inputs["items"])}
