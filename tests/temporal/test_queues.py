"""Who serves a queue: workers that stop, or that give no sign of life, do not."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import WorkerStatus
from temporalio.api.worker.v1 import WorkerHeartbeat

from perdure.temporal.queues import _serves, workers
from perdure.worker import WorkerOptions, build_worker
from tests.support.durable import embedded
from tests.support.waiting import until

RUNNING, STOPPING = WorkerStatus.WORKER_STATUS_RUNNING, WorkerStatus.WORKER_STATUS_SHUTTING_DOWN


@pytest.mark.parametrize(
    ("status", "interval", "silent", "serves"),
    [
        (RUNNING, 5.0, 2.0, True),
        (RUNNING, 5.0, 14.0, True),
        (RUNNING, 5.0, 16.0, False),
        (RUNNING, 60.0, 170.0, True),
        (RUNNING, 0.0, 500.0, True),  # its first heartbeat does not show how often it beats
        (STOPPING, 5.0, 0.0, False),
        (WorkerStatus.WORKER_STATUS_SHUTDOWN, 5.0, 0.0, False),
    ],
)
def test_a_heartbeat(status: WorkerStatus.ValueType, interval: float, silent: float, serves: bool) -> None:
    beat = WorkerHeartbeat(status=status)
    beat.elapsed_since_last_heartbeat.FromMilliseconds(int(interval * 1000))
    now = time.time()
    beat.heartbeat_time.FromMilliseconds(int((now - silent) * 1000))
    assert _serves(beat, now) is serves


@pytest.mark.anyio
async def test_a_worker_that_was_stopped_does_not_serve(tmp_path: Path) -> None:
    async with embedded(tmp_path / "home") as client:
        queue = "stopped"
        async with build_worker(client.temporal, queue, WorkerOptions(agents={}, settings=client.settings)):
            serving = {client.temporal.identity}

            async def is_known() -> bool:
                return await workers(client.temporal, queue) == serving

            await until(is_known, "the server knows the worker")
        assert await workers(client.temporal, queue) == set()
