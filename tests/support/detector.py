"""What must be true after chaos: no run is stuck, every history replays, no log reports a bug."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from random import Random

from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.client import WorkflowExecutionStatus, WorkflowHistory
from temporalio.worker import Replayer

from perdure.client import GraphClient
from perdure.plugin import GraphPlugin

MAX_ATTEMPT = 3
"""A workflow task that was tried more often than this fails for a reason that will not go away."""

BAD = re.compile(r"panic|failed assertion|TMPRL110[01]|nondeterminis", re.IGNORECASE)

# What a server says of a task that was overtaken by news, or by the end of its run.
HARMLESS = frozenset(
    (
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND,
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND,
    )
)


async def executions(client: GraphClient) -> list[tuple[str, str]]:
    """The id and the run id of everything that ever ran on this server."""
    return [(execution.id, execution.run_id) async for execution in client.temporal.list_workflows("")]


async def stuck_runs(client: GraphClient) -> list[str]:
    """Every run that nothing will ever move: which, and why."""
    gate = asyncio.Semaphore(10)

    async def look(id: str, run_id: str) -> str:
        async with gate:
            why = await _stuck(client, id, run_id)
        return f"{id}: {why}" if why else ""

    executions_left = await asyncio.gather(*(look(*each) for each in await executions(client)))
    return [each for each in executions_left if each]


async def _stuck(client: GraphClient, id: str, run_id: str) -> str:
    handle = client.temporal.get_workflow_handle(id, run_id=run_id)
    description = await handle.describe()
    raw = description.raw_description
    task = raw.pending_workflow_task
    if task.attempt > MAX_ATTEMPT:
        return f"its workflow task was tried {task.attempt} times"
    if description.status is not WorkflowExecutionStatus.RUNNING:
        return ""
    if raw.pending_activities or raw.pending_children or raw.HasField("pending_workflow_task"):
        return ""
    if open_timers(await handle.fetch_history()):
        return ""
    status = await client.get(id).status()
    if status is None:
        return "runs with nothing pending, and answers no query"
    return "" if status.questions else "runs with nothing pending, and asks no person"


def open_timers(history: WorkflowHistory) -> int:
    """How many timers of a run have neither fired nor been cancelled."""
    kinds = [event.event_type for event in history.events]
    ended = (EventType.EVENT_TYPE_TIMER_FIRED, EventType.EVENT_TYPE_TIMER_CANCELED)
    return kinds.count(EventType.EVENT_TYPE_TIMER_STARTED) - sum(kinds.count(kind) for kind in ended)


async def histories(client: GraphClient, sample: int | None = None, seed: int = 0) -> list[WorkflowHistory]:
    """The histories of all runs, or of that many, drawn by seed."""
    chosen = sorted(await executions(client))
    if sample is not None and sample < len(chosen):
        chosen = Random(seed).sample(chosen, sample)
    return [
        await client.temporal.get_workflow_handle(id, run_id=run_id).fetch_history() for id, run_id in chosen
    ]


async def replay_failures(histories: Sequence[WorkflowHistory]) -> list[str]:
    """The histories that today's workflow would not have made, with its core shared and without."""
    failures: list[str] = []
    for strict in (False, True):
        # Debugging: a busy machine is not a deadlock.
        replayer = Replayer(workflows=[], plugins=[GraphPlugin(sandbox=strict)], debug_mode=True)
        for history in histories:
            result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
            if result.replay_failure is not None:
                failures.append(f"{history.workflow_id} (strict: {strict}): {result.replay_failure}")
    return failures


def failed_tasks(histories: Sequence[WorkflowHistory]) -> list[str]:
    """Workflow tasks that a worker could not do. Those of workers that were killed time out instead."""
    failures: list[str] = []
    for history in histories:
        for event in history.events:
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
                failed = event.workflow_task_failed_event_attributes
                if failed.cause not in HARMLESS:
                    cause = WorkflowTaskFailedCause.Name(failed.cause)
                    failures.append(f"{history.workflow_id}: {cause}: {failed.failure.message}")
    return failures


def attempts(history: WorkflowHistory) -> dict[str, int]:
    """How often each activity was delivered, by its id, which is the node's path."""
    names: dict[int, str] = {}
    attempts: dict[str, int] = {}
    for event in history.events:
        if event.HasField("activity_task_scheduled_event_attributes"):
            names[event.event_id] = event.activity_task_scheduled_event_attributes.activity_id
        if event.HasField("activity_task_started_event_attributes"):
            started = event.activity_task_started_event_attributes
            attempts[names[started.scheduled_event_id]] = started.attempt
    return attempts


def bad_lines(logs: Path) -> list[str]:
    """Lines of any log in the folder that report a bug."""
    return [
        f"{path.name}: {line[:300]}"
        for path in sorted(logs.glob("*.log"))
        for line in path.read_text(errors="replace").splitlines()
        if BAD.search(line)
    ]
