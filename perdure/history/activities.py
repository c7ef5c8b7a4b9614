"""The activities of a history: when each was scheduled and started, by which worker, and how it ended.

All that is read of the events themselves. What they mean for nodes comes from the replay alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent

from perdure.history.model import Attempt
from perdure.protocol.call_record import CallRecord, recorded_with
from perdure.protocol.names import FETCH, KEEP

END_STATES: Final[Mapping[int, str]] = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED: "completed",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: "failed",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT: "timed-out",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED: "canceled",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: "terminated",
}
"""How the last event of an execution ends its run."""

LOCAL_MARKER: Final = "core_local_activity"
"""What the SDK calls the event of a local activity."""

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
    input: Payload | None = None
    number: int = 1
    worker: str | None = None
    started: int | None = None
    ended: int | None = None
    failure: str | None = None
    earlier_failure: str | None = None
    result: Payload | None = None
    is_late: bool = False
    is_cancelled: bool = False
    record: CallRecord | None = None
    byte_count: int = 0

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
            record=self.record,
            byte_count=self.byte_count,
        )


def activities(
    events: Iterable[HistoryEvent], results: Iterable[Payload] | None = None
) -> dict[str, list[ActivityRecord]]:
    """The activities by their id, those of one id in their order.

    `results` are those of completed ones, in the order of the events, where a codec has written them.
    """
    read = None if results is None else iter(results)
    by_event: dict[int, ActivityRecord] = {}
    by_id: dict[str, list[ActivityRecord]] = {}
    for event in events:
        time = milliseconds(event.event_time)
        match event.event_type:
            case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                scheduled = event.activity_task_scheduled_event_attributes
                kind, queue = scheduled.activity_type.name, scheduled.task_queue.name
                record = ActivityRecord(scheduled.activity_id, kind, queue, time, _first(scheduled.input))
                record.byte_count = scheduled.input.ByteSize()
                by_event[event.event_id] = record
                by_id.setdefault(record.id, []).append(record)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                started = event.activity_task_started_event_attributes
                record = by_event[started.scheduled_event_id]
                record.started, record.worker, record.number = time, started.identity, started.attempt
                record.earlier_failure = message(started.last_failure)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
                completed = event.activity_task_completed_event_attributes
                _complete(by_event[completed.scheduled_event_id], time, completed.result, read)
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


def results_of(events: Iterable[HistoryEvent]) -> list[Payload]:
    """The results of completed activities, as they crossed."""
    kind = EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
    completed = (event for event in events if event.event_type == kind)
    results = (event.activity_task_completed_event_attributes.result for event in completed)
    return [result.payloads[0] for result in results if result.payloads]


def moments(events: Iterable[HistoryEvent]) -> list[tuple[str, float, float]]:
    """When the run itself exchanged values with the store ("transfer"), or waited for a worker ("waiting").

    Times are in milliseconds since the epoch. What the marker calls the time of completion is the begin of
    the workflow task and what passed since then.
    """
    spans: list[tuple[str, float, float]] = []
    sent = began = 0
    for event in events:
        time = milliseconds(event.event_time)
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED:
            sent = time
        elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED:
            began = time
            spans.append(("waiting", sent, began))
        elif event.event_type == EventType.EVENT_TYPE_MARKER_RECORDED:
            ended = _transfer_ended(event)
            if ended is not None:
                spans.append(("transfer", began, max(ended, began)))
    return spans


def _transfer_ended(event: HistoryEvent) -> float | None:
    marker = event.marker_recorded_event_attributes
    if marker.marker_name != LOCAL_MARKER:
        return None
    about: Any = json.loads(marker.details["data"].payloads[0].data)
    if about.get("activity_type") not in (FETCH, KEEP):
        return None
    return about["complete_time"]["seconds"] * 1000 + about["complete_time"]["nanos"] / 1e6


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


def _complete(record: ActivityRecord, time: int, result: Payloads, decoded: Iterator[Payload] | None) -> None:
    record.ended, record.result = time, _first(result)
    record.byte_count += result.ByteSize()
    if record.result is not None:
        record.record = recorded_with(record.result if decoded is None else next(decoded))


def _end(record: ActivityRecord, time: int, failure: Failure) -> None:
    record.ended, record.failure = time, message(failure)
    inner = failure
    while inner.HasField("cause"):
        inner = inner.cause
    kind = inner.application_failure_info.type
    record.is_late = inner.HasField("timeout_failure_info") or kind in _LATE_ERROR_TYPES
