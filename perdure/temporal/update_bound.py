"""Updates that are larger than a run can answer.

Why. The SDK answers an update, a refused one too, with a copy of the request, and the server has a limit for
what a workflow task sends. But it has none for the request itself. So anybody who may send updates, with
any client, could stop a run for good by one of three megabytes: its worker could accept it as little as
refuse it, and the workflow task would be repeated forever.

Invariants
    The updates that an activation passes to a run have MAX_UPDATES_BYTES together at most, in their order.
    The others are not answered at all: the server then refuses them by itself, and the run continues.
    What was accepted once is in the history, and is not counted in a replay.

Rejected: a check in the validator of the update. A refusal repeats the request as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from temporalio.bridge.proto.workflow_activation import WorkflowActivation

MAX_UPDATES_BYTES: Final = 2_000_000
"""Bytes of all updates that one activation passes to a run."""


def drop_large_updates(act: WorkflowActivation) -> list[str]:
    """Takes out the updates that are too large to be answered; their names and sizes, for a log."""
    left, dropped = MAX_UPDATES_BYTES, list[str]()
    kept: list[Any] = []
    jobs: Any = act.jobs
    for job in jobs:
        size = job.do_update.ByteSize() if job.HasField("do_update") and job.do_update.run_validator else 0
        if size > left:
            dropped.append(f"{job.do_update.name[:100]} ({size:,} bytes)")
        else:
            left -= size
            kept.append(job)
    if dropped:
        del jobs[:]
        jobs.extend(kept)
    return dropped
