"""Which task queues the open runs need, whether workers serve them, and which of their calls take long."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from temporalio.api.enums.v1 import TaskQueueType, WorkerVersioningMode
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from perdure.cli.doctor.framework import Finding, fine, warning
from perdure.cli.progress.progress_table import duration
from perdure.errors import UsageError
from perdure.monitoring.descriptions import OPEN_RUNS_QUERY, described, executions, pending_calls
from perdure.monitoring.report import PendingCall
from perdure.temporal.queues import workers
from perdure.temporal.rpc_errors import RPC_TIMEOUT

QUEUE_CHECK = "queue"
MAX_LISTED_RUN_COUNT = 1000
"""Open runs that are listed at most."""

MAX_DESCRIBED_RUN_COUNT = 50
"""Those of them whose calls are looked at, the newest and the oldest: each takes a request of its own."""

LONG_CALL_S = 3600
"""Seconds that a call has been with its worker, after which it is named."""

MAX_CHECKED_QUEUE_COUNT = 50
"""Queues that are looked at."""


@dataclass(slots=True)
class Needs:
    """What open runs wait for: ids of runs by queue. `newest` is the latest time that the server
    reported; `long` are the calls that take long, each with the id of its run.
    """

    runs: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    seen: int = 0
    newest: datetime | None = None
    long: list[tuple[str, PendingCall]] = field(default_factory=list[tuple[str, PendingCall]])

    def add(self, queue: str, run: str) -> None:
        """The run needs this queue."""
        self.runs.setdefault(queue, set()).add(run)

    def hear(self, reported: datetime | None) -> None:
        """The server wrote this time down."""
        if reported is not None and (self.newest is None or reported > self.newest):
            self.newest = reported


async def needs_of(temporal: Client) -> Needs:
    """What the open runs need."""
    needs = Needs()
    runs = [info async for info in executions(temporal, OPEN_RUNS_QUERY, MAX_LISTED_RUN_COUNT)]
    needs.seen = len(runs)
    for run in runs:
        needs.add(run.task_queue, run.execution.workflow_id)
        needs.hear(run.start_time.ToDatetime(UTC))
    half = MAX_DESCRIBED_RUN_COUNT // 2
    chosen = runs if len(runs) <= MAX_DESCRIBED_RUN_COUNT else [*runs[:half], *runs[-half:]]
    for start in range(0, len(chosen), 10):
        await asyncio.gather(*(_calls_of(temporal, run, needs) for run in chosen[start : start + 10]))
    return needs


async def _calls_of(temporal: Client, run: WorkflowExecutionInfo, needs: Needs) -> None:
    id = run.execution.workflow_id
    with suppress(UsageError):  # its history is over meanwhile
        for call in await pending_calls(temporal, await described(temporal, id, run.execution.run_id)):
            needs.add(call.queue, id)
            if call.started and time.time() - call.since / 1000 > LONG_CALL_S:
                needs.long.append((id, call))


def long_calls(needs: Needs) -> list[Finding]:
    """The calls that take long, the longest by name: an agent that hangs keeps a slot of its worker."""
    if not needs.long:
        return []
    (run, call), *others = sorted(needs.long, key=lambda item: item[1].since)
    more = f", and {len(others)} more that take{'s'[: len(others) == 1]} over an hour" if others else ""
    return [
        warning(
            "calls",
            f"{call.path} of run {run!r} has been with agent {call.agent} for "
            f"{duration(time.time() - call.since / 1000)}{more}",
            "give such a node a `timeout`; without one, its worker ends it after PERDURE_CALL_LIMIT seconds\n"
            f"perdure cancel {run}",
        )
    ]


async def queues(temporal: Client, needs: Needs, default: str, *, local: bool) -> list[Finding]:
    """Each queue that is needed, and the default one, with its workers or the command that starts one."""
    by_runs = sorted(needs.runs.items(), key=lambda item: -len(item[1]))
    names = list(dict.fromkeys([default, *(name for name, _ in by_runs)]))
    findings = [
        await _queue(temporal, name, sorted(needs.runs.get(name, ())), default, local)
        for name in names[:MAX_CHECKED_QUEUE_COUNT]
    ]
    if len(names) > MAX_CHECKED_QUEUE_COUNT or needs.seen > MAX_DESCRIBED_RUN_COUNT:
        queues = len(names[:MAX_CHECKED_QUEUE_COUNT])
        text = f"there are more: looked at {queues} queues of {needs.seen} open runs"
        findings.append(
            fine(
                QUEUE_CHECK, f"{text}, and at the calls of {MAX_DESCRIBED_RUN_COUNT}: the newest, the oldest"
            )
        )
    return findings


async def _queue(temporal: Client, name: str, runs: Sequence[str], default: str, local: bool) -> Finding:
    serving = sorted(await workers(temporal, name, local=local))
    need = f"{len(runs)} open run{'s'[: len(runs) != 1]}"
    if serving:
        summary = (
            f"{name}: {len(serving)} worker{'s'[: len(serving) != 1]} ({', '.join(serving[:3])}), {need}"
        )
        stuck = await unrouted(temporal, name)
        return (
            fine(QUEUE_CHECK, summary)
            if stuck is None
            else warning(QUEUE_CHECK, f"{summary}; {stuck[0]}", stuck[1])
        )
    if not runs:
        return fine(QUEUE_CHECK, f"{name}: no worker and no open run; perdure run serves its own run")
    waiting = f"{name}: no worker; {need} wait{'s'[: len(runs) == 1]} for one, such as {runs[0]!r}"
    return warning(QUEUE_CHECK, waiting, start(name, runs, default))


def start(name: str, runs: Sequence[str], default: str) -> str:
    """The command that serves the queue."""
    if name == default:
        return "perdure worker"
    if re.fullmatch(rf"{re.escape(default)}-[0-9a-f]{{8}}", name):  # of a command that served itself
        return f"perdure result {runs[0]} (with the --agents that it was started with)"
    return f"perdure worker --queue {name}"


async def unrouted(temporal: Client, name: str) -> tuple[str, str] | None:
    """Why the workers of a queue get no new runs although they poll it, and the hint: no build of them is
    the current one. None if new runs reach them.
    """
    request = DescribeTaskQueueRequest(
        namespace=temporal.namespace,
        task_queue=TaskQueue(name=name),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    )
    answer = await temporal.workflow_service.describe_task_queue(request, timeout=RPC_TIMEOUT)
    versions = [poller.deployment_options for poller in answer.pollers]
    versioned = WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED
    if not versions or any(version.worker_versioning_mode != versioned for version in versions):
        return None
    current = answer.versioning_info.current_deployment_version.build_id
    if current and any(version.build_id == current for version in versions):
        return None
    deployment, build = versions[0].deployment_name, versions[0].build_id
    which = f"the current one, {current!r}, is not among them" if current else "none is the current one"
    return (
        f"they are builds of {deployment!r}, and {which}: new runs wait",
        "temporal worker deployment set-current-version "
        f"--deployment-name {deployment} --build-id {build} -n {temporal.namespace}",
    )
