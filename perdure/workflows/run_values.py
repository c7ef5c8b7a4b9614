"""Values of a run that are in the store: asking to know one, and bringing there what the run has made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import Any, Final

from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import FailureError, is_cancelled_exception

from perdure.engine.large_values import LargeValue, large_values
from perdure.engine.messages import AgentFailed, Event, Fetch, Fetched
from perdure.engine.scheduler import Scheduler
from perdure.errors import CannotKeep, MalformedPayload, ValueTooLarge
from perdure.graph.deferred import Deferred, Projection
from perdure.graph.sizes import size_of
from perdure.graph.values import Value, is_list
from perdure.protocol.encoding import encoded_size
from perdure.protocol.names import FETCH, FETCHES_IN_TURN, KEEP, STATE_IN_PORTIONS
from perdure.protocol.wire import MAX_PAYLOAD_BYTES, pack, unpack
from perdure.workflows.activity_options import FINAL_ERROR_TYPES, LOCAL_ACTIVITY_TIMEOUT
from perdure.workflows.calls import failure
from perdure.workflows.host import Host, own

MAX_INLINE_BYTES: Final = 256_000
"""Bytes of what a run hands on by value: a call's inputs, its results."""

MAX_STATE_BYTES: Final = 1_000_000
"""Bytes of what a run carries on by value when it continues as new."""

MAX_WHOLE_STATE_BYTES: Final = 2_000_000
"""Bytes that a run may hold (perdure.engine.live_bytes) to be written in one activation when it continues."""

MAX_PORTION_BYTES: Final = 4_000_000
"""Bytes of values that are brought to the store together."""

MIN_OFFLOADED_BYTES: Final = 200
"""Bytes of a value that takes more room as a reference."""

MAX_FETCH_COUNT: Final = 100
"""Values that are fetched together."""

STORE_RETRY_TIMEOUT: Final = timedelta(hours=1)
"""A store that does not answer is asked again for so long."""

LOCAL_RETRY_THRESHOLD: Final = timedelta(seconds=10)

STORE_RETRY_POLICY: Final = RetryPolicy(
    initial_interval=timedelta(milliseconds=500),
    maximum_interval=timedelta(seconds=30),
    non_retryable_error_types=FINAL_ERROR_TYPES,
)


@dataclass(slots=True)
class Values:
    """The way to the store, for one run. `answered` is handed the answers, which go before all others.

    One local activity at a time answers all requests that wait for it, and meanwhile the run hands nothing on
    and sends nothing. The SDK hands over what arrives one by one in a live run all at once in a replay: only
    so does the replay decide the same. If a request fails, each of its batch is sent alone: the others may
    succeed.
    """

    host: Host
    arrive: Callable[[Event], None]  # before the patch: as they come
    answered: Callable[[Sequence[Event]], None]
    #: Requests on their way; before the patch each has a task of its own.
    _open: dict[int, asyncio.Task[Any]] = field(default_factory=dict[int, asyncio.Task[Any]])
    _waiting: dict[int, Fetch] = field(default_factory=dict[int, Fetch])
    _in_turn: bool = False
    _alone: set[int] = field(default_factory=set[int])

    def fetch(self, command: Fetch) -> None:
        """Asks to know a value: now, or at the next `begin`."""
        if self.host.is_patched(FETCHES_IN_TURN):
            self._waiting[command.call] = command
            return
        payload = pack([command.deferred, command.whole], limited=False)
        task = self._start(payload, command)
        self._open[command.call] = task
        task.add_done_callback(lambda done: self._fetched(command.call, done))

    def drop(self, call: int) -> None:
        """The request for the value is abandoned."""
        self._waiting.pop(call, None)
        task = self._open.pop(call, None)
        if task is not None and task not in self._open.values():
            task.cancel()

    def is_idle(self) -> bool:
        """Whether nothing is on its way."""
        return not self._open and not self._waiting

    def close(self) -> None:
        """The run is over."""
        self._waiting.clear()
        for task in set(self._open.values()):
            task.cancel()
        self._open.clear()

    def _start(self, payload: RawValue, first: Fetch) -> asyncio.Task[RawValue]:
        summary = str(first.deferred)[:100]
        return self.host.start_local_activity(FETCH, payload, summary=summary, **_STORE_ACTIVITY_OPTIONS)

    @property
    def is_open(self) -> bool:
        """Whether the run waits for values before it does anything else."""
        return self._in_turn and bool(self._open)

    def begin(self) -> None:
        """Sends what waits, once nothing is on its way."""
        if self._open or not self._waiting:
            return
        self._in_turn = True
        batch = list(islice(self._waiting.values(), MAX_FETCH_COUNT))
        batch = next(([command] for command in batch if command.call in self._alone), batch)
        requests: Value = [[command.deferred, command.whole] for command in batch]
        task = self._start(pack(requests, limited=False), batch[0])
        for command in batch:
            del self._waiting[command.call]
            self._open[command.call] = task
        task.add_done_callback(lambda done: self._answered(batch, done))

    def _answered(self, batch: list[Fetch], task: asyncio.Task[Any]) -> None:
        still_open = {command.call for command in batch if self._open.pop(command.call, None) is not None}
        answers = [] if task.cancelled() else _answers(batch, task)
        if answers is None:
            again = {command.call: command for command in batch if command.call in still_open}
            self._alone.update(again)
            self._waiting = {**again, **self._waiting}
        self._alone &= self._waiting.keys()
        self.answered([event for event in answers or () if event.call in still_open])

    def _fetched(self, call: int, task: asyncio.Task[Any]) -> None:
        if self._open.pop(call, None) is None or task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self.arrive(failure(call, error))
            return
        try:
            answer: Event = Fetched(call, unpack(own(task.result()), strict=False))
        except MalformedPayload as malformed:  # an exception in a callback is lost
            answer = _unreadable(call, str(malformed))
        self.arrive(answer)


def _answers(batch: list[Fetch], task: asyncio.Task[RawValue]) -> list[Fetched | AgentFailed] | None:
    """The answers to a batch; None if each is to be asked for alone."""
    error = task.exception()
    if error is not None:
        return None if len(batch) > 1 else [failure(batch[0].call, error)]
    try:
        values = unpack(own(task.result()), strict=False)
    except MalformedPayload as malformed:  # an exception in a callback is lost
        return [_unreadable(command.call, str(malformed)) for command in batch]
    if not is_list(values) or len(values) != len(batch):
        return [_unreadable(command.call, "it is not the answer to what was asked") for command in batch]
    return [Fetched(command.call, value) for command, value in zip(batch, values, strict=True)]


def _unreadable(call: int, why: str) -> AgentFailed:
    return AgentFailed(call, f"a value of the store: {why}", final=True)


async def packed(host: Host, raw: RawValue, has_store: bool) -> RawValue:
    """The payload of what the run has made, its large parts kept. Raises ValueTooLarge, CannotKeep."""
    if has_store and len(raw.payload.data) > MAX_INLINE_BYTES:
        raw = await _kept(host, raw, MAX_INLINE_BYTES)
    if len(raw.payload.data) > MAX_PAYLOAD_BYTES:
        raise ValueTooLarge(len(raw.payload.data), MAX_PAYLOAD_BYTES)
    return raw


async def keep_values(host: Host, scheduler: Scheduler) -> None:
    """Brings the values that a run holds to the store, all but the smallest."""
    await _keep(
        host, [place for place in large_values(scheduler) if encoded_size(place.value) > MIN_OFFLOADED_BYTES]
    )
    scheduler.board.recount()


async def keep_large_state(host: Host, scheduler: Scheduler, has_store: bool) -> None:
    """The same in portions, for a run that holds more than it can write in one activation."""
    is_large = has_store and scheduler.board.live > MAX_WHOLE_STATE_BYTES
    if not (is_large and host.is_patched(STATE_IN_PORTIONS)):
        return
    portion: list[LargeValue] = []
    total = 0
    for place in large_values(scheduler, MAX_PORTION_BYTES):
        size = size_of(place.value, stored=False)
        if size > MIN_OFFLOADED_BYTES:
            portion.append(place)
            total += size
        if total > MAX_PORTION_BYTES:
            await _keep(host, portion)
            portion, total = [], 0
    if portion:
        await _keep(host, portion)
    scheduler.board.recount()


async def _keep(host: Host, large: Sequence[LargeValue]) -> None:
    raw = await _kept(host, pack([place.value for place in large], limited=False), MAX_INLINE_BYTES)
    values = unpack(own(raw), strict=False)
    if not (isinstance(values, Deferred) or (is_list(values) and len(values) == len(large))):
        raise CannotKeep("the store's answer is not a list of the values that it was to keep")
    for index, place in enumerate(large):
        new = Projection(values, ((f"${index}", True),)) if isinstance(values, Deferred) else values[index]
        if isinstance(new, Deferred):
            place.put(new)


async def _kept(host: Host, raw: RawValue, limit: int) -> RawValue:
    try:
        summary = "large values go to the store"
        return await host.start_local_activity(KEEP, raw, limit, summary=summary, **_STORE_ACTIVITY_OPTIONS)
    except FailureError as error:  # of a local activity it is the failure itself, or an ActivityError
        if is_cancelled_exception(error):
            raise
        cause = error.cause or error
        raise CannotKeep(cause.message if isinstance(cause, FailureError) else str(cause)) from error


_STORE_ACTIVITY_OPTIONS: Final[dict[str, Any]] = {
    "start_to_close_timeout": LOCAL_ACTIVITY_TIMEOUT * 4,
    "schedule_to_close_timeout": STORE_RETRY_TIMEOUT,
    "local_retry_threshold": LOCAL_RETRY_THRESHOLD,
    "retry_policy": STORE_RETRY_POLICY,
}
