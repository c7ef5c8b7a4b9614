"""What activities are called with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeVar

from temporalio import activity
from temporalio.common import RawValue

from perdure.errors import MalformedPayload
from perdure.graph.deferred import Deferred, copied
from perdure.graph.sizes import MAX_VALUE_BYTES
from perdure.graph.values import Value, is_dict, is_list, is_object
from perdure.protocol.payloads import AgentCall, BatchCall
from perdure.protocol.records import from_plain
from perdure.protocol.wire import is_plain, unpack
from perdure.storage.claim_check import ClaimCheck
from perdure.temporal.handover import taken

Request = TypeVar("Request")

DEFERRED_FIELDS: Final = frozenset({"inputs", "params", "config", "filter_params"})
"""The fields of a call that may stay in the store until the agent is called."""


def handed(raw: RawValue) -> RawValue:
    """What a run of this worker hands to a local activity. Raises MalformedPayload."""
    return taken(raw, is_local=activity.info().is_local)


def request_of_run(raw: RawValue, kind: type[Request]) -> Any:
    """What a run asks its worker: a record of `kind`, or null. Raises MalformedPayload.

    That of a local activity comes from the run itself, in this process, which has checked all that others
    have sent: it is not walked once more for what JSON does not allow.
    """
    return unpack(handed(raw), kind, strict=not activity.info().is_local)


async def calls_of(arguments: Sequence[RawValue], claims: ClaimCheck) -> tuple[bool, list[AgentCall]]:
    """Whether it is a batch, and the calls. Raises MalformedPayload, and what the store raises."""
    if len(arguments) != 1:
        raise MalformedPayload(f"an agent takes one argument, its call, and not {len(arguments)}")
    data: Value = unpack(arguments[0])
    if not is_plain(arguments[0]):
        data = await _redeemed(data, claims)
    return calls_in(data)


def calls_in(data: Value) -> tuple[bool, list[AgentCall]]:
    """The same, of an argument in which nothing is deferred that may not be. Raises MalformedPayload."""
    if not is_dict(data) or "calls" not in data:
        return False, [from_plain(AgentCall, data)]
    batch = from_plain(BatchCall, data)
    if not batch.calls:
        raise MalformedPayload("there are no calls in the batch")
    deep = {name: value for name, value in batch.shared.items() if is_object(value)}
    return True, [from_plain(AgentCall, {**batch.shared, **copied(deep), **call}) for call in batch.calls]


async def _redeemed(data: Value, claims: ClaimCheck) -> Value:
    """A call or a batch without anything deferred but what may be.

    A run that makes its calls smaller puts their largest parts into the store, whatever they are: the name of
    a node, or all calls of a batch.
    """
    if isinstance(data, Deferred):
        data = await claims.redeem(data, MAX_VALUE_BYTES)
    if not is_dict(data):
        return data
    redeemed: dict[str, Value] = {}
    for name, value in data.items():
        if name == "calls":
            calls = await claims.redeem(value, MAX_VALUE_BYTES) if isinstance(value, Deferred) else value
            redeemed[name] = [await _redeemed(call, claims) for call in calls] if is_list(calls) else calls
        elif name == "shared":
            redeemed[name] = await _redeemed(value, claims)
        elif name == "session":
            redeemed[name] = await _redeemed_session(value, claims)
        else:
            redeemed[name] = value if name in DEFERRED_FIELDS else await claims.redeem(value, MAX_VALUE_BYTES)
    return redeemed


async def _redeemed_session(ticket: Value, claims: ClaimCheck) -> Value:
    """The session of a call; the inputs of calls before it stay, as those of the call itself do."""
    if isinstance(ticket, Deferred):
        return await claims.redeem(ticket, MAX_VALUE_BYTES)
    resume = ticket.get("resume") if is_dict(ticket) else None
    if isinstance(resume, Deferred):
        return {**ticket, "resume": await claims.redeem(resume, MAX_VALUE_BYTES)}
    if not is_dict(resume) or "checkpoint" not in resume:
        return ticket
    checkpoint = await claims.redeem(resume["checkpoint"], MAX_VALUE_BYTES)
    return {**ticket, "resume": {**resume, "checkpoint": checkpoint}}
