"""What an agent sends to other runs: by the client of its worker, in the name of its own run."""

from __future__ import annotations

from dataclasses import replace

from temporalio import activity

from perdure.engine.inbox.events import EventBatch, EventReceipt
from perdure.temporal.events import send_events


async def send_to(run: str, batch: EventBatch, /) -> EventReceipt:
    """Sends events to the run with this id; raises as perdure.temporal.events.send_events does."""
    own = activity.info().workflow_id or ""
    events = (replace(event, sender=event.sender or own) for event in batch.events)
    handle = activity.client().get_workflow_handle(run)
    return await send_events(handle, EventBatch(events=tuple(events)))
