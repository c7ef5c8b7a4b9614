"""Adds to the model of an open run what only the server knows: how its calls are doing now.

The history has the start of an attempt only once the attempt is over, so a call that runs, is paused, or will
be repeated, looks the same in it as one that no worker has taken.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflow.v1 import PendingActivityInfo

from perdure.history.activities import message, milliseconds
from perdure.history.build import phase_counts
from perdure.history.model import Attempt, NodeModel, Phase, RunModel
from perdure.monitoring.descriptions import RunDescription, by_whom

MAX_SILENCE_FACTOR: Final = 0.8
"""A heartbeat comes three times in the time after which the server counts a worker as lost: with none for
this share of it, it probably is.
"""


def with_open_calls(model: RunModel, description: RunDescription, now_ms: int) -> RunModel:
    """The model with the phases and last attempts of its open calls, as the server describes them."""
    if not model.is_open:
        return model
    pending = {info.activity_id: info for info in description.raw.pending_activities}
    changed = {
        address: _changed(node, pending, now_ms)
        for address, node in model.nodes.items()
        if node.phase is Phase.RUNNING and node.attempts and node.rows is None
    }
    nodes = {**model.nodes, **changed}
    return replace(model, nodes=nodes, counts=phase_counts(nodes))


def _changed(node: NodeModel, pending: dict[str, PendingActivityInfo], now_ms: int) -> NodeModel:
    last = node.attempts[-1]
    info = pending.get(last.activity)
    if info is None:
        is_held = node.placement == "activity" and not last.activity
        return replace(node, phase=Phase.QUEUED_HERE) if is_held else node
    attempt, phase = open_attempt(last, info), open_phase(info, now_ms)
    return replace(node, phase=phase, attempts=(*node.attempts[:-1], attempt))


def open_attempt(last: Attempt, info: PendingActivityInfo) -> Attempt:
    """The attempt, with what the server says of its activity."""
    manual, is_started = info.pause_info.manual, _is_started(info)
    return replace(
        last,
        number=info.attempt,
        worker=info.last_worker_identity or None,
        started=milliseconds(info.last_started_time) if is_started else None,
        beat=milliseconds(info.last_heartbeat_time) or None if is_started else None,
        due=milliseconds(info.next_attempt_schedule_time) or None,
        failure=message(info.last_failure),
        paused=by_whom(manual.identity, manual.reason) if info.paused else None,
    )


def open_phase(info: PendingActivityInfo, now_ms: int) -> Phase:
    """How an activity is doing that has not ended."""
    if info.paused:
        return Phase.PAUSED
    if _is_started(info):
        timeout_ms = info.activity_options.heartbeat_timeout.ToMilliseconds()
        beat = milliseconds(info.last_heartbeat_time) or milliseconds(info.last_started_time)
        is_lost = timeout_ms > 0 and now_ms - beat > timeout_ms * MAX_SILENCE_FACTOR
        return Phase.LOST if is_lost else Phase.RUNNING
    is_due_later = milliseconds(info.next_attempt_schedule_time) > now_ms
    return Phase.BACKOFF if info.attempt > 1 and is_due_later else Phase.QUEUED_THERE


def _is_started(info: PendingActivityInfo) -> bool:
    return info.state in (
        PendingActivityState.PENDING_ACTIVITY_STATE_STARTED,
        PendingActivityState.PENDING_ACTIVITY_STATE_PAUSE_REQUESTED,
    )
