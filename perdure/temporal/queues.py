"""Who serves a task queue."""

from __future__ import annotations

import os
import socket
import time

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from perdure.temporal.rpc_errors import RPC_TIMEOUT, rpc_error

POLLER_TIMEOUT_S = 75
"""A worker that has not asked for so long is gone: a request for work lasts for a minute."""


async def workers(temporal: Client, queue: str, *, local: bool = False) -> set[str]:
    """The identities of the workers that have asked this task queue for work lately.

    `local` says that the server is on this machine for this machine alone: workers here that have
    ended are then left out.
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
    return {identity for identity in identities if not local or _lives(identity)}


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
