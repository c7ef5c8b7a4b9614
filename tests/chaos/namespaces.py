"""Three hosts, each with a network of its own, and the wire of one is cut while all of them are called.

Each call has to be made on the host that it is for, and none may be lost: the calls for the host that is away
wait for it.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.report import Verdict, aftermath
from tests.chaos.world import world_in
from tests.support.namespaces import Host, hosts, lacks_namespaces
from tests.support.waiting import until

AGENTS = Path(__file__).with_name("places.py")
NAMES = ("north", "south", "west")
_PASS = re.compile(r"calls@(\d+)")


@dataclass(frozen=True)
class Options:
    """Each host is called once in each of `passes`; the wire of one is cut for `cut` seconds."""

    passes: int = 20
    cut: float = 20.0


async def run(options: Options, home: Path) -> Verdict:
    """Three hosts as network namespaces; skipped without root, or without `ip` (iproute2)."""
    verdict = Verdict(f"3 hosts, {options.passes} calls of each, one is cut off for {options.cut:g} s")
    reason = lacks_namespaces()
    if reason:
        verdict.tell("skipped", reason)
        return verdict
    async with world_in(home) as world:
        server = world.client.temporal.service_client.config.target_host
        with hosts(NAMES) as (here, places):
            async with _relayed(server, here) as address:
                await world.worker(agents=AGENTS)
                for name, host in places.items():
                    options_ = ["--host", name, "--label", "site"]
                    await world.worker(agents=AGENTS, options=options_, prefix=host.prefix, address=address)
                run = await world.client.start(graph(options.passes), id="places")
                await until(lambda: _is_in_pass(run, 3), "three passes are over")
                places["west"].cut()
                began = time.monotonic()
                await asyncio.sleep(options.cut)
                verdict.equal("the run gets three passes further meanwhile", await _is_in_pass(run, 6), False)
                places["west"].heal()
                verdict.tell("seconds without the wire", f"{time.monotonic() - began:.1f}")
                log = (await asyncio.wait_for(run.result(), 600)).results["rounds"]["log"]
                _judge(verdict, log, places, options)
                await aftermath(world, verdict)
    return verdict


async def _is_in_pass(run: Any, number: int) -> bool:
    status = await run.status()
    matches = () if status is None else (_PASS.search(node.path) for node in status.nodes)
    return any(int(match[1]) >= number for match in matches if match)


def _judge(verdict: Verdict, log: Any, places: dict[str, Host], options: Options) -> None:
    expected = [{"host": name, "network": places[name].id} for name in NAMES]
    verdict.equal("passes", len(log), options.passes)
    verdict.none("passes without all hosts, or with a call elsewhere", [at for at in log if at != expected])


@asynccontextmanager
async def _relayed(server: str, here: str) -> AsyncGenerator[str]:
    """An address of `here` that leads to the server, which listens on the loopback of this machine only."""
    name, _, port = server.rpartition(":")
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to_there = await asyncio.open_connection(name, int(port))
        for source, sink in ((reader, to_there), (there, writer)):
            tasks.add(asyncio.ensure_future(_pass_on(source, sink)))

    listening = await asyncio.start_server(accept, here, 0)
    try:
        yield f"{here}:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    finally:
        writer.close()


def graph(passes: int) -> dict[str, Any]:
    """Asks which hosts are there, and calls each of them again and again."""
    where = {
        "agent": "placeAgent",
        "queue": ":row.queue",
        "heartbeat": 2,
        "inputs": {"pass": ":pass"},
        "isResult": True,
    }
    rounds: dict[str, Any] = {
        "log": {"value": [], "update": ":noted.array"},
        "calls": {
            "agent": "mapAgent",
            "inputs": {"rows": ":members.rows", "pass": "@loop"},
            "params": {"compositeResultKey": "at"},
            "graph": {"nodes": {"at": where}},
        },
        "noted": {"agent": "pushAgent", "inputs": {"array": ":log", "item": ":calls"}, "isResult": True},
    }
    outer: dict[str, Any] = {
        "members": {"agent": "membersAgent", "params": {"label": "site", "atLeast": len(NAMES)}},
        "rounds": {
            "agent": "nestedAgent",
            "inputs": {"members": ":members"},
            "output": {"log": ".noted.array"},
            "isResult": True,
            "graph": {"loop": {"count": passes}, "nodes": rounds},
        },
    }
    return {"version": 0.5, "nodes": outer}
