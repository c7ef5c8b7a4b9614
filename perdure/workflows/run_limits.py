"""How a run begins and ends: its options, what it may use up, its result."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import inf

from temporalio import workflow
from temporalio.common import RawValue, SearchAttributeKey
from temporalio.exceptions import ApplicationError

from perdure.engine.messages import Abort, Command, Finish, Quotas
from perdure.engine.scheduler import Scheduler
from perdure.errors import CannotKeep, QuotaExceeded, ValueTooLarge
from perdure.protocol import names
from perdure.protocol.payloads import RunRequest, RunResult
from perdure.protocol.wire import pack
from perdure.workflows.host import Host
from perdure.workflows.run_values import packed

_STATUS_KEY = SearchAttributeKey.for_keyword(names.STATUS_ATTRIBUTE)


@dataclass(slots=True)
class RunLimits:
    """The quotas of a run on bytes, and on seconds since `began_ms`; `notify` is called when time is up."""

    host: Host
    quotas: Quotas
    began_ms: int
    notify: Callable[[], None]
    _timer: asyncio.Task[None] | None = field(init=False, default=None)
    _is_late: bool = False

    def __post_init__(self) -> None:
        if self.quotas.seconds < inf:
            passed = self.host.now_s() - self.began_ms / 1000
            self._timer = asyncio.create_task(self._wait(max(0.0, self.quotas.seconds - passed)))

    def check(self, moved: int) -> None:
        """Raises QuotaExceeded."""
        if moved > self.quotas.bytes:
            raise QuotaExceeded("bytes", self.quotas.bytes, "bytes of values")
        if self._is_late:
            raise QuotaExceeded("seconds", self.quotas.seconds, "seconds")

    def close(self) -> None:
        """The run is over."""
        if self._timer is not None:
            self._timer.cancel()

    async def _wait(self, seconds: float) -> None:
        await self.host.pause(seconds, "the time that the run may take")
        self._is_late = True
        self.notify()


def started(scheduler: Scheduler, now_ms: int) -> list[Command]:
    """What a run begins with: with its end, where it is known to need more than a quota allows."""
    try:
        return scheduler.start(now_ms)
    except QuotaExceeded as error:
        return [stopped(scheduler, str(error), now_ms)]


def stopped(scheduler: Scheduler, message: str, now_ms: int) -> Finish:
    """The end of a run that must not continue, with what it has."""
    commands = scheduler.handle(Abort(), now_ms)
    finish = next(command for command in commands if isinstance(command, Finish))
    return replace(finish, failure=message)


class EndError(ApplicationError):
    """Why a run ends without a result. Stack frames of Perdure would say nothing about its graph."""

    __traceback__ = None


async def ended(host: Host, request: RunRequest, result: RunResult, has_store: bool) -> RawValue:
    """The result of the workflow. Raises EndError of type RunFailed when a node failed."""
    if request.indexed:
        status = "failed" if result.failure is not None else "completed"
        workflow.upsert_search_attributes(  # pyright: ignore[reportUnknownMemberType] -- the SDK's
            [_STATUS_KEY.value_set(status)]
        )
    try:
        raw = await packed(host, pack(result, limited=False), has_store)
    except (ValueTooLarge, CannotKeep) as error:
        raise EndError(f"the results of all nodes: {error}", type="ValueTooLarge") from None
    if result.failure is not None:
        is_named = not result.place or result.failure.startswith(result.place)
        message = result.failure if is_named else f"{result.place}: {result.failure}"
        raise EndError(message, raw, type="RunFailed")
    return raw
