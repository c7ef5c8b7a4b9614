"""How events reach a run: as an update, so the sender hears whether the run has taken them.

An update is durable once a worker has accepted it. Without a reply nothing was promised, and the same events
can be sent again: each counts once by its id. So a sender keeps what it has no receipt for.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, Final

from temporalio.client import (
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from perdure.engine.inbox.events import EventBatch, EventReceipt, ExternalEvent
from perdure.errors import ConnectionFailed, TransientError, UsageError
from perdure.protocol.names import EVENT_UPDATE
from perdure.protocol.records import from_plain
from perdure.temporal.rpc_errors import rpc_error

EVENT_TIMEOUT_S: Final = 20.0
"""Seconds that a run has to take events: a worker that has just started replays the run first."""

_RPC_TIMEOUT: Final = timedelta(seconds=EVENT_TIMEOUT_S)

_RUN_CLOSED: Final = "AcceptedUpdateCompletedWorkflow"
"""The server's error type for an update whose run has ended, or continued as new, before the reply."""


class ReceivingRun:
    """The part of a Run that takes events."""

    __slots__ = ()

    @property
    def handle(self) -> WorkflowHandle[Any, Any]:
        """The Temporal handle underneath."""
        raise NotImplementedError

    async def send(self, *events: ExternalEvent) -> EventReceipt:
        """Sends events to the nodes that wait for them, now or later; the run takes all of them, or none.

        Each counts once by its `sender` and `id`. Raises UsageError if the run never takes them, NotFound if
        there is no such run, TransientError if it has no room now, and ConnectionFailed if no worker replies:
        send them again then, with the same ids.
        """
        return await send_events(self.handle, EventBatch(events=events))


async def send_events(handle: WorkflowHandle[Any, Any], batch: EventBatch) -> EventReceipt:
    """Sends events to a run, once; the errors are those of `ReceivingRun.send`."""
    try:
        async with asyncio.timeout(EVENT_TIMEOUT_S):
            fields: Any = await handle.execute_update(  # pyright: ignore[reportUnknownMemberType] -- the SDK's
                EVENT_UPDATE, batch, rpc_timeout=_RPC_TIMEOUT
            )
    except WorkflowUpdateFailedError as error:
        raise _refusal(error.cause, handle.id) from error
    except (WorkflowUpdateRPCTimeoutOrCancelledError, TimeoutError) as error:
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise asyncio.CancelledError from error  # the SDK says the same of both
        raise _no_reply(handle.id) from error
    except RPCError as error:
        raise rpc_error(error, f"run {handle.id!r}") from error
    return from_plain(EventReceipt, fields)


def _refusal(cause: BaseException, id: str) -> Exception:
    if not isinstance(cause, ApplicationError):
        return UsageError(str(cause))
    if cause.type == TransientError.__name__:
        return TransientError(cause.message)
    return _no_reply(id) if cause.type == _RUN_CLOSED else UsageError(cause.message)


def _no_reply(id: str) -> ConnectionFailed:
    return ConnectionFailed(
        f"no worker replies for run {id!r}, so nothing was taken for certain", hint="send the events again"
    )
