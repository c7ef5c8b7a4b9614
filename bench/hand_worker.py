"""python -m bench.hand_worker ADDRESS QUEUE: the worker of the hand-written workflows.

It serves as many activities at once and keeps as many runs as a worker of Perdure does by default.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from typing import Any

from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

from bench import agents
from bench.hand_written import WORKFLOWS
from perdure.worker import WorkerOptions


@activity.defn
async def step(inputs: dict[str, Any]) -> dict[str, Any]:
    return await agents.step(inputs)


@activity.defn
async def collect(inputs: dict[str, Any]) -> dict[str, Any]:
    return await agents.collect(inputs)


@activity.defn
async def pause(inputs: dict[str, Any]) -> dict[str, Any]:
    return await agents.pause(inputs)


@activity.defn
async def keep(inputs: dict[str, Any]) -> dict[str, Any]:
    return await agents.keep(inputs)


async def main(address: str, queue: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    defaults = WorkerOptions(agents={})
    client = await Client.connect(address)
    gc.freeze()  # as perdure worker does
    async with Worker(
        client,
        task_queue=queue,
        workflows=WORKFLOWS,
        activities=[step, collect, pause, keep],
        max_concurrent_activities=defaults.concurrent_agents,
        max_cached_workflows=defaults.cached_runs,
    ):
        print("worker ready", file=sys.stderr, flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
