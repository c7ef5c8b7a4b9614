"""The agents of the chaos suite: `python -m perdure worker --agents tests/chaos/agents.py`.

All take `params.book`, the folder of the journal, and `params.run`, the id of the run; without a
book they leave no trace. Their value depends on their inputs and `add` alone, never on who computes
it or how often.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

from perdure import AgentContext, agent
from perdure.errors import AgentError, TransientError
from tests.chaos.effects import Book

MODULUS = 1_000_003


def grown(total: int, add: int) -> int:
    """The value of a node whose inputs sum up to `total`: order and number of calls can be seen in it."""
    return (total * 31 + add) % MODULUS


def value_of(inputs: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, int]:
    """What every agent here returns; a string counts by its length."""
    sizes = [len(item) if isinstance(item, str) else item for item in inputs.values()]
    return {"value": grown(int(sum(sizes)), int(params.get("add", 0)))}


class Trace:
    """What one call writes into the book, if it has one."""

    def __init__(self, params: Mapping[str, Any], context: AgentContext) -> None:
        self._book = Book(Path(params["book"])) if params.get("book") else None
        self._run = str(params.get("run", ""))
        self._context = context

    def note(self, kind: str) -> None:
        if self._book is not None:
            self._book.note(kind, self._run, self._context)

    def effect(self) -> None:
        if self._book is not None:
            self._book.effect(self._run, self._context)


@agent("effectAgent")
async def effect(inputs: dict[str, Any], params: dict[str, Any], context: AgentContext) -> dict[str, Any]:
    """Works for `seconds` (0.05), then has its effect; reports a cancellation to the book."""
    trace = Trace(params, context)
    trace.note("begin")
    try:
        await asyncio.sleep(params.get("seconds", 0.05))
    except asyncio.CancelledError:
        trace.note("told")
        raise
    await asyncio.to_thread(trace.effect)
    return value_of(inputs, params)


@agent("syncAgent")
def sync(inputs: dict[str, Any], params: dict[str, Any], context: AgentContext) -> dict[str, Any]:
    """The same in a thread, which hears of nothing."""
    trace = Trace(params, context)
    trace.note("begin")
    time.sleep(params.get("seconds", 0.05))
    trace.effect()
    return value_of(inputs, params)


@agent("pureAgent", pure=True)
def pure(inputs: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    """The same value, without a trace."""
    return value_of(inputs, params)


@agent("flakyAgent")
async def flaky(inputs: dict[str, Any], params: dict[str, Any], context: AgentContext) -> dict[str, Any]:
    """Fails before its effect: as the environment does, by `seed`, and as itself until the retry `fails`.

    With `always` the environment never recovers.
    """
    trace = Trace(params, context)
    trace.note("begin")
    await asyncio.sleep(params.get("seconds", 0.05))
    if context.retry < params.get("fails", 0):
        raise AgentError(f"failure {context.retry} of {params['fails']}")
    chance = Random(f"{params.get('seed', 0)}/{context.path}/{context.attempt}")
    if params.get("always") or (context.attempt <= 2 and chance.random() < 0.4):
        raise TransientError("the environment is not well")
    await asyncio.to_thread(trace.effect)
    return value_of(inputs, params)


@agent("whoAgent")
async def who(params: dict[str, Any], context: AgentContext) -> dict[str, Any]:
    """Works like effectAgent, and returns who did it."""
    trace = Trace(params, context)
    trace.note("begin")
    await asyncio.sleep(params.get("seconds", 0.05))
    await asyncio.to_thread(trace.effect)
    return {"pid": os.getpid(), "attempt": context.attempt}
