"""Ray actors through a graph, also where they are killed: python -m tests.agents.engines.ray_check

The two workers of the example give 25 and 100. Then a counter of ten calls is killed in each of them in turn:
every sum must be that of a run in which it lived. It needs the extra perdure[ray].
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ray

from perdure.agents.engines import RayActor, ray_actor
from perdure.memory.shell import memory_shell

CALL_COUNT = 10


@ray_actor("Worker")
@ray.remote
class Worker:
    def __init__(self, worker_id):
        self.worker_id = worker_id

    def process_data(self, data):
        print(f"Worker {self.worker_id} processing data: {data}")
        return data * data


@ray_actor("Counter")
class Counter:
    """Adds up, and dies once, in the call that a file of this name asks for."""

    def __init__(self) -> None:
        self.total = 0.0

    def add(self, number: float, death: str) -> float:
        self.total += number
        path = Path(death)
        if path.exists() and float(path.read_text()) == number:
            path.unlink()
            os._exit(1)
        return self.total


def example() -> dict[str, Any]:
    call = {
        "agent": "rayActorAgent",
        "session": ":row.id",
        "inputs": {"init": {"worker_id": ":row.id"}, "data": ":row.data"},
        "params": {"class": "Worker", "method": "process_data"},
        "isResult": True,
    }
    pair = {
        "agent": "mapAgent",
        "inputs": {"rows": [{"id": 1, "data": 5}, {"id": 2, "data": 10}]},
        "params": {"compositeResultKey": "call"},
        "isResult": True,
        "graph": {"nodes": {"call": call}},
    }
    return {"nodes": {"pair": pair}}


def counting(death: str) -> dict[str, Any]:
    node = {
        "agent": "rayActorAgent",
        "session": {"id": "a", "checkpoint": 4},
        "inputs": {"number": ":number", "death": death},
        "params": {"class": "Counter", "method": "add"},
        "isResult": True,
    }
    nodes = {"number": {"value": 1, "update": ":number.add(1)"}, "sum": node}
    return {"loop": {"count": CALL_COUNT}, "nodes": nodes}


async def main(kills: int) -> int:
    pair = (await memory_shell(example(), [RayActor]).run()).results["pair"]
    print(f"the example gives {pair}")
    wrong = int(pair != [25, 100])
    with TemporaryDirectory() as folder:
        for call in range(1, kills + 1):
            death = Path(folder, "death")
            death.write_text(str(call))
            began = time.monotonic()
            total = (await memory_shell(counting(str(death)), [RayActor]).run()).results["sum"]
            is_right = total == CALL_COUNT * (CALL_COUNT + 1) / 2 and not death.exists()
            wrong += not is_right
            print(f"killed in call {call}: sum {total}, right: {is_right}, {time.monotonic() - began:.1f} s")
    ray.shutdown()
    return int(wrong > 0)


if __name__ == "__main__":
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--kills", type=int, default=CALL_COUNT, help="the calls in which an actor is killed")
    sys.exit(asyncio.run(main(parser.parse_args().kills)))
