"""The activities of a history: when each was scheduled and started, by which worker, and how it ended.

All that is read of the events themselves. What they mean for nodes comes from the replay alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent

from perdure.history.model import Attempt

END_STATES: Final[Mapping[int, str]] = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED: "completed",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: "failed",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT: "timed-out",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED: "canceled",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: "terminated",
}
"""How the last event of an execution ends its run."""

_LATE_ERROR_TYPES: Final = frozenset({"Timeout", "DeadlineExceeded"})


@dataclass(slots=True)
class ActivityRecord:
    """One activity. Of its attempts the history has the last, `number`, and why the one before it failed.

    `input` and `result` are as they crossed. It `is_late` if a time limit ended it.
    """

    id: str
    type: str
    queue: str
    scheduled: int
    number: int = 1
    worker: str | None = None
    started: int | None = None
    ended: int | None = None
    failure: str | None = None
    earlier_failure: str | None = None
    input: Payload | None = None
    result: Payload | None = None
    is_late: bool = False
    is_cancelled: bool = False

    def attempt(self, path: str, failure: str | None) -> Attempt:
        """Its last attempt, as one of the call with this path, and why it failed."""
        return Attempt(
            path=path,
            activity=self.id,
            number=self.number,
            worker=self.worker,
            queue=self.queue,
            scheduled=self.scheduled,
            started=self.started,
            ended=self.ended,
            failure=failure,
        )


def activities(events: Iterable[HistoryEvent]) -> dict[str, list[ActivityRecord]]:
    """The activities by their id, those of one id in their order."""
    by_event: dict[int, ActivityRecord] = {}
    by_id: dict[str, list[ActivityRecord]] = {}
    for event in events:
        time = milliseconds(event.event_time)
        match event.event_type:
            case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                scheduled = event.activity_task_scheduled_event_attributes
                kind, queue = scheduled.activity_type.name, scheduled.task_queue.name
                record = ActivityRecord(
                    scheduled.activity_id, kind, queue, time, input=_first(scheduled.input)
                )
                by_event[event.event_id] = record
                by_id.setdefault(record.id, []).append(record)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                started = event.activity_task_started_event_attributes
                record = by_event[started.scheduled_event_id]
                record.started, record.worker, record.number = time, started.identity, started.attempt
                record.earlier_failure = message(started.last_failure)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
                completed = event.activity_task_completed_event_attributes
                record = by_event[completed.scheduled_event_id]
                record.ended, record.result = time, _first(completed.result)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED:
                failed = event.activity_task_failed_event_attributes
                _end(by_event[failed.scheduled_event_id], time, failed.failure)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
                late = event.activity_task_timed_out_event_attributes
                _end(by_event[late.scheduled_event_id], time, late.failure)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED:
                record = by_event[event.activity_task_canceled_event_attributes.scheduled_event_id]
                record.ended, record.failure, record.is_cancelled = time, "cancelled", True
            case _:
                pass
    return by_id


def milliseconds(time: Timestamp) -> int:
    """Since the epoch."""
    return time.seconds * 1000 + time.nanos // 1_000_000


def message(failure: Failure) -> str | None:
    """The message of a failure, or of what caused it; None for none."""
    inner = failure
    while inner.HasField("cause") and not inner.HasField("application_failure_info"):
        inner = inner.cause
    return inner.message or failure.message or None


def _first(payloads: Payloads) -> Payload | None:
    return payloads.payloads[0] if payloads.payloads else None


def _end(record: ActivityRecord, time: int, failure: Failure) -> None:
    record.ended, record.failure = time, message(failure)
    inner = failure
    while inner.HasField("cause"):
        inner = inner.cause
    kind = inner.application_failure_info.type
    record.is_late = inner.HasField("timeout_failure_info") or kind in _LATE_ERROR_TYPES
