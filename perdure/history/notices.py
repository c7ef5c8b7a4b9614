"""How the notices of a run's questions fare: to whom they were delivered, and which are tried again.

Each notice is a workflow of its own (perdure.workflows.notices), which the server finds by its run. All that
is said of it is read from there: no event of the run says whether a channel took its notice.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.client import Client, WorkflowHistory
from temporalio.service import RPCError

from perdure.history.activities import ActivityRecord, activities
from perdure.history.causes import Cause, clock
from perdure.history.model import Attempt, NodeModel, Phase
from perdure.history.open_calls import open_attempt, open_phase
from perdure.monitoring.descriptions import described, executions
from perdure.protocol.names import NOTICE
from perdure.protocol.payloads import HumanNotice
from perdure.temporal.rpc_errors import rpc_error
from perdure.workflows.activity_options import shortened
from perdure.workflows.notices import MAX_NOTICE_PATH_CHARS

MAX_READ_NOTICE_COUNT: Final = 50
"""Notices of a run that are read: the newest."""

NOTICE_MARGIN_S: Final = 60.0
"""Seconds after the end of a node in which the server may still begin its last notice."""

_ADDRESS: Final = "PERDURE_NOTIFY of the worker has the address of the channel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A notice on one channel: completed once it was taken, and otherwise in the phase of a call.

    `attempt` is the last one, with the failure of the one before it where that is known.
    """

    channel: str
    phase: Phase
    attempt: Attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionNotice:
    """A notice of the question at `path`: asked, reminded (for the `number`-th time), escalated or closed.

    `id` is the one that its receivers see, `at` is in milliseconds since the epoch.
    """

    id: str
    event: str
    number: int
    path: str
    at: int
    deliveries: tuple[Delivery, ...] = ()

    def is_of(self, paths: Iterable[str]) -> bool:
        """Whether it is of a question at one of these paths; in a notice, a long one is shortened."""
        return any(shortened(path, MAX_NOTICE_PATH_CHARS) == self.path for path in paths)


async def notices_of(temporal: Client, id: str, node: NodeModel | None = None) -> tuple[QuestionNotice, ...]:
    """The latest notices of a run, or of a node of it, oldest first. Raises PerdureError."""
    notices: list[QuestionNotice] = []
    async for info in executions(temporal, _query(id, node), MAX_READ_NOTICE_COUNT):
        notices.append(await _read(temporal, info.execution.workflow_id))
    if node is not None:
        paths = [attempt.path for attempt in node.attempts]
        notices = [notice for notice in notices if notice.is_of(paths)]
    return tuple(sorted(notices, key=lambda notice: notice.at))


def _query(id: str, node: NodeModel | None) -> str:
    name = id.replace("\\", "\\\\").replace("'", "\\'")
    parts = [f"WorkflowType = '{NOTICE}'", f"ParentWorkflowId = '{name}'"]
    if node is not None and node.started is not None:
        parts.append(f"StartTime >= '{_time(node.started / 1000 - 1)}'")
    if node is not None and node.ended is not None:
        parts.append(f"StartTime <= '{_time(node.ended / 1000 + NOTICE_MARGIN_S)}'")
    return " AND ".join(parts)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def _read(temporal: Client, id: str) -> QuestionNotice:
    raw = (await described(temporal, id)).raw
    try:
        history = await temporal.get_workflow_handle(id).fetch_history()
    except RPCError as error:
        raise rpc_error(error, f"notice {id!r}") from error
    began = history.events[0].workflow_execution_started_event_attributes
    details: HumanNotice = (await temporal.data_converter.decode(began.input.payloads, [HumanNotice]))[0]
    return QuestionNotice(
        id=id,
        event=details.event,
        number=details.number,
        path=details.path,
        at=details.at,
        deliveries=_deliveries(history, raw, details),
    )


def _deliveries(
    history: WorkflowHistory, raw: DescribeWorkflowExecutionResponse, details: HumanNotice
) -> tuple[Delivery, ...]:
    """One for each channel: the activities of a notice have its channels' order."""
    records = {id: of_id[-1] for id, of_id in activities(history.events).items()}
    pending = {info.activity_id: info for info in raw.pending_activities}
    now_ms, shown = int(time.time() * 1000), list[Delivery]()
    for number, channel in enumerate(details.channels, 1):
        record, info = records.get(str(number)), pending.get(str(number))
        attempt = _attempt(channel, str(number), record)
        if info is not None and (record is None or record.ended is None):
            shown.append(
                Delivery(channel=channel, phase=open_phase(info, now_ms), attempt=open_attempt(attempt, info))
            )
            continue
        shown.append(Delivery(channel=channel, phase=_phase(record, raw), attempt=attempt))
    return tuple(shown)


def _attempt(channel: str, activity: str, record: ActivityRecord | None) -> Attempt:
    if record is None:
        return Attempt(path=channel, activity=activity)
    return record.attempt(channel, record.failure or record.earlier_failure)


def _phase(record: ActivityRecord | None, raw: DescribeWorkflowExecutionResponse) -> Phase:
    """That of a delivery of which nothing is open."""
    if record is not None and record.ended is not None:
        return Phase.COMPLETED if record.failure is None else Phase.FAILED
    is_over = raw.workflow_execution_info.HasField("close_time")
    return Phase.ABORTED if is_over else Phase.QUEUED_THERE  # no worker has begun the notice


def notice_causes(notices: Iterable[QuestionNotice]) -> tuple[Cause, ...]:
    """What there is to say of the notices where a question is explained."""
    return tuple(cause for notice in notices for cause in _causes(notice))


def _causes(notice: QuestionNotice) -> Iterator[Cause]:
    for delivery in notice.deliveries:
        attempt = delivery.attempt
        name = f"{notice_name(notice.event, notice.number)} on channel {delivery.channel!r}"
        reason = f": {attempt.failure}" if attempt.failure else ""
        match delivery.phase:
            case Phase.COMPLETED:
                yield Cause("notice-sent", f"{name} was delivered at {clock(attempt.ended)}")
            case Phase.FAILED | Phase.ABORTED:
                hint = f"it is not sent again: inform people in another way. {_ADDRESS}"
                yield Cause("notice-failed", f"{name} was not delivered{reason}", hint)
            case Phase.BACKOFF:
                finding = f"{name} is repeated at {clock(attempt.due)}, attempt {attempt.number}{reason}"
                yield Cause("notice-open", finding, _ADDRESS, until=attempt.due)
            case Phase.LOST:
                finding = f"{name}: no heartbeat of worker {attempt.worker} since {clock(attempt.beat)}"
                yield Cause(
                    "notice-open", finding, "another worker delivers it 10 s after the last heartbeat"
                )
            case Phase.RUNNING:
                yield Cause("notice-open", f"{name} is being delivered, attempt {attempt.number}{reason}")
            case _:
                yield Cause("notice-open", f"{name} waits for a worker of the run{reason}")


def notice_name(event: str, number: int) -> str:
    """A notice in words."""
    match event:
        case "reminded":
            return f"reminder {number}"
        case "escalated":
            return "the notice of the escalation"
        case "closed":
            return "the notice that the question is closed"
        case _:
            return "the notice of the question"
