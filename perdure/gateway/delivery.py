"""Brings events to their runs, in batches, and says of each when Temporal has it.

Invariants
    An event is acknowledged only when its run has taken it, or has refused it for good. Until then its sender
    keeps it, and sends it again: it counts once by its id.
    Events for one run are delivered one batch after the other, in the order in which they came.
    What is held here is bounded: beyond that `deliver` waits, so a broker is not asked for more.

Rejected: a queue on the disk of the gateway. It would be a second place where events can be lost; the sender,
or its broker, has one already.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from temporalio.service import RPCError

from perdure.client import GraphClient
from perdure.engine.inbox.events import MAX_BATCH_EVENT_COUNT
from perdure.errors import GraphError, NotFound, PerdureError, RunConflict, UsageError
from perdure.gateway.routes import Target

MAX_HELD_TARGET_COUNT: Final = 10_000
"""Events that a gateway holds for all runs."""

MAX_GATEWAY_BATCH_BYTES: Final = 300_000
"""Bytes of a batch from which it is sent."""

QUIET_S: Final = 0.05
"""Seconds without a further event after which a batch is sent."""

MAX_PAUSE_S: Final = 10.0
"""Seconds between two tries to deliver a batch, at most."""

REFUSED: Final = (UsageError, GraphError)
"""What `Delivery.deliver` raises for an event that no run takes. Other errors pass: it tries again."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Held:
    """An event, and the future that says when it is taken."""

    target: Target
    done: asyncio.Future[None]


@dataclass(slots=True)
class Delivery:
    """Delivers events to the runs of a client. A batch is sent at 500 events, or after `linger_s` seconds.

    `counts` says how many were taken, were there already, and were refused; `held_count` how many are here.
    """

    client: GraphClient
    linger_s: float = 1.0
    counts: dict[str, int] = field(default_factory=lambda: {"taken": 0, "already": 0, "refused": 0})
    held_count: int = 0
    _queues: dict[str, asyncio.Queue[_Held]] = field(default_factory=dict[str, "asyncio.Queue[_Held]"])
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict[str, "asyncio.Task[None]"])
    _room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_HELD_TARGET_COUNT))

    async def deliver(self, target: Target) -> None:
        """Returns when the run has the event. Raises UsageError or GraphError where it never will."""
        async with self._room:
            self.held_count += 1
            try:
                await self._taken(target)
            finally:
                self.held_count -= 1

    async def _taken(self, target: Target) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue = self._queues.setdefault(target.run, asyncio.Queue())
        queue.put_nowait(_Held(target, done))
        if target.run not in self._tasks:
            self._tasks[target.run] = asyncio.create_task(self._serve(target.run, queue))
        await done

    async def close(self) -> None:
        """Stops; what was not taken is not acknowledged."""
        tasks = [*self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, run: str, queue: asyncio.Queue[_Held]) -> None:
        """Delivers what there is for one run; ends when there is nothing more."""
        try:
            while not queue.empty():
                batch = await self._gathered(queue)
                try:
                    await self._send(run, [held for held in batch if not held.done.done()])
                finally:
                    _finish(batch, lambda done: done.cancel())
        finally:
            del self._queues[run], self._tasks[run]
            while not queue.empty():
                queue.get_nowait().done.cancel()

    async def _gathered(self, queue: asyncio.Queue[_Held]) -> list[_Held]:
        loop = asyncio.get_running_loop()
        batch = [queue.get_nowait()]
        until, size = loop.time() + self.linger_s, batch[0].target.event.size
        while len(batch) < MAX_BATCH_EVENT_COUNT and size < MAX_GATEWAY_BATCH_BYTES:
            left = min(QUIET_S, until - loop.time())
            if left <= 0:
                break
            try:
                held = await asyncio.wait_for(queue.get(), left)
            except TimeoutError:
                break
            batch.append(held)
            size += held.target.event.size
        return batch

    async def _send(self, run: str, batch: Sequence[_Held]) -> None:
        """Tries until the run has the batch; a batch that is refused is sent again one by one."""
        pause_s = 0.2
        while batch:
            try:
                await self._once(run, batch)
            except REFUSED as error:
                await self._apart(run, batch, error)
                return
            except (PerdureError, RPCError, OSError) as error:
                logger.warning("run %r: %s; trying again in %.1f s", run, refusal_of(error), pause_s)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, MAX_PAUSE_S)
                batch = [held for held in batch if not held.done.done()]  # its sender may have left
            except Exception as error:
                await self._apart(run, batch, UsageError(f"it cannot be sent: {refusal_of(error)}"))
                return
            else:
                _finish(batch, lambda done: done.set_result(None))
                return

    async def _once(self, run: str, batch: Sequence[_Held]) -> None:
        events = [held.target.event for held in batch]
        handle, first = self.client.get(run), batch[0].target
        try:
            receipt = await handle.send(*events)
        except NotFound:
            if first.graph is None:
                raise
            await self._start(run, first)
            receipt = await handle.send(*events)
        self.counts["taken"] += receipt.taken
        self.counts["already"] += receipt.already

    async def _start(self, run: str, target: Target) -> None:
        assert target.graph is not None
        try:
            await self.client.start(target.graph, target.inputs, id=run, name=target.name, queue=target.queue)
        except RunConflict:
            return  # it exists, with a graph of before: that one has the events
        logger.info("run %r was started for events of %r", run, target.event.topic)

    async def _apart(self, run: str, batch: Sequence[_Held], error: PerdureError) -> None:
        if len(batch) > 1 and not isinstance(error, NotFound):
            for held in batch:  # one of them may be to blame
                await self._send(run, [held])
            return
        self.counts["refused"] += len(batch)
        _finish(batch, lambda done: done.set_exception(error))


def refusal_of(error: Exception) -> str:
    """What is said of an event that `error` has stopped."""
    return str(error) if isinstance(error, PerdureError) else f"{type(error).__name__}: {error}"


def _finish(batch: Sequence[_Held], finish: Callable[[asyncio.Future[None]], object]) -> None:
    for held in batch:
        if not held.done.done():
            finish(held.done)
