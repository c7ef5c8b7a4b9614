"""A way to a server on which replies can get lost: what was asked arrives, and the answer does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class MuteProxy:
    """Passes bytes on to `target`; while it `is_mute`, what comes back is dropped."""

    target: str
    is_mute: bool = False
    address: str = ""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])
    _writers: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self.target.rpartition(":")
        there, to_there = await asyncio.open_connection(host, int(port))
        self._writers |= {writer, to_there}
        ways = ((reader, to_there, False), (there, writer, True))
        self._tasks |= {asyncio.create_task(self._pass_on(*way)) for way in ways}

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, are_replies: bool
    ) -> None:
        with suppress(OSError):
            while piece := await reader.read(65_536):
                if not (are_replies and self.is_mute):
                    writer.write(piece)
                    await writer.drain()
        writer.close()

    async def cut(self) -> None:
        """Ends all connections; the next ones pass everything."""
        self.is_mute = False
        writers, self._writers = self._writers, set()
        for writer in writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)

    async def close(self) -> None:
        await self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def mute_proxy(target: str) -> AsyncIterator[MuteProxy]:
    """The proxy, for as long as the block lasts."""
    proxy = MuteProxy(target)
    listening = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.address = f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        listening.close()
        await proxy.close()
        await listening.wait_closed()
