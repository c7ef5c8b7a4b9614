"""What comes before the answer of a server: a bounded number of bytes, read a little at a time.

Why. A server may send any number of interim responses (103 Early Hints) first. The HTTP client reads them one
after another as long as there are any, without an end and without a pause for anything else.

Rejected: a time limit alone. Until it is over, all other calls of the worker wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from perdure.errors import AgentError

MAX_RESPONSE_HEAD_BYTES: Final = 1_000_000
"""Bytes that may come before the body of an answer."""

HEAD_READ_BYTES: Final = 4_096
"""Bytes that are read at a time until then."""

_STREAMS: Final = ("connection.connect_tcp.complete", "connection.start_tls.complete")


@dataclass(slots=True)
class _Head:
    """What was read of the answer to the request of this task, until its head was complete."""

    size: int = 0
    is_read: bool = False


_HEAD: Final = ContextVar[_Head | None]("response head", default=None)


async def trace(event: str, info: dict[str, Any]) -> None:
    """Bounds the head of the answer to one request: the extension `trace` of that request."""
    if event in _STREAMS:
        stream = info["return_value"]
        stream.read = _bounded(stream.read)
    elif event == "http11.receive_response_headers.started":
        _HEAD.set(_Head())
    elif event == "http11.receive_response_headers.complete":
        head = _HEAD.get()
        if head is not None:
            head.is_read = True


def _bounded(read: Callable[..., Awaitable[bytes]]) -> Callable[..., Awaitable[bytes]]:
    async def bounded(max_bytes: int, timeout: float | None = None) -> bytes:
        head = _HEAD.get()
        if head is None or head.is_read:
            return await read(max_bytes, timeout)
        if head.size > MAX_RESPONSE_HEAD_BYTES:
            raise AgentError(f"the server sends {head.size:,} bytes before its answer")
        piece = await read(min(max_bytes, HEAD_READ_BYTES), timeout)
        head.size += len(piece)
        await asyncio.sleep(0)  # what has arrived is read without a wait: others have their turn
        return piece

    return bounded
