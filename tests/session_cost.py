"""What a session costs, and what becomes of it if its worker dies: python -m tests.session_cost

In turns, runs of a hundred calls one after another, as activities and as calls of a session, on the queue of
the run, where the server hands them back to the same worker at once, and on another one. Then runs of a
session of twenty calls, in each of which the worker that holds it is killed with SIGKILL in another call.
Exits with 1 if calls of a session take more than 1.2 times as long as activities on the same queue, or if a
sum is not that of a run in which no worker died.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from perdure import agent, server
from perdure.client import GraphClient
from perdure.settings import Settings
from tests.support.durable import connected
from tests.support.processes import Crew

CALL_COUNT: Final = 100
KILLED_CALL_COUNT: Final = 20
MAX_RATIO: Final = 1.2
LIMIT_S: Final = 300


@agent("plainSumAgent")
async def plain_sum(inputs: dict[str, Any]) -> int:
    """The same work without a state."""
    return inputs["so_far"] + inputs["add"]


@agent("sumAgent")
class Sum:
    """Adds up, and ends its process in the call that a file of this name asks for."""

    def __init__(self) -> None:
        self.total = 0

    async def call(self, inputs: dict[str, Any]) -> int:
        self.total += inputs["add"]
        death = Path(inputs.get("death") or "/nowhere")
        if death.exists() and int(death.read_text()) == inputs["add"]:
            death.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.total

    def checkpoint(self) -> int:
        return self.total

    def restore(self, checkpoint: int) -> None:
        self.total = checkpoint


def summing(count: int, session: Any, death: str = "", queue: str = "") -> dict[str, Any]:
    """A graph that adds 1 to `count`, one after another."""
    inputs: dict[str, Any] = {"add": ":add", "so_far": ":so_far", "death": death}
    node: dict[str, Any] = {"agent": "plainSumAgent", "inputs": inputs, "heartbeat": 1, "isResult": True}
    if queue:
        node["queue"] = queue
    if session is not None:
        node |= {"agent": "sumAgent", "session": session}
    nodes = {
        "add": {"value": 1, "update": ":add.add(1)"},
        "so_far": {"value": 0, "update": ":sum"},
        "sum": node,
    }
    return {"loop": {"count": count}, "nodes": nodes}


async def seconds(client: GraphClient, session: Any, queue: str = "") -> float:
    began = time.monotonic()
    graph = summing(CALL_COUNT, session, queue=queue)
    run = await client.start(graph, name="cost", queue="sums")
    result = await run.result()
    assert result.results["sum"] == CALL_COUNT * (CALL_COUNT + 1) // 2, result.results
    return time.monotonic() - began


async def compare(client: GraphClient, turns: int) -> float:
    """How many times as long a session takes as activities on the same queue, by the medians of all turns."""
    taken: dict[tuple[str, str], list[float]] = {
        (where, what): [] for where in ("", "others") for what in ("activity", "session")
    }
    for _ in range(turns):
        for (where, what), times in taken.items():
            times.append(await seconds(client, {"id": "a"} if what == "session" else None, where))
    medians = {name: statistics.median(times) / CALL_COUNT for name, times in taken.items()}
    ratios = list[float]()
    for where, name in (("", "the queue of the run"), ("others", "another queue")):
        activity, session = medians[where, "activity"], medians[where, "session"]
        ratios.append(session / activity)
        print(
            f"on {name}: an activity {activity * 1000:.1f} ms, a call of a session {session * 1000:.1f} ms, "
            f"{ratios[-1]:.2f} times as long; medians of {turns} runs of {CALL_COUNT}"
        )
    return max(ratios)


async def kills(client: GraphClient, crew: Crew, folder: Path, count: int) -> int:
    """How many runs ended with another sum; in run k the worker dies in call k."""
    wrong = 0
    for call in range(1, count + 1):
        death = folder / "death"
        death.write_text(str(call))
        began = time.monotonic()
        graph = summing(KILLED_CALL_COUNT, {"id": "a", "checkpoint": 4}, str(death))
        run = await client.start(graph, name="killed", queue="sums")
        async with asyncio.timeout(LIMIT_S):
            while death.exists():
                await asyncio.sleep(0.05)
            crew.worker("sums", agents=Path(__file__))
            result = await run.result()
        is_right = result.results["sum"] == KILLED_CALL_COUNT * (KILLED_CALL_COUNT + 1) // 2
        wrong += not is_right
        took = time.monotonic() - began
        print(f"killed in call {call}: sum {result.results['sum']}, right: {is_right}, {took:.1f} s")
    return wrong


async def main(turns: int, count: int) -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        crew = Crew(folder / "home")
        try:
            async with connected(folder / "home") as client:
                crew.worker("sums", "others", agents=Path(__file__))
                ratio = await compare(client, turns)
                wrong = await kills(client, crew, folder, count)
        finally:
            crew.kill_all()
            server.stop(Settings(home=folder / "home"))
    print(f"{wrong} of {count} sums are wrong")
    return int(ratio > MAX_RATIO or wrong > 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=7, help="runs of each kind")
    parser.add_argument(
        "--kills", type=int, default=KILLED_CALL_COUNT, choices=range(KILLED_CALL_COUNT + 1), metavar="N"
    )
    args = parser.parse_args()
    sys.exit(asyncio.run(main(args.turns, args.kills)))
