"""How a change reaches a run that is under way: as an update, under an id by which a repeat is harmless.

Unlike an answer it is not kept without a worker: what it means depends on how far the run is by then.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from temporalio.client import (
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.service import RPCError, RPCStatusCode

from perdure.engine.state import NodeState
from perdure.engine.steering.request import Steering
from perdure.errors import ConnectionFailed, UsageError
from perdure.graph.check import modernized
from perdure.graph.values import Value, normalize
from perdure.protocol.records import from_plain
from perdure.protocol.steering import RunGraph, SteeringOrder, SteeringReceipt
from perdure.temporal.rpc_errors import RPC_TIMEOUT, no_worker, rpc_error, usage_error

STEERING_TIMEOUT_S: Final = 20.0
"""Seconds that a run has to apply a change: one of a large run takes some, and a segment may be under way."""

STEERING_RETRY_DELAY_S: Final = 0.25
"""Seconds between two tries, if the server is busy or the connection broke."""


SETTLING_INTERVAL_S: Final = 0.5
"""Seconds between two looks whether nodes are still executing."""

WAIT: Final = "wait"
"""For nodes that are executing: the change is made when they have ended. No run knows this choice."""


class SteeredRun:
    """The part of a Run that changes it while it runs."""

    __slots__ = ()

    @property
    def handle(self) -> WorkflowHandle[Any, Any]:
        """The Temporal handle underneath."""
        raise NotImplementedError

    async def graph(self) -> RunGraph:
        """The graph of the run as it is now, its hash, what is paused, and who has changed it.

        Raises UsageError when there is no such run, ConnectionFailed when no worker replies for it.
        """
        return await _asked(self.handle, "graph", RunGraph)

    async def preview(self, change: Steering, *, if_hash: str = "") -> SteeringReceipt:
        """What `steer` would do with each node now, or why it would be refused. Nothing happens."""
        order = SteeringOrder(change=_normal(change), if_hash=if_hash)
        return await _asked(self.handle, "preview", SteeringReceipt, order)

    async def steer(
        self,
        change: Steering,
        *,
        who: str = "",
        why: str = "",
        if_hash: str = "",
        within_s: float = math.inf,
    ) -> SteeringReceipt:
        """Changes the run while it runs: its graph, values of its nodes, what is retried, skipped or paused.

        `who` makes the change and `why` are recorded in the run. With `if_hash`, the change is refused if the
        graph has another hash by then. With "wait" for `running`, it is made when no executing node blocks
        it; if one still does after `within_s` seconds, it is refused. Raises UsageError where it is refused,
        and then nothing has changed, and ConnectionFailed when there is no reply in time: the change may then
        be made, or not.
        """
        order = SteeringOrder(change=_normal(change), if_hash=if_hash, who=who, why=why)
        end = time.monotonic() + within_s
        while change.running == WAIT and time.monotonic() < end:
            await self.settled(change, if_hash=if_hash, within_s=end - time.monotonic())
            try:
                return await _steer(self.handle, order)
            except UsageError:
                if not await self.settled(change, if_hash=if_hash, within_s=end - time.monotonic()):
                    raise  # for another reason than that a node has begun just now
        return await _steer(self.handle, order)

    async def settled(self, change: Steering, *, if_hash: str = "", within_s: float = math.inf) -> list[str]:
        """Waits until no executing node blocks a change, or for so long; returns the nodes that did.

        It waits here, and not in the run: if this process ends before, nothing is changed. What these nodes
        lead to may begin meanwhile. Raises what `preview` raises.
        """
        waited: dict[str, None] = {}
        end = time.monotonic() + within_s
        while True:
            receipt = await self.preview(change, if_hash=if_hash)
            busy = [
                node.place for node in receipt.nodes if node.finding and node.state == NodeState.EXECUTING
            ]
            waited.update(dict.fromkeys(busy))
            if not busy or time.monotonic() >= end:
                return list(waited)
            await asyncio.sleep(SETTLING_INTERVAL_S)

    async def patch(
        self,
        graph: Mapping[str, Value],
        *,
        running: str = "refuse",
        done: str = "refuse",
        rows: str = "refuse",
        keeps: Sequence[str] = (),
        who: str = "",
        why: str = "",
        if_hash: str = "",
    ) -> SteeringReceipt:
        """Replaces the graph of the run while it runs; results stay where nothing that made them changes.

        `running`, `done`, `rows` and `keeps` decide about nodes that have begun
        (perdure.engine.steering.request.Steering); "wait" for `running` is that of `steer`.
        """
        change = Steering(graph=graph, running=running, done=done, rows=rows, keeps=keeps)
        return await self.steer(change, who=who, why=why, if_hash=if_hash)


async def _steer(handle: WorkflowHandle[Any, Any], order: SteeringOrder) -> SteeringReceipt:
    """Changes the run. Raises UsageError where the change is refused, or the run is over.

    Raises ConnectionFailed if there is no reply in time: the change may then be made, or not.
    """
    try:
        async with asyncio.timeout(STEERING_TIMEOUT_S):
            return await _steered(handle, order, secrets.token_hex(16))
    except TimeoutError:
        raise ConnectionFailed(
            f"run {handle.id!r} did not reply to the change; it may still be made",
            hint=f"see whether it was, and whether a worker serves the run: perdure status {handle.id}",
        ) from None


async def _steered(handle: WorkflowHandle[Any, Any], order: SteeringOrder, id: str) -> SteeringReceipt:
    while True:
        try:
            fields: Any = await handle.execute_update("steer", order, id=id)  # pyright: ignore[reportUnknownMemberType] -- the SDK's
            return from_plain(SteeringReceipt, fields)
        except WorkflowUpdateFailedError as error:
            raise usage_error(error.cause) from error
        except WorkflowUpdateRPCTimeoutOrCancelledError as error:
            if not isinstance(error.__cause__, RPCError):
                raise asyncio.CancelledError from error  # that is how the SDK reports it
            _check_repeatable(error.__cause__, handle.id)
        except RPCError as error:
            _check_repeatable(error, handle.id)
        await asyncio.sleep(STEERING_RETRY_DELAY_S)


def _check_repeatable(error: RPCError, id: str) -> None:
    wrong = rpc_error(error, f"run {id!r}")
    if not isinstance(wrong, ConnectionFailed) or "credentials" in str(wrong):
        raise wrong from error


async def _asked(handle: WorkflowHandle[Any, Any], query: str, kind: Any, *arguments: Any) -> Any:
    """The reply to a query, once the run has begun: then it has a hash."""
    try:
        async with asyncio.timeout(STEERING_TIMEOUT_S):
            while True:
                reply = await handle.query(query, *arguments, result_type=kind, rpc_timeout=RPC_TIMEOUT)
                if reply.hash:
                    return reply
                await asyncio.sleep(STEERING_RETRY_DELAY_S)
    except RPCError as error:
        raise await _no_reply(handle, error) from error
    except TimeoutError:
        raise ConnectionFailed(f"run {handle.id!r} has not begun") from None
    except (WorkflowQueryFailedError, WorkflowQueryRejectedError) as error:
        raise ConnectionFailed(f"run {handle.id!r} does not reply: {error}") from error


async def _no_reply(handle: WorkflowHandle[Any, Any], error: RPCError) -> Exception:
    """Why a query had no reply: the run is over, no worker serves it, or what the server says."""
    wrong = rpc_error(error, f"run {handle.id!r}")
    if error.status not in (RPCStatusCode.FAILED_PRECONDITION, RPCStatusCode.DEADLINE_EXCEEDED):
        return wrong
    try:
        described = await handle.describe(rpc_timeout=RPC_TIMEOUT)
    except RPCError:
        return wrong
    if described.close_time is not None:
        hint = f"repeat it with a change: perdure rerun {handle.id}"
        return UsageError(f"run {handle.id!r} is over", hint=hint)
    return no_worker(handle.id, described.task_queue)


def _normal(change: Steering) -> Steering:
    """A change for the run: in the values of the language, its graph as `start` takes it. Raises UsageError.

    A run itself does not wait: it refuses what an executing node blocks.
    """
    change = replace(change, running="refuse") if change.running == WAIT else change
    graph = None if change.graph is None else modernized(normalize(change.graph))
    values = {name: normalize(value) for name, value in change.values.items()}
    return replace(change.checked(), graph=graph, values=values)
