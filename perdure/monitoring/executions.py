"""What the server says of a run's executions, as records of a report."""

from __future__ import annotations

from datetime import datetime

from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import WorkflowExecution, WorkflowExecutionDescription, WorkflowExecutionStatus

from perdure.graph.values import Value
from perdure.monitoring.report import PendingCall

STARTED = "started"
"""The member of a run's memo that says when it began; each execution that the run continues in has it."""


def state_name(status: WorkflowExecutionStatus | None) -> str:
    """Temporal's word for a run's state, such as "running" or "timed-out"."""
    return "unknown" if status is None else status.name.lower().replace("_", "-")


async def started_at(execution: WorkflowExecution) -> datetime:
    """When the run began, of which this is the latest execution: its client's word, in the memo.

    The server tells the start of each execution only, and a run that continues as new has several. A clock
    of a client that is ahead of the server's does not count.
    """
    word: Value = (await execution.memo()).get(STARTED)
    try:
        began = datetime.fromisoformat(word) if isinstance(word, str) else execution.start_time
        return min(began, execution.start_time)
    except (ValueError, TypeError):  # no time, or one without its zone
        return execution.start_time


def pending_calls(description: WorkflowExecutionDescription) -> list[PendingCall]:
    """The calls of a running run that the server waits for."""
    status = description.status
    if status is not WorkflowExecutionStatus.RUNNING:
        return []
    begun = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
    return [
        PendingCall(
            path=item.activity_id,
            agent=item.activity_type.name,
            started=item.state == begun,
            since=item.last_started_time.ToMilliseconds() if item.state == begun else 0,
            attempt=item.attempt,
            last_failure=item.last_failure.message or None,
            queue=item.activity_options.task_queue.name or description.task_queue,
        )
        for item in description.raw_description.pending_activities
    ]
