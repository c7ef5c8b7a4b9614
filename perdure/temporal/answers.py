"""How the answer of a person reaches a run, whether or not a worker is up.

First as an update: the run replies whether it is accepted, and a refused one leaves no event. But an update
is durable only once a worker has accepted it. So without a reply it is sent as a signal as well, which the
server keeps at once and delivers when there is a worker. Both have the same id, so the answer counts once,
even if the update arrives after all.

Rejected
    Signals alone: a person would not hear that the answer is refused, or came too late.
    To ask for the pollers of the task queue instead of waiting: the server lists a dead worker for minutes.
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

from perdure.engine.closed_questions import Receipt
from perdure.engine.human_tasks import Answer, answer_digest
from perdure.errors import ConnectionFailed, UsageError
from perdure.protocol.names import ANSWER_SIGNAL
from perdure.protocol.records import from_plain
from perdure.temporal.rpc_errors import rpc_error

UPDATE_TIMEOUT_S: Final = 6.0
"""Seconds that a run has to reply; with SIGNAL_TIMEOUT less than the ten that a command may take."""

SIGNAL_TIMEOUT: Final = timedelta(seconds=3)

UPDATE_RETRY_DELAY_S: Final = 0.25
"""Seconds between two tries, if the server is busy or the connection broke."""


async def deliver(handle: WorkflowHandle[Any, Any], answer: Answer) -> Receipt | None:
    """Delivers the answer, which has an id; None if no worker has replied: then the server keeps it.

    Raises UsageError if it is refused, or the run has ended, and ConnectionFailed if the server does not
    reply: then the answer may count, or not, and can be sent again under the same id.
    """
    updating = asyncio.ensure_future(_updated(handle, answer))
    try:
        await asyncio.wait({updating}, timeout=UPDATE_TIMEOUT_S)
        if updating.done():
            return updating.result()
    finally:
        updating.cancel()
        await asyncio.gather(updating, return_exceptions=True)
    try:
        await handle.signal(ANSWER_SIGNAL, answer, rpc_timeout=SIGNAL_TIMEOUT)  # pyright: ignore[reportUnknownMemberType] -- the SDK's
    except RPCError as error:
        raise rpc_error(error, f"run {handle.id!r}") from error
    return None


async def _updated(handle: WorkflowHandle[Any, Any], answer: Answer) -> Receipt:
    """What the run replies; tries again for as long as it is not cancelled."""
    while True:
        try:
            fields: Any = await handle.execute_update(  # pyright: ignore[reportUnknownMemberType] -- the SDK's
                "answer", answer, id=answer.id
            )
            break
        except WorkflowUpdateFailedError as error:
            cause = error.cause
            raise UsageError(cause.message if isinstance(cause, ApplicationError) else str(cause)) from error
        except WorkflowUpdateRPCTimeoutOrCancelledError as error:
            if not isinstance(error.__cause__, RPCError):
                raise asyncio.CancelledError from error  # that is how the SDK reports it
            await _pause(error.__cause__, handle.id)
        except RPCError as error:
            await _pause(error, handle.id)
    if fields is None:  # a worker of an older version
        return Receipt(path=answer.path, who=answer.who, digest=answer_digest(answer.value))
    receipt = from_plain(Receipt, fields)
    if receipt.digest != answer_digest(answer.value):
        raise UsageError(f"the id {answer.id!r} belongs to another answer to {receipt.path}")
    return receipt


async def _pause(error: RPCError, id: str) -> None:
    """Waits, if the request can be repeated. Raises the error otherwise."""
    wrong = rpc_error(error, f"run {id!r}")
    if not isinstance(wrong, ConnectionFailed) or "credentials" in str(wrong):
        raise wrong from error
    await asyncio.sleep(UPDATE_RETRY_DELAY_S)
