"""What a run asks of Temporal: the time, its own history, timers and activities.

The parts of a run ask a `Host` and never the SDK, so that each can be tested by itself: `TemporalHost`
answers inside a workflow, and tests bring a host whose time and history they set.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

from temporalio import workflow
from temporalio.common import RawValue, SearchAttributeKey, WorkflowIDReusePolicy
from temporalio.exceptions import is_cancelled_exception

from perdure.protocol.names import ASKS_ATTRIBUTE, KEEP, SEGMENT
from perdure.protocol.wire import admitted, is_untrusted
from perdure.temporal.handover import MIN_HANDED_BYTES, Parcel
from perdure.workflows.arrivals import Arrivals, HistorySize

_TAKING: Final = (KEEP, SEGMENT)
"""Local activities that take large arguments from this process."""

_AUDIENCE_KEY = SearchAttributeKey.for_keyword_list(ASKS_ATTRIBUTE)


class Host(Protocol):
    """The workflow execution around a run."""

    def now_s(self) -> float:
        """The time of the workflow task, in seconds since the epoch; the same in a replay."""
        ...

    def run_id(self) -> str:
        """The id of the first run of the chain."""
        ...

    def workflow_id(self) -> str:
        """The id of the run."""
        ...

    def hold_history(self) -> None:
        """From now on, what is said of the history changes only when something arrives that is an event.

        A live run may handle the result of a local activity one workflow task later than its replay does.
        """
        ...

    def take_in_turn(self, notify: Callable[[], None]) -> None:
        """From now on, what arrives as an event waits for `admit`; `notify` is called when something does."""
        ...

    def admit(self) -> bool:
        """Lets in what arrived with one workflow task; False if nothing has."""
        ...

    def has_arrivals(self) -> bool:
        """Whether something has arrived that was not let in yet."""
        ...

    def history_events(self) -> int:
        """Events of the history up to this workflow task: another number means another task."""
        ...

    def history_bytes(self) -> int:
        """Bytes of that history."""
        ...

    def suggests_continuing(self) -> bool:
        """Whether the server suggests to continue as new."""
        ...

    def is_patched(self, name: str) -> bool:
        """Whether the workflow is to do what it does since the patch `name`, and not what it did before."""
        ...

    async def sleep(self, seconds: float, summary: str) -> None:
        """Waits for a timer of the workflow, whose end is taken in its turn."""
        ...

    async def pause(self, seconds: float, summary: str) -> None:
        """Waits for a timer of the workflow, and for no turn."""
        ...

    def index_audience(self, names: list[str]) -> None:
        """Sets the search attribute of who is asked by the run."""
        ...

    def start_apart(self, name: str, argument: RawValue, id: str, summary: str) -> asyncio.Task[Any]:
        """Starts a workflow that outlives this one; the task ends when the server has begun it."""
        ...

    def start_activity(self, name: str, *arguments: Any, **options: Any) -> asyncio.Task[RawValue]:
        """Starts an activity on a task queue; `options` are those of workflow.start_activity."""
        ...

    def start_local_activity(self, name: str, *arguments: Any, **options: Any) -> asyncio.Task[RawValue]:
        """Starts an activity in the worker of the run; `options` are those of the SDK."""
        ...


def own(raw: RawValue) -> RawValue:
    """What has come to the run, without the mark of an unsigned payload if the run is older than the keys."""
    if not is_untrusted(raw.payload):
        return raw
    return RawValue(admitted(raw.payload, workflow.info().start_time.timestamp() * 1000))


FIRST_SIZE: Final = HistorySize(3, 0, False)
"""What is said of the history until something arrives: it has begun, and has the events of one workflow task.

If the first workflow task has to be taken again, or is a long one, it has more, but a replay does not find
the same number: it skips workflow tasks in which nothing was sent.
"""


def _history_size() -> HistorySize:
    info = workflow.info()
    size = info.get_current_history_size()
    return HistorySize(info.get_current_history_length(), size, info.is_continue_as_new_suggested())


class TemporalHost:
    """The workflow in whose code this runs; made in its first workflow task."""

    def __init__(self) -> None:
        self._is_held = False
        self._arrivals: Arrivals | None = None
        self._seen = FIRST_SIZE

    def look(self) -> None:
        """Something has arrived that is an event: a signal, an update, the end of a timer or an activity."""
        if self._arrivals is None:
            self._seen = _history_size()
        else:
            self._arrivals.add(_history_size(), lambda: None)

    def take_in_turn(self, notify: Callable[[], None]) -> None:
        """See Arrivals for why."""
        self._arrivals = Arrivals(notify)

    def admit(self) -> bool:
        """From then on, the history is as long as it was when this arrived."""
        seen = None if self._arrivals is None else self._arrivals.admit()
        if seen is not None:
            self._seen = seen
        return seen is not None

    def has_arrivals(self) -> bool:
        """Never, unless events are taken in turn."""
        return self._arrivals is not None and not self._arrivals.is_empty()

    def hold_history(self) -> None:
        """As it was at the last `look`."""
        self._is_held = True

    @property
    def _history(self) -> HistorySize:
        return self._seen if self._is_held else _history_size()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        if not task.cancelled() and not (error is not None and is_cancelled_exception(error)):
            self.look()

    def now_s(self) -> float:
        """`workflow.now`."""
        return workflow.now().timestamp()

    def run_id(self) -> str:
        """The first execution's run id."""
        return workflow.info().first_execution_run_id

    def workflow_id(self) -> str:
        """As the client chose it."""
        return workflow.info().workflow_id

    def history_events(self) -> int:
        """As the server counts them."""
        return self._history.events

    def history_bytes(self) -> int:
        """As the server counts them."""
        return self._history.bytes

    def suggests_continuing(self) -> bool:
        """By the server's own limits."""
        return self._history.suggests_continuing

    def is_patched(self, name: str) -> bool:
        """By a marker in the history."""
        return workflow.patched(name)

    async def sleep(self, seconds: float, summary: str) -> None:
        """A timer in the history."""
        await workflow.sleep(seconds, summary=summary)
        await self._turn()

    async def pause(self, seconds: float, summary: str) -> None:
        """A timer in the history."""
        await workflow.sleep(seconds, summary=summary)
        self._seen = _history_size()

    def index_audience(self, names: list[str]) -> None:
        """A command in the history."""
        value = _AUDIENCE_KEY.value_set(names) if names else _AUDIENCE_KEY.value_unset()
        workflow.upsert_search_attributes([value])  # pyright: ignore[reportUnknownMemberType] -- the SDK's

    def start_apart(self, name: str, argument: RawValue, id: str, summary: str) -> asyncio.Task[Any]:
        """A child workflow, abandoned when its parent ends."""
        return asyncio.create_task(
            workflow.start_child_workflow(
                name,
                argument,
                id=id,
                static_summary=summary,
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            )
        )

    def start_activity(self, name: str, *arguments: Any, **options: Any) -> asyncio.Task[RawValue]:
        """Its result stays a payload."""
        task = workflow.start_activity(name, args=arguments, result_type=RawValue, **options)
        if self._arrivals is not None:
            return asyncio.create_task(self._in_turn(task))
        task.add_done_callback(self._ended)
        return task

    async def _in_turn(self, task: asyncio.Task[RawValue]) -> RawValue:
        try:
            result = await task
        except Exception as error:
            if not is_cancelled_exception(error):  # that the run has cancelled it is not an event
                await self._turn()
            raise
        await self._turn()
        return result

    async def _turn(self) -> None:
        if self._arrivals is None:
            self.look()
            return
        turn = asyncio.get_running_loop().create_future()
        self._arrivals.add(_history_size(), lambda: None if turn.done() else turn.set_result(None))
        await turn

    def start_local_activity(self, name: str, *arguments: Any, **options: Any) -> asyncio.Task[RawValue]:
        """Its result stays a payload. Perdure's own activities take large arguments from this process."""
        parcels: list[Parcel] = []
        if name in _TAKING and not workflow.unsafe.in_sandbox():  # where modules are copies
            parcels = [Parcel(argument) for argument in arguments if _is_large(argument)]
        tickets = {id(parcel.raw): parcel.ticket for parcel in parcels}
        sent = [tickets.get(id(argument), argument) for argument in arguments]
        task = workflow.start_local_activity(name, args=sent, result_type=RawValue, **options)
        if parcels:
            task.add_done_callback(partial(_let_go, parcels))
        return task


def _is_large(argument: object) -> bool:
    return isinstance(argument, RawValue) and len(argument.payload.data) >= MIN_HANDED_BYTES


def _let_go(parcels: list[Parcel], task: asyncio.Task[RawValue]) -> None:
    """The local activity is over: until here its task has held them."""
    del task
    parcels.clear()


def now_ms(host: Host) -> int:
    """The time of the workflow task, in milliseconds since the epoch."""
    return int(host.now_s() * 1000)
