"""Calls that share an activity: they are made at the same time, and fail apart from each other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

from perdure.engine.messages import AgentCompleted
from perdure.engine.outcomes import encoded, failure_of
from perdure.errors import AgentTimeout
from perdure.graph.values import Value
from perdure.protocol.payloads import AgentCall


async def together(
    calls: Sequence[AgentCall], answer: Callable[[AgentCall], Awaitable[Value]], limit_s: float | None
) -> list[Value]:
    """The answers to all calls, in the form of perdure.engine.outcomes.encoded, within `limit_s` seconds."""
    tasks = [asyncio.create_task(_apart(call, answer)) for call in calls]
    try:
        _, late = await asyncio.wait(tasks, timeout=limit_s)
    except asyncio.CancelledError:
        await _stopped(tasks)
        raise
    await _stopped(late)
    timeout = encoded(failure_of(AgentTimeout(limit_s)))
    return [timeout if task in late else task.result() for task in tasks]


async def _apart(call: AgentCall, answer: Callable[[AgentCall], Awaitable[Value]]) -> Value:
    try:
        return encoded(AgentCompleted(0, await answer(call)))
    except Exception as error:
        return encoded(failure_of(error))


async def _stopped(tasks: Collection[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
