"""Filters that only watch: what agents stream, and that a node is done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from perdure.agents.filters import Filter, FilteredCall, Next
from perdure.graph.values import Value


def streaming(receive: Callable[[FilteredCall, Value], Awaitable[None]]) -> Filter:
    """A filter that passes each piece that an agent emits to `receive`, for isResult nodes only.

    Pieces that come when the call is over, from a thread that outlived its time limit, are dropped.
    """

    async def stream(call: FilteredCall, next: Next) -> Value:
        if not call.context.is_result:
            return await next(call)
        open = True

        async def emit(piece: Value, /) -> None:
            if open:
                await receive(call, piece)
                await call.context.emit(piece)

        try:
            return await next(replace(call, context=replace(call.context, emit=emit)))
        finally:
            open = False

    return stream


def stepping(pause: Callable[[FilteredCall, Value], Awaitable[None]]) -> Filter:
    """A filter that awaits `pause(call, result)` after each call, before the run continues."""

    async def step(call: FilteredCall, next: Next) -> Value:
        result = await next(call)
        await pause(call, result)
        return result

    return step
