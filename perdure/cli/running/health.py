"""The health of a worker over HTTP: ``/healthz``, it lives; ``/readyz``, it serves and Temporal answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from perdure.errors import UsageError
from perdure.settings import Settings

Ready = Callable[[], Awaitable[bool]]
REASONS = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}
HEALTH_REQUEST_TIMEOUT_S = 10.0
"""Seconds for one request."""


@asynccontextmanager
async def served(settings: Settings, ready: Ready) -> AsyncGenerator[None]:
    """Answers at the host and port of the settings, if there is a port. Raises UsageError if it is taken."""
    if settings.health_port is None:
        yield
        return
    host, port = settings.health_host, settings.health_port

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, ValueError):
            async with asyncio.timeout(HEALTH_REQUEST_TIMEOUT_S):
                line = await reader.readline()
                while (await reader.readline()).strip():
                    pass
                writer.write(response(*await _answer(line, ready)))
                await writer.drain()
        writer.close()

    try:
        server = await asyncio.start_server(handle, host, port, limit=16_384)
    except OSError as error:
        raise UsageError(
            f"PERDURE_HEALTH_PORT: cannot listen on {host}:{port}: {error.strerror}",
            hint="choose another port",
        ) from error
    async with server:
        yield


async def _answer(line: bytes, ready: Ready) -> tuple[int, str]:
    method, path = [*line.decode("latin-1").split(), "", ""][:2]
    if method not in ("GET", "HEAD"):
        return 405, "only GET"
    if path == "/healthz":
        return 200, "alive"
    if path == "/readyz":
        return (200, "ready") if await ready() else (503, "not ready")
    return 404, "there are /healthz and /readyz"


def response(status: int, text: str) -> bytes:
    """An HTTP response that ends the connection."""
    head = f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: text/plain\r\n"
    return f"{head}Content-Length: {len(text) + 1}\r\nConnection: close\r\n\r\n{text}\n".encode()
