"""How the parts of a gang on several hosts find each other: at an address where the host of rank 0 listens.

Why
    Each host has a call of its own, which begins its processes when it is taken. They may be taken minutes
    apart, and each may be repeated alone, because its worker has died.

Invariants
    No part lets its processes go before all parts are there. Rank 0 says where all listen and after which
    step they continue, so all have the same checkpoint. A part that loses the connection ends its processes
    and comes again. None has a result before all have ended well.

Rejected
    Addresses in the run: each would be an event of the history, at each start again, and the run would have
    to be awake to pass them on.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from perdure.agents.engines.gang_files import GangFiles
from perdure.errors import TransientError

JOIN_PAUSE_S: Final = 0.1
"""Seconds between two tries to reach rank 0."""

_KEEPALIVE: Final = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
"""Seconds and tries after which the system notices that a host is gone without a word."""

_DONE: Final = b"done\n"
_BYE: Final = b"bye\n"


@dataclass(slots=True)
class Link:
    """The connection to another part."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def said(self, word: bytes) -> None:
        """Waits until the other part says this. Raises ConnectionError where it ends instead."""
        if await self.reader.readline() != word:
            raise ConnectionResetError("a part of the gang on another host has ended")

    async def say(self, data: bytes) -> None:
        """Sends it."""
        self.writer.write(data)
        await self.writer.drain()

    async def row(self) -> dict[str, Any]:
        """An object that was sent as a line. Raises ConnectionError."""
        line = await self.reader.readline()
        if not line.endswith(b"\n"):
            raise ConnectionResetError("a part of the gang on another host has ended")
        return json.loads(line)


@dataclass(slots=True)
class Meeting:
    """Where the parts of a gang meet: `rank` of `size`, at `host` and `port`. All have the same `gang`."""

    files: GangFiles
    gang: str
    rank: int
    size: int
    host: str
    port: int
    gather_s: float
    links: dict[int, Link] = field(default_factory=dict[int, Link])

    @asynccontextmanager
    async def met(self) -> AsyncGenerator[None]:
        """All parts are there while the block runs. Raises TransientError if they do not come in time."""
        try:
            async with asyncio.timeout(self.gather_s):
                server = await (self._hosted() if self.rank == 0 else self._joined())
        except (TimeoutError, OSError, ValueError) as error:
            self._close()
            here = len(self.links) + 1 if self.rank == 0 else 1
            finding = f"{here} of {self.size} parts of the gang have met at {self.host}:{self.port}"
            raise TransientError(f"{finding} after {self.gather_s:g} s: all are ended") from error
        try:
            yield
        finally:
            if server is not None:
                server.close()
            self._close()

    async def lost(self) -> None:
        """Returns when the processes of all parts have ended well. Raises ConnectionError if one is lost."""
        if self.rank == 0:
            await asyncio.gather(*(link.said(_DONE) for link in self.links.values()))
        else:
            await self.links[0].said(_DONE)

    async def finish(self, others: asyncio.Task[None]) -> None:
        """The processes of this part have ended well: waits for the `others`. Raises ConnectionError."""
        if self.rank == 0:
            await others
            self.files.write_finished()
            for link in self.links.values():
                with suppress(ConnectionError):
                    await link.say(_DONE)
            with suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(self.gather_s):
                    await asyncio.gather(*(link.said(_BYE) for link in self.links.values()))
        else:
            await self.links[0].say(_DONE)
            await others
            self.files.write_finished()
            with suppress(ConnectionError):
                await self.links[0].say(_BYE)

    async def _hosted(self) -> asyncio.Server:
        """Waits until all others have come, and says where all listen and what the checkpoint is."""
        addresses: dict[int, tuple[str, int]] = {}
        complete = asyncio.Event()

        async def came(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            link = _link(reader, writer)
            with suppress(ConnectionError, ValueError, KeyError, TypeError):
                row = await link.row()
                rank, port = int(row["rank"]), int(row["port"])
                if row["gang"] == self.gang and 0 < rank < self.size:
                    if (earlier := self.links.get(rank)) is not None:
                        earlier.writer.close()  # its host has begun again
                    if complete.is_set():
                        raise ConnectionResetError("the gang has begun without it: it is to come again")
                    self.links[rank] = link
                    addresses[rank] = (writer.get_extra_info("peername")[0], port)
                    if len(self.links) == self.size - 1:
                        complete.set()
                    return
            writer.close()

        server = await asyncio.start_server(came, None, self.port)
        try:
            if self.size > 1:
                await complete.wait()
            own = self.files.address(0)
            assert own is not None
            step, data = self.files.checkpoint_data()
            places = {**addresses, 0: (self.host, own[1])}
            head = {"addresses": [[rank, *place] for rank, place in places.items()], "step": step}
            self._note(places)
            message = json.dumps({**head, "bytes": len(data)}).encode() + b"\n" + data
            await asyncio.gather(*(link.say(message) for link in self.links.values()))
        except BaseException:
            server.close()
            raise
        return server

    async def _joined(self) -> None:
        """Comes to rank 0, as soon as that listens, and keeps what it says."""
        own = self.files.address(self.rank)
        assert own is not None
        hello = json.dumps({"gang": self.gang, "rank": self.rank, "port": own[1]}).encode() + b"\n"
        while True:
            with suppress(OSError, EOFError):
                link = _link(*await asyncio.open_connection(self.host, self.port))
                self.links[0] = link
                await link.say(hello)
                head = await link.row()
                data = await link.reader.readexactly(int(head["bytes"]))
                self.files.keep_checkpoint(int(head["step"]), data)
                self._note({int(rank): (host, int(port)) for rank, host, port in head["addresses"]})
                return
            self._close()
            await asyncio.sleep(JOIN_PAUSE_S)

    def _note(self, places: dict[int, tuple[str, int]]) -> None:
        for rank, (host, port) in places.items():
            if rank != self.rank:
                self.files.write_address(rank, host, port)

    def _close(self) -> None:
        for link in self.links.values():
            link.writer.close()
        self.links.clear()


def _link(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Link:
    """A link that ends some 20 seconds after the other host has, also if that could not say so."""
    own: socket.socket = writer.get_extra_info("socket")
    own.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):
            own.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return Link(reader, writer)
