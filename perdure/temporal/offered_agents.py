"""Asks the workers of a task queue for their agents, apart from any run."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import timedelta
from typing import Final

from temporalio.client import ActivityFailureError, Client
from temporalio.common import RawValue, RetryPolicy
from temporalio.service import RPCError

from perdure.errors import PerdureError
from perdure.protocol.agents import AgentRegistry
from perdure.protocol.names import DIRECTORY
from perdure.protocol.payloads import FirstSegmentRequest
from perdure.protocol.wire import pack, unpack
from perdure.temporal.queues import workers

_OFFER_TIMEOUT: Final = timedelta(seconds=30)

_OFFER_ATTEMPT_TIMEOUT: Final = timedelta(seconds=10)
"""The server may hand the question to a worker that has just ended: then another one is asked."""


async def offered_agents(
    temporal: Client, queue: str, names: Collection[str], *, local: bool
) -> AgentRegistry | None:
    """The registry of a worker of this queue, with the digests of the agents `names`.

    None where no worker is there, it does not reply, or the server has no activities without a run. `local`
    is as in `workers`.
    """
    nodes = {f"n{number}": {"agent": name} for number, name in enumerate(names)}
    request = FirstSegmentRequest(request={"document": {"nodes": nodes}}, continues=True)
    try:
        if not await workers(temporal, queue, local=local):
            return None
        raw: RawValue = await temporal.execute_activity(
            DIRECTORY,
            pack(request),
            result_type=RawValue,
            id=f"{DIRECTORY}-{secrets.token_hex(8)}",
            task_queue=queue,
            schedule_to_close_timeout=_OFFER_TIMEOUT,
            start_to_close_timeout=_OFFER_ATTEMPT_TIMEOUT,
            retry_policy=RetryPolicy(maximum_attempts=3),
            summary="the agents this worker knows",
        )
        return unpack(raw, AgentRegistry, strict=False)
    except (ActivityFailureError, RPCError, PerdureError):
        return None
