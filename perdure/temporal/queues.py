"""Who serves a task queue."""

from __future__ import annotations

import os
import socket
import time

from temporalio.api.enums.v1 import TaskQueueType, WorkerStatus
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.worker.v1 import WorkerHeartbeat
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, ListWorkersRequest
from temporalio.client import Client
from temporalio.service import RPCError

from perdure.temporal.rpc_errors import RPC_TIMEOUT, rpc_error

POLLER_TIMEOUT_S = 75
"""A worker that has not asked for so long is gone: a request for work lasts for a minute."""


SILENT_INTERVALS_COUNT = 3
"""Heartbeats that a worker may miss; by then it is gone."""


async def workers(temporal: Client, queue: str, *, local: bool = False) -> set[str]:
    """The identities of the workers that have asked this task queue for work lately.

    Workers that are stopping, or whose heartbeats have stopped, are left out, although the server still has
    their last request for work. `local` says that the server is on this machine for this machine alone:
    workers here that have ended are then left out at once.
    """
    identities: set[str] = set()
    for kind in (TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW):
        request = DescribeTaskQueueRequest(
            namespace=temporal.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
        )
        try:
            answer = await temporal.workflow_service.describe_task_queue(request, timeout=RPC_TIMEOUT)
        except RPCError as error:
            raise rpc_error(error, f"task queue {queue!r}") from error
        recent = time.time() - POLLER_TIMEOUT_S
        identities |= {item.identity for item in answer.pollers if item.last_access_time.seconds > recent}
    if identities:
        identities -= await _gone(temporal, queue)
    return {identity for identity in identities if not local or _lives(identity)}


async def _gone(temporal: Client, queue: str) -> set[str]:
    """The identities of workers that serve the queue no more, as far as the server lists them."""
    quoted = queue.replace("'", "''")
    request = ListWorkersRequest(namespace=temporal.namespace, query=f"TaskQueue='{quoted}'")
    try:
        answer = await temporal.workflow_service.list_workers(request, timeout=RPC_TIMEOUT)
    except RPCError:  # an older server, or one that does not allow it
        return set()
    beats = [info.worker_heartbeat for info in answer.workers_info]
    serving = {beat.worker_identity for beat in beats if _serves(beat, time.time())}
    return {beat.worker_identity for beat in beats} - serving


def _serves(beat: WorkerHeartbeat, now: float) -> bool:
    """Whether a worker with this last heartbeat is one to count on."""
    if beat.status in (WorkerStatus.WORKER_STATUS_SHUTTING_DOWN, WorkerStatus.WORKER_STATUS_SHUTDOWN):
        return False
    interval = beat.elapsed_since_last_heartbeat.ToMilliseconds() / 1000
    silent = now - beat.heartbeat_time.ToMilliseconds() / 1000
    return not interval or silent < SILENT_INTERVALS_COUNT * max(interval, 1.0)


def _lives(identity: str) -> bool:
    """Whether the process "pid@host" is alive, as far as this host can know."""
    pid, _, host = identity.partition("@")
    if not pid.isdecimal() or host.partition("+")[0] != socket.gethostname():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except OSError:  # it belongs to another user
        return True
    return True
