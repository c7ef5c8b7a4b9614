"""How a call of an agent becomes an activity: where, how long, how often.

The error's type distinguishes three kinds of failure (activities/activity.py raises them).
TransientError is repeated here, with backoff, and does not count against the node's `retry`. The
types in FINAL_ERROR_TYPES are not repeated here: the scheduler applies the node's `retry` to AgentError and
Timeout, and gives up at once on the others. A worker that dies is noticed by its heartbeat.
"""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from typing import Any

from temporalio.common import RetryPolicy

from perdure.engine.messages import NodeOptions
from perdure.protocol.names import TOO_LARGE_FOR_LOCAL

FINAL_ERROR_TYPES = (
    "AgentError",
    "Timeout",
    "FinalError",
    "UnknownAgent",
    "ValueTooLarge",
    "DeadlineExceeded",
    TOO_LARGE_FOR_LOCAL,
)

HEARTBEAT_TIMEOUT = timedelta(seconds=10)
"""After this long without a sign of life an attempt counts as lost, unless its node sets `heartbeat`."""

CALL_DEADLINE = timedelta(days=7)
"""A call fails when no attempt has succeeded, or no worker has come, by then."""

SERVER_TIMEOUT_MARGIN = timedelta(seconds=10)
"""A node's `timeout` is kept inside the activity; the server steps in this much later."""

LOCAL_ACTIVITY_TIMEOUT = timedelta(seconds=30)
"""A pure agent is quick; one that is not must not keep the workflow task open forever."""

MAX_RETRY_INTERVAL = timedelta(minutes=10)
MAX_ACTIVITY_ID_CHARS = 200
MAX_SUMMARY_CHARS = 200


def remote(options: NodeOptions, path: str, queue: str, calls: int = 1, name: str = "") -> dict[str, Any]:
    """Keyword arguments of workflow.start_activity, for a number of calls of which one is at `path`.

    The activity is named after the path, or has this `name`.
    """
    return {
        "task_queue": queue,
        "activity_id": shortened(name or path, MAX_ACTIVITY_ID_CHARS),
        "summary": path[:MAX_SUMMARY_CHARS] + (f" and {calls - 1} more" if calls > 1 else ""),
        "heartbeat_timeout": (
            HEARTBEAT_TIMEOUT if options.heartbeat is None else timedelta(seconds=options.heartbeat)
        ),
        **_limits(options, CALL_DEADLINE),
    }


def held(options: NodeOptions, path: str, queue: str, name: str) -> dict[str, Any]:
    """Keyword arguments of workflow.start_activity for a call of a session that a worker holds.

    It must take the call as soon as it would have to beat: no other worker asks its queue for work.
    """
    remote_options = remote(options, path, queue, name=name)
    return {**remote_options, "schedule_to_start_timeout": remote_options["heartbeat_timeout"]}


def foreign(options: NodeOptions, path: str, queue: str, name: str = "") -> dict[str, Any]:
    """Keyword arguments of workflow.start_activity for an activity that is not an agent of Perdure's.

    It need not send heartbeats, and the node's `retry` decides about a second attempt.
    """
    limits = (
        {} if options.timeout is None else {"start_to_close_timeout": timedelta(milliseconds=options.timeout)}
    )
    remote_options = remote(options, path, queue, name=name)
    del remote_options["heartbeat_timeout"]
    return {**remote_options, **limits, "retry_policy": RetryPolicy(maximum_attempts=1)}


def local(options: NodeOptions, path: str) -> dict[str, Any]:
    """Keyword arguments of workflow.start_local_activity."""
    return {
        "activity_id": shortened(path, MAX_ACTIVITY_ID_CHARS),
        "summary": path[:MAX_SUMMARY_CHARS],
        **_limits(options, LOCAL_ACTIVITY_TIMEOUT),
    }


def shortened(path: str, limit: int) -> str:
    """`path`, or its beginning and a number that stands for the rest: ids have a size limit."""
    if len(path) <= limit:
        return path
    number = 0
    for char in path:
        number = (number * 1_000_003 + ord(char)) % (1 << 64)
    return f"{path[: limit - 20]}~{number:016x}"


@lru_cache(maxsize=1_000)
def _limits(options: NodeOptions, usual: timedelta) -> dict[str, Any]:
    limit = (
        usual if options.timeout is None else timedelta(milliseconds=options.timeout) + SERVER_TIMEOUT_MARGIN
    )
    return {
        "start_to_close_timeout": limit,
        "schedule_to_close_timeout": CALL_DEADLINE,
        "retry_policy": RetryPolicy(
            initial_interval=(first := timedelta(seconds=options.backoff or 1.0)),
            backoff_coefficient=2.0,
            maximum_interval=max(first, MAX_RETRY_INTERVAL),
            non_retryable_error_types=FINAL_ERROR_TYPES,
        ),
    }
