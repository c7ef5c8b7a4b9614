"""The runs that a worker keeps in memory, and which of them it forgets early.

Why. A worker keeps up to a thousand open runs, so that the next workflow task of each need not replay its
history. It does not hear that a run was terminated, or timed out, and would keep all that this run held
until a thousand others have come.

Invariants
    A run that holds much and was idle for a while is looked up; one that has ended is forgotten. Open runs
    are forgotten only where all runs together hold more than MAX_CACHED_RUN_BYTES, the longest idle one
    first. What is forgotten is replayed when it is needed again, as after a restart of the worker.
    The SDK forgets a run between two workflow tasks, never within one.

Rejected: a smaller number of cached runs, because most hold a few kilobytes and cost the more to replay.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from perdure.temporal.held_runs import HOLDERS
from perdure.temporal.rpc_errors import RPC_TIMEOUT

CACHE_POLL_INTERVAL_S: Final = 4.0

MIN_IDLE_S: Final = 5.0
"""Seconds since the last workflow task of a run until it may be forgotten."""

LARGE_RUN_BYTES: Final = 4_000_000
"""What a run holds that is worth a look at the server."""

MAX_CACHED_RUN_BYTES: Final = 512_000_000
"""What all cached runs of a worker may hold together."""


@dataclass(slots=True, eq=False)
class CachedRun:
    """One run in memory; `used_s`, its last workflow task, is on the monotonic clock."""

    workflow_id: str
    run_id: str
    used_s: float = field(default_factory=time.monotonic)

    def held(self) -> int:
        """The bytes that it holds, as the quota `live` counts them."""
        holder = HOLDERS.get(self.run_id)
        return 0 if holder is None else holder.held_bytes()


CachedRuns = dict[str, CachedRun]
"""By run id: the runs of one worker."""


async def forget_runs(client: Client, runs: CachedRuns, evict: Callable[[str], None]) -> None:
    """Forgets runs by `evict` for as long as their worker lives."""
    while True:
        await asyncio.sleep(CACHE_POLL_INTERVAL_S)
        idle = idle_runs(runs, time.monotonic())
        for run_id in idle:
            run = runs.get(run_id)
            if run is not None and await _has_ended(client, run.workflow_id, run_id):
                evict(run_id)
        for run_id in surplus(runs, idle):
            evict(run_id)


def idle_runs(runs: CachedRuns, now_s: float) -> list[str]:
    """Those that hold much and were not used for a while."""
    return [
        run_id
        for run_id, run in [*runs.items()]
        if now_s - run.used_s >= MIN_IDLE_S and run.held() >= LARGE_RUN_BYTES
    ]


def surplus(runs: CachedRuns, idle: Collection[str]) -> list[str]:
    """Those of the `idle` that are to go because all runs hold too much together."""
    over = sum(run.held() for run in [*runs.values()]) - MAX_CACHED_RUN_BYTES
    chosen: list[str] = []
    for run_id in sorted((run_id for run_id in idle if run_id in runs), key=lambda id: runs[id].used_s):
        if over <= 0:
            break
        over -= runs[run_id].held()
        chosen.append(run_id)
    return chosen


async def _has_ended(client: Client, workflow_id: str, run_id: str) -> bool:
    handle = client.get_workflow_handle(workflow_id, run_id=run_id)
    try:
        description = await handle.describe(rpc_timeout=RPC_TIMEOUT)
    except RPCError as error:
        return error.status is RPCStatusCode.NOT_FOUND
    return description.status is not WorkflowExecutionStatus.RUNNING
