"""What goes over a connection: a relay in front of a server, which keeps what it passes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Wire:
    """The address to connect to, and the bytes that were sent to the server."""

    address: str = ""
    sent: bytearray = field(default_factory=bytearray)


@asynccontextmanager
async def recorded_wire(server: str) -> AsyncIterator[Wire]:
    """A relay to the server at this address."""
    wire, open_connections = Wire(), set[asyncio.Task[None]]()
    host, _, port = server.rpartition(":")

    async def pump(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray | None
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                if kept is not None:
                    kept += data
                writer.write(data)
                await writer.drain()
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_connections.add(task)
        try:
            far_reader, far_writer = await asyncio.open_connection(host, int(port))
            await asyncio.gather(pump(reader, far_writer, wire.sent), pump(far_reader, writer, None))
        except asyncio.CancelledError:
            pass
        finally:
            for each in (writer, far_writer):
                each.close()
                with suppress(ConnectionError):
                    await each.wait_closed()
            open_connections.discard(task)

    relay = await asyncio.start_server(connected, "127.0.0.1", 0)
    wire.address = f"127.0.0.1:{relay.sockets[0].getsockname()[1]}"
    try:
        yield wire
    finally:
        relay.close()
        for task in [*open_connections]:
            task.cancel()
        await asyncio.gather(*open_connections, return_exceptions=True)
        await relay.wait_closed()
