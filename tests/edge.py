"""A device that is cut off from its hub, and all that dies meanwhile: python -m tests.edge

Starts a device (`perdure edge`) and a hub (`perdure worker`, `perdure gateway http`), each with a server of
its own and the files that docs/edge.md shows. The device has 1,000 runs; the gateway of the hub is not there
for the first half of them. From then on, by a seed, the device, its server, and the gateway, the server and
the worker of the hub are killed with SIGKILL and started again. Prints what the hub has counted, and the
traces of frames that are in its files, and exits with 1 if that is not each run once and no trace.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from perdure import daemon
from perdure.cli import logs
from perdure.client import GraphClient
from perdure.errors import ConnectionFailed, NotFound, RunConflict
from perdure.graph.text.load import load
from perdure.settings import Settings
from perdure.storage.outbox import Outbox
from tests.support import edge
from tests.support.canary import CANARY, traces_in
from tests.support.durable import connected
from tests.support.processes import Parts

LIMIT_S: Final = 1_200
TOGETHER_COUNT: Final = 20
VICTIMS: Final = ("device", "device-server", "gateway", "worker", "hub-server")


@dataclass
class Pair(Parts):
    """The processes of device and hub, by name."""

    port: int = field(default_factory=lambda: daemon.free_port("127.0.0.1"))

    def home(self, side: str) -> Path:
        return self.folder / f"home-{side}"

    def start(self, name: str) -> None:
        hub = f"http://127.0.0.1:{self.port}"
        store = ("--agents", "store.py", "--data", "cameras=frames.txt")
        words = {
            "device": ("edge", "--hub", hub, "--token-file", "token", "--name", "store-7", *store),
            "gateway": ("gateway", "http", "--routes", "routes.yaml", "--port", str(self.port)),
            "worker": ("worker",),
        }[name]
        home = self.home("device" if name == "device" else "hub")
        self.processes[name] = self.perdure(name, home, *words)

    def kill(self, name: str) -> None:
        side, _, is_server = name.partition("-")
        if is_server:
            self.kill_server_of(name, self.home(side))
        else:
            self.kill_part(name)

    def close(self) -> None:
        self.end(self.home("device"), self.home("hub"))


async def played(count: int, kills: int, source: random.Random) -> tuple[Any, list[str], Counter[str]]:
    """What the run of the hub has counted, the traces of frames on the hub, and what was killed."""
    with tempfile.TemporaryDirectory() as name:
        parts = Pair(edge.written(Path(name) / "files", count, CANARY))
        try:
            async with connected(parts.home("hub")) as hub, connected(parts.home("device")) as device:
                parts.start("worker")
                parts.start("device")
                portions = _portions(count)
                connected_from = portions[len(portions) // 2].start
                victims = _victims(range(connected_from, count), kills, source)
                for numbers in portions:
                    if numbers.start == connected_from:
                        await _cut_ends(parts)
                    await _run(parts, device, numbers, [victims[n] for n in numbers if n in victims])
                total = await _total(hub)
            await asyncio.to_thread(parts.close)
            return total, traces_in(parts.home("hub"), *_logs(parts)), parts.kills
        finally:
            parts.close()


async def _cut_ends(parts: Pair) -> None:
    status = Outbox.of(Settings(home=parts.home("device"))).status()
    print(f"the cut ends: {status.waiting} events wait; {status.why}")
    parts.start("gateway")
    token = parts.home("hub") / "gateway.token"
    while not token.exists() or not token.read_text().strip():
        await asyncio.sleep(0.1)
    (parts.folder / "token").write_text(token.read_text())


def _portions(count: int) -> list[range]:
    """The runs that are under way together."""
    size = max(1, min(TOGETHER_COUNT, count // 2))
    return [range(first, min(first + size, count)) for first in range(0, count, size)]


def _victims(numbers: range, kills: int, source: random.Random) -> dict[int, str]:
    """What is killed next to which run; at most one part for each."""
    chosen = source.sample(numbers, min(kills, len(numbers)))
    return {number: VICTIMS[n % len(VICTIMS)] for n, number in enumerate(chosen)}


async def _run(parts: Pair, device: GraphClient, numbers: range, victims: Sequence[str]) -> None:
    graph = load((parts.folder / "visit.yaml").read_bytes()).data
    running = asyncio.gather(*(_one(device, graph, number) for number in numbers))
    for name in victims:
        await asyncio.to_thread(parts.kill, name)
    await running


async def _one(device: GraphClient, graph: Any, number: int) -> None:
    """Starts the run and waits for its end, whatever becomes of the server of the device meanwhile."""
    while True:
        try:
            run = await device.start(graph, {"minute": number}, id=f"visit-{number}")
            await run.result()
            return
        except (ConnectionFailed, RunConflict):
            await asyncio.sleep(0.5)


async def _total(hub: GraphClient) -> Any:
    while True:
        try:
            return (await hub.get("store-store-7").result()).results["total"]
        except (ConnectionFailed, NotFound):  # no event of the device has started it yet
            await asyncio.sleep(0.5)


def _logs(parts: Pair) -> list[bytes]:
    return [(parts.folder / f"{name}.log").read_bytes() for name in ("gateway", "worker")]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.edge")
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(arguments)
    if args.runs < 1 or args.kills < 0:
        parser.error("--runs is at least 1, and --kills at least 0")
    logs.quiet_core()
    logging.disable(logging.WARNING)  # of the kills
    began = time.monotonic()
    playing = asyncio.wait_for(played(args.runs, args.kills, random.Random(args.seed)), LIMIT_S)
    total, traces, kills = asyncio.run(playing)
    killed = ", ".join(f"{name} {times}" for name, times in sorted(kills.items()))
    expected = edge.expected(args.runs)
    print(
        f"{args.runs:,} runs on the device, killed: {killed or 'nothing'}; the hub has {total}, expected "
        f"{expected}; {len(traces)} traces of frames on the hub; {time.monotonic() - began:.1f} s"
    )
    return 0 if total == expected and not traces else 1


if __name__ == "__main__":
    sys.exit(main())
