"""What an agent is called with: its inputs without anything deferred in them, or with blobs that it opens."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from functools import partial
from typing import TypeGuard

from perdure.agents.blobs import Blob, parted, stored_blob
from perdure.graph.deferred import BINARY_KINDS, BlobRef, Deferred, deferred_in, replaced
from perdure.graph.sizes import MAX_VALUE_BYTES
from perdure.graph.values import Value
from perdure.protocol.payloads import AgentCall
from perdure.storage.claim_check import ClaimCheck


async def redeemed(call: AgentCall, blobs: Collection[str], claims: ClaimCheck) -> list[Value]:
    """The inputs and the params of a call. In the inputs `blobs`, what is binary is left to be opened."""
    taken, left = parted(call.inputs, blobs)
    if not left:
        return await claims.redeem([call.inputs, call.params], MAX_VALUE_BYTES)
    inputs, params = await claims.redeem([taken, call.params], MAX_VALUE_BYTES)
    return [{**inputs, **await _with_blobs(left, claims)}, params]


async def _with_blobs(value: Value, claims: ClaimCheck) -> Value:
    loop = asyncio.get_running_loop()
    others = [deferred for deferred in deferred_in(value) if not _is_binary(deferred)]
    present = iter(await claims.redeem(others, MAX_VALUE_BYTES))

    def blob(place: BlobRef) -> Blob:
        return stored_blob(partial(claims.read, place), loop)

    return replaced(value, lambda deferred: blob(deferred) if _is_binary(deferred) else next(present))


def _is_binary(deferred: Deferred) -> TypeGuard[BlobRef]:
    return isinstance(deferred, BlobRef) and deferred.kind in BINARY_KINDS
