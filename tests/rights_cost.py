"""What keys and a policy cost: python -m tests.rights_cost [--turns N]

In turns, on one server and in one process, each graph runs without both, with signed payloads, and with
a policy as well that allows what it does. Prints the processor time of client and worker and the wall
time, as multiples of those without both: by the lower quartiles of all turns, which the rest of the
machine disturbs least, next to those of a second side without both, which show how far to trust them.
Exits with 1 if one of the processor times is above the limit.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from bench.graphs import chain, rows
from perdure import agent, server
from perdure.agents.catalog import agents_by_name, catalog
from perdure.client import GraphClient, connect
from perdure.protocol.wire import to_payload
from perdure.settings import Settings
from perdure.transport import codec_for
from perdure.worker import WorkerOptions, build_worker

MAX_COST: Final = 1.03
CHAIN_COUNT: Final = 1_000
ROW_COUNT: Final = 1_000
CONCURRENCY: Final = 8
GRAPHS: Final = {
    "chain": chain(CHAIN_COUNT, "addOneAgent"),
    "map": rows(ROW_COUNT, "addOneAgent", CONCURRENCY),
}
POLICY: Final = 'policy: 1\nprofile: all\nprofiles: {all: {agents: ["@pure"]}}\n'


@agent("addOneAgent", pure=True)
def add_one(inputs: dict[str, Any]) -> dict[str, Any]:
    """The least that an agent can do."""
    return {"n": inputs["n"] + 1}


@asynccontextmanager
async def serving(settings: Settings, queue: str) -> AsyncGenerator[GraphClient]:
    """A client and a worker of this process with the same settings."""
    settings = replace(settings, queue=queue)
    agents = {**catalog(), **agents_by_name([add_one])}
    async with await connect(settings) as client:
        options = WorkerOptions(agents=agents, settings=client.settings)
        async with build_worker(client.temporal, queue, options):
            yield client


async def measured(client: GraphClient, graph: dict[str, Any]) -> tuple[float, float]:
    """Seconds of the processor, and of the clock."""
    cpu, wall = time.process_time(), time.perf_counter()
    run = await client.start(graph, name="cost")
    await run.result()
    return time.process_time() - cpu, time.perf_counter() - wall


async def compared(sides: Sequence[GraphClient], graph: dict[str, Any], turns: int) -> list[list[float]]:
    """Processor and clock of each side, as multiples of those of the first, by the lower quartiles."""
    for side in sides:
        await measured(side, graph)
    taken: list[list[tuple[float, float]]] = [[] for _ in sides]
    order = list(range(len(sides)))
    for _ in range(turns):
        order = [*order[1:], order[0]]
        for number in order:
            taken[number].append(await measured(sides[number], graph))
    quarters = [
        [statistics.quantiles([one[kind] for one in side], n=4)[0] for kind in (0, 1)] for side in taken
    ]
    return [[own / first for own, first in zip(side, quarters[0], strict=True)] for side in quarters]


async def payload_us(settings: Settings, size: int) -> float:
    """Microseconds to sign a payload of `size` bytes and to verify it."""
    codec = codec_for(settings)
    assert codec is not None
    payloads = [to_payload("x" * size)] * 100
    took: list[float] = []
    for _ in range(20):
        began = time.perf_counter()
        await codec.decode(await codec.encode(payloads))
        took.append(time.perf_counter() - began)
    return min(took) / len(payloads) * 1e6


async def main(turns: int) -> int:
    failed = 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        policy = home / "policy.yaml"
        policy.write_text(POLICY)
        plain = Settings(home=home, codec="off")
        keyed = replace(plain, codec="mac", policy=policy)
        for size in (200, 2_000, 200_000):
            took = await payload_us(keyed, size)
            print(f"{size:>7,} bytes: {took:.1f} us to sign and to verify", flush=True)
        try:
            async with AsyncExitStack() as stack:
                settings = {
                    "plain": plain,
                    "again": plain,
                    "signed": replace(plain, codec="mac"),
                    "both": keyed,
                }
                sides = [
                    await stack.enter_async_context(serving(each, queue)) for queue, each in settings.items()
                ]
                for name, graph in GRAPHS.items():
                    _, again, signed, both = await compared(sides, graph, turns)
                    failed += both[0] > MAX_COST
                    print(f"pure {name}, processor and clock, {turns} turns")
                    for side, (cpu, wall) in (
                        ("signed", signed),
                        ("and a policy", both),
                        ("again without", again),
                    ):
                        print(f"{side:>16} {cpu:.3f} {wall:.3f}", flush=True)
        finally:
            server.stop(plain)
    return 1 if failed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.rights_cost", description=__doc__)
    parser.add_argument("--turns", type=int, default=51, help="runs of each side (%(default)s)")
    sys.exit(asyncio.run(main(parser.parse_args().turns)))
