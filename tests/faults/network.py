"""The network between a worker and the server is cut, and comes back: runs continue, by themselves."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from perdure import daemon
from tests.faults.ground import Figures, chain, client_of, expected, results_of, server_by_hand
from tests.support.cli import PATH
from tests.support.journal import entries, repeats
from tests.support.namespaces import ip, lacks_namespaces
from tests.support.processes import Crew
from tests.support.waiting import until

RETURN = 60.0
"""Seconds after the return of the network in which something must happen again."""


@dataclass(kw_only=True)
class Link:
    """A way to a server that can be cut. `prefix` starts a command at the worker's end."""

    server: str
    address: str
    prefix: tuple[str, ...] = ()

    async def cut(self) -> None:
        raise NotImplementedError

    async def heal(self) -> None:
        raise NotImplementedError


PLAIN = {"PERDURE_INSECURE": "1"}
"""The wire is not on the loopback address."""

Way = Callable[[Path], AbstractAsyncContextManager[Link]]


async def show(figures: Figures, folder: Path, *, short: bool) -> None:
    """Cuts of 20 s and 75 s of a wire between namespaces, and one of 20 s in a proxy.

    One of 3 s where short, in a proxy only if there are no namespaces.
    """
    reason = lacks_namespaces()
    if reason:
        figures.fact("wire", f"skipped: {reason}")
    if short:
        ways = [(proxy if reason else wire, 3.0)]
    else:
        ways = [(proxy, 20.0), *((wire, cut) for cut in (20.0, 75.0) if not reason)]
    for number, (way, seconds) in enumerate(ways):
        place = folder / str(number)
        place.mkdir()
        await _cut_one(figures, place, way, seconds, runs=6 if short else 30, length=5 if short else 12)


async def _cut_one(figures: Figures, folder: Path, way: Way, seconds: float, runs: int, length: int) -> None:
    name, journal = f"{way.__name__} {seconds:g} s", folder / "journal"
    async with way(folder) as link, client_of(folder, TEMPORAL_ADDRESS=link.server) as client:
        env = {"TEMPORAL_ADDRESS": link.address, "PATH": PATH, **PLAIN}
        crew = Crew(folder / "worker", env=env, prefix=link.prefix)
        worker = crew.worker()
        try:
            ids = [f"r{index}" for index in range(runs)]
            for id in ids:
                await client.start(chain(journal, length, 0.5), id=id)
            await until(lambda: len(entries(journal)) > runs, "all runs are under way", 60)
            await link.cut()
            await asyncio.sleep(seconds)
            quiet = len(entries(journal))
            await asyncio.sleep(1)
            figures.must(len(entries(journal)) == quiet, f"{name}: the cut is one")
            await link.heal()
            healed = time.time()
            await until(lambda: len(entries(journal)) > quiet, "a node runs again", 90)
            back = entries(journal)[quiet]["time"] - healed
            results = await results_of(client, ids, 120)
            right = sum(result == expected(length) for result in results.values())
            figures.fact(f"{name}: runs that ended right", f"{right} of {runs}")
            figures.fact(f"{name}: seconds from return to progress", back)
            figures.fact(f"{name}: repeated calls", f"{repeats(journal)} of {runs * length}")
            lines = crew.log.read_text().splitlines()
            away = sum("does not answer" in line for line in lines)
            figures.fact(f"{name}: lines in the worker's log, about the server", f"{len(lines)}, {away}")
            figures.must(right == runs, f"{name}: {results}")
            figures.must(back <= RETURN, f"{name}: back after {back:.1f} s")
            figures.must(worker.poll() is None, f"{name}: the worker lives")
            figures.must(away <= 1 + seconds / 5, f"{name}: at most a line in 5 s: {lines}")
        finally:
            crew.kill_all()


# ---- a wire between two network namespaces ---------------------------------------------------------


@dataclass(kw_only=True)
class Wire(Link):
    """A pair of interfaces; the server's end goes down, so that packets vanish without a word."""

    near: str
    far: str

    async def cut(self) -> None:
        ip("link", "set", self.near, "down")

    async def heal(self) -> None:
        ip("link", "set", self.near, "up")
        ip("route", "replace", self.far, "dev", self.near)


@asynccontextmanager
async def wire(folder: Path) -> AsyncGenerator[Wire]:
    """The worker's end is in a namespace of its own; the server's address stays up when the wire does not."""
    number = os.getpid() % 16_000 * 4
    here, there = (f"198.18.{number >> 8}.{(number & 255) + end}" for end in (1, 2))
    space, near, far = f"perdure-{os.getpid()}", f"pn{os.getpid()}", f"pf{os.getpid()}"
    try:
        ip("netns", "add", space)
        ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", space)
        ip("address", "add", f"{here}/32", "dev", "lo")
        ip("link", "set", near, "up")
        ip("route", "add", there, "dev", near)
        inside = ("ip", "netns", "exec", space)
        for words in (
            ("link", "set", "lo", "up"),
            ("link", "set", far, "up"),
            ("address", "add", f"{there}/32", "dev", far),
            ("route", "add", here, "dev", far),
        ):
            subprocess.run([*inside, "ip", *words], check=True)
        async with proxy(folder, here) as end:  # the server itself listens on loopback
            yield Wire(server=end.server, address=end.address, prefix=inside, near=near, far=there)
    finally:
        for words in (("link", near), ("address", f"{here}/32", "dev", "lo"), ("netns", space)):
            subprocess.run(["ip", words[0], "del", *words[1:]], capture_output=True, check=False)


# ---- a proxy in this process -----------------------------------------------------------------------


@dataclass(kw_only=True)
class Proxy(Link):
    """Bytes pass, or wait where they are, as they do at both ends of a cut wire."""

    flowing: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    async def cut(self) -> None:
        self.flowing.clear()

    async def heal(self) -> None:
        self.flowing.set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self.server.rpartition(":")
        with suppress(OSError):
            await self.flowing.wait()
            there, to_there = await asyncio.open_connection(host, int(port))
            for way in ((reader, to_there), (there, writer)):
                self.tasks.add(asyncio.ensure_future(self.pass_on(*way)))

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):
                while piece := await reader.read(65_536):
                    await self.flowing.wait()
                    writer.write(piece)
                    await writer.drain()
            await self.flowing.wait()
        finally:
            writer.close()


@asynccontextmanager
async def proxy(folder: Path, host: str = "127.0.0.1") -> AsyncGenerator[Proxy]:
    """A way through this process, for systems without namespaces."""
    port = daemon.free_port(host)
    with server_by_hand(folder) as address:
        link = Proxy(server=address, address=f"{host}:{port}")
        await link.heal()
        listening = await asyncio.start_server(link.accept, host, port)
        try:
            yield link
        finally:
            listening.close()
            for task in link.tasks:
                task.cancel()
            await asyncio.gather(*link.tasks, return_exceptions=True)
