"""How long a run takes next to others that want all of its worker: python -m tests.fairness

One worker with eight slots, an embedded server, and a small run, timed alone and then next to each kind of
neighbour. Prints seconds; pytest looks at the order of calls instead (tests/workflows/test_fairness.py).
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from perdure import agent
from perdure.agents.catalog import agents_by_name, catalog
from perdure.client import GraphClient
from perdure.runs import Run
from perdure.worker import WorkerOptions, build_worker
from tests.support.durable import embedded
from tests.support.waiting import until

SLOT_COUNT: Final = 8
SAMPLE_COUNT: Final = 5


@agent("waitAgent")
async def wait(params: dict[str, Any]) -> None:
    """A call that takes its time."""
    await asyncio.sleep(params["seconds"])


@agent("busyAgent", pure=True)
def busy(params: dict[str, Any]) -> int:
    """A pure agent that computes for longer than it should."""
    end = time.monotonic() + params["seconds"]
    while time.monotonic() < end:
        pass
    return 1


def calls(count: int, seconds: float) -> dict[str, Any]:
    """A run with this many calls at once."""
    node = {"agent": "waitAgent", "params": {"seconds": seconds}, "isResult": True}
    return {"version": 0.5, "concurrency": count, "nodes": {f"n{i}": node for i in range(count)}}


def endless(seconds: float) -> dict[str, Any]:
    """A run that calls a pure agent again and again."""
    count = {"value": 0, "update": ":busy"}
    pure = {"agent": "busyAgent", "params": {"seconds": seconds}, "inputs": {"n": ":count"}}
    nodes = {"go": {"value": True}, "count": count, "busy": pure}
    return {"version": 0.5, "loop": {"while": ":go"}, "nodes": nodes}


SLEEPING: Final[dict[str, Any]] = {
    "version": 0.5,
    "nodes": {"s": {"agent": "sleeperAgent", "params": {"duration": 3_600_000}, "isResult": True}},
}

NEIGHBOURS: Final[Mapping[str, list[dict[str, Any]]]] = {
    "no other run": [],
    "a run with 500 calls of 2 s": [calls(500, 2)],
    "a run with 500 calls of an hour": [calls(500, 3600)],
    "30 runs whose agent sleeps for an hour": [SLEEPING] * 30,
    "three runs of pure agents, 0.001 s each": [endless(0.001)] * 3,
    "three runs of pure agents, 9 s each": [endless(9)] * 3,
}


async def measure() -> None:
    """Prints a line for each kind of neighbour."""
    agents = {**catalog(), **agents_by_name([wait, busy])}
    with tempfile.TemporaryDirectory() as home:
        async with embedded(Path(home) / "home") as client:
            for number, (name, documents) in enumerate(NEIGHBOURS.items()):
                options = WorkerOptions(agents=agents, settings=client.settings, concurrent_agents=SLOT_COUNT)
                queue = f"fairness-{number}"
                async with build_worker(client.temporal, queue, options):
                    others = [await client.start(document, queue=queue) for document in documents]
                    await until(lambda others=others: _all_begun(others), "the neighbours have begun")
                    took = [await _timed(client, queue) for _ in range(SAMPLE_COUNT)]
                    for run in others:
                        await run.terminate("measured")
                print(
                    f"{statistics.median(took):6.2f} s, {max(took):6.2f} s at most, next to {name}",
                    flush=True,
                )


async def _all_begun(runs: list[Run]) -> bool:
    histories = [await run.handle.fetch_history() for run in runs]
    return all(len(history.events) > 4 for history in histories)


async def _timed(client: GraphClient, queue: str) -> float:
    """Seconds that three calls and a pure agent take."""
    document = calls(3, 0.0)
    document["nodes"]["pure"] = {"agent": "copyAgent", "inputs": {"x": 1}, "isResult": True}
    began = time.monotonic()
    await (await client.start(document, queue=queue)).result()
    return time.monotonic() - began


if __name__ == "__main__":
    asyncio.run(measure())
