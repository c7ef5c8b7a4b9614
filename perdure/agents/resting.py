"""Waiting for a time inside an agent: a call that only waits need not keep its slot of the worker."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Final

Wait = Callable[[float], Awaitable[None]]

REST: Final[ContextVar[Wait]] = ContextVar("perdure_rest", default=asyncio.sleep)
"""How the running call waits: its worker sets it."""


async def rest(seconds: float) -> None:
    """Waits. For agents that have done nothing before: a worker whose slots are all taken may end the attempt
    here, and the call is made again when the time is over.
    """
    await REST.get()(seconds)
