"""A run: its result, its status, what it streams, the answers of people, its end."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from temporalio.client import (
    Client,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
)
from temporalio.service import RPCError

from perdure.engine.closed_questions import Receipt
from perdure.engine.human_tasks import Answer, HumanPrompt
from perdure.errors import MalformedPayload, PerdureError, RunFailed, UsageError
from perdure.graph.values import Value
from perdure.history.explain import Explanation
from perdure.history.model import NodeModel, RunModel
from perdure.lineage.change import Change
from perdure.monitoring.descriptions import RunDescription, described, pending_calls, with_nodes
from perdure.monitoring.report import RunReport
from perdure.monitoring.streams import StreamReader, streamed
from perdure.monitoring.view import StreamPiece
from perdure.protocol.numpy_arrays import with_arrays
from perdure.protocol.payloads import RunRequest, RunResult, RunStatus
from perdure.protocol.records import from_plain, to_plain
from perdure.storage.claim_check import ClaimCheck
from perdure.temporal.answers import deliver
from perdure.temporal.endings import result_of
from perdure.temporal.events import ReceivingRun
from perdure.temporal.queues import workers
from perdure.temporal.rpc_errors import RPC_TIMEOUT, no_worker, rpc_error, run_error
from perdure.temporal.steering import SteeredRun
from perdure.temporal.unserved import awaited

if TYPE_CHECKING:
    from perdure.engine.granting.prices import Prices
    from perdure.history.follow import RunFollower
    from perdure.history.notices import QuestionNotice
    from perdure.history.rerun import RerunPlan
    from perdure.protocol.agents import AgentRegistry

WAITING_NOTICE_S = 5.0
"""Seconds after which a caller that waits for a result is notified of what the run waits for."""

logger = logging.getLogger(__name__)

QUERY_TIMEOUT = timedelta(seconds=10)
"""A worker that has just started replays the run first: seconds, if it is large."""


@dataclass(frozen=True, slots=True)
class Run(SteeredRun, ReceivingRun):
    """A run, started here or elsewhere. `local` says whether its server is the embedded one."""

    temporal: Client
    id: str
    claims: ClaimCheck
    local: bool = False

    @property
    def handle(self) -> WorkflowHandle[Any, Any]:
        """The Temporal handle underneath."""
        return self.temporal.get_workflow_handle(self.id, result_type=RunResult)

    async def result(self) -> RunResult:
        """Waits for the end. Raises RunFailed when a node failed, RunCancelled when it was stopped.

        What a run waits for, and no worker serves or no one answers, is logged once, as a warning.
        """
        warning = asyncio.ensure_future(self._warn_where_it_waits())
        try:
            return await self._redeemed(await result_of(self.handle))
        except WorkflowFailureError as error:
            failure = run_error(self.id, error.cause)
            if isinstance(failure, RunFailed) and failure.result is not None:
                failure.result = await self._redeemed(failure.result)
            raise failure from error
        except RPCError as error:
            raise rpc_error(error, f"run {self.id!r}") from error
        finally:
            warning.cancel()

    async def _warn_where_it_waits(self) -> None:
        await asyncio.sleep(WAITING_NOTICE_S)
        with suppress(PerdureError):
            report = await self.report()
            for queue in report.unserved:
                logger.warning(
                    "run %r waits for %s: %s, or here async with perdure.serving(client, queue=%r)",
                    *(self.id, *awaited(queue), queue),
                )
            for asked in () if report.status is None else report.status.questions:
                logger.warning("run %r waits for an answer at %r: %s", self.id, asked.path, asked.message)

    async def _redeemed(self, result: RunResult) -> RunResult:
        """The result with its large values, which are in the store, and with numpy's arrays."""
        return from_plain(RunResult, with_arrays(await self.claims.redeem(to_plain(result))))

    async def cancel(self) -> None:
        """Asks the run to stop: running agents are notified, and no further node starts."""
        try:
            await self.handle.cancel(rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            raise rpc_error(error, f"run {self.id!r}") from error

    async def terminate(self, reason: str = "terminated by its client") -> None:
        """Ends the run at once, where cancel does not help: there is no result, and agents hear later."""
        try:
            await self.handle.terminate(reason=reason, rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            raise rpc_error(error, f"run {self.id!r}") from error

    async def status(self, console_from: int = 0) -> RunStatus | None:
        """What the run itself says; None when no worker answers in time."""
        try:
            return await self.handle.query(
                "status", console_from, result_type=RunStatus, rpc_timeout=QUERY_TIMEOUT
            )
        except (RPCError, WorkflowQueryFailedError, WorkflowQueryRejectedError, MalformedPayload):
            return None
        except ValueError:  # the SDK, of a rejection for a state that it does not know: the run is paused
            return None

    async def questions(self) -> tuple[HumanPrompt, ...]:
        """What people are asked by the run now. Raises ConnectionFailed when no worker replies for it."""
        status = await self.status()
        if status is None:
            description = await self.describe()
            if description.closed is not None:
                return ()
            raise no_worker(self.id, description.task_queue)
        return status.questions

    async def answer(self, path: str, value: Value, *, who: str = "", id: str = "") -> Receipt | None:
        """Answers the question of a node that waits for a person, or one that is not asked yet.

        `path` is its position in the run; for an open question, also its node's id if only one of this id
        asks. `value` is a string or fills the form. `who` is recorded. `id` makes repeats of the same
        submission harmless: choose one if this method may be called again for it.

        Returns what became of it; None when no worker replies in time: then the server keeps the answer,
        and the run counts it when there is a worker. Raises UsageError when it is refused (no such question,
        not valid, answered by another person before), and ConnectionFailed when the server does not reply:
        answer again, with the same `id`.
        """
        kept = await self.claims.keep(value)
        answer = Answer(path=path, value=kept, who=who, id=id or secrets.token_hex(16))
        return await deliver(self.handle, answer)

    async def stream(self, interval: float = 0.15, *, from_now: bool = False) -> AsyncIterator[StreamPiece]:
        """What agents stream while they run, until the run ends; asks every `interval` seconds.

        The calls that run now are streamed from their beginning, as far as it is held, or `from_now` on;
        those that have ended are not. Of a call that began and ended between two looks, the end is streamed
        about a second later. No piece comes twice: an attempt that repeats what the one before
        it has streamed adds nothing, until it differs. See `StreamPiece` for how pieces are joined.
        """
        reader = StreamReader(self.temporal.data_converter, from_now)
        async for piece in streamed(self, reader, interval):
            yield piece

    async def history(self) -> RunModel:
        """All that is known of the run, open or over: its nodes, their times, attempts, inputs and results.

        No worker is needed: the history of the run is replayed here, which takes milliseconds, and seconds
        for 10,000 nodes. Large values in it are references into the store; `value` fetches them. Raises
        UsageError when the server knows no such run, or has removed its history.
        """
        from perdure.history.read import read_run  # noqa: PLC0415 -- loads what replays, for its callers only

        return await read_run(self.temporal, self.id)

    def follow(self) -> RunFollower:
        """For those who look at the run again and again: its `model()` is that of `history`, and cheap.

        It replays the history once, and then asks a worker for what has changed, as long as one answers.
        """
        from perdure.history.follow import RunFollower  # noqa: PLC0415 -- as in `history`

        return RunFollower(self.temporal, self.id)

    async def explain(self, address: str) -> Explanation:
        """Why the node at this address, or the only one of this id, is in its state, and what to do about it.

        Raises UsageError when the run or the node does not exist.
        """
        from perdure.history.read import explain_node  # noqa: PLC0415 -- as in `history`

        return await explain_node(self.temporal, self.id, address, local=self.local)

    async def notices(self, node: NodeModel | None = None) -> tuple[QuestionNotice, ...]:
        """The latest notices of its questions, or of those of a `node`, and what became of each."""
        from perdure.history.notices import notices_of  # noqa: PLC0415 -- as in `history`

        return await notices_of(self.temporal, self.id, node)

    async def plan_rerun(
        self, change: Change | None = None, *, prices: Prices | None = None, own: AgentRegistry | None = None
    ) -> RerunPlan:
        """What a rerun would reuse and what it would execute, with what that took and, by `prices`, cost.

        `own` are the agents of this process, for a run without a worker. The errors are those of `rerun`.
        """
        from perdure.history.rerun import planned  # noqa: PLC0415 -- as in `history`

        parts = await self.history(), change or Change(), self.claims, prices
        return await planned(self.temporal, *parts, agents=own, local=self.local)

    async def rerun(self, change: Change | None = None, *, id: str | None = None) -> Run:
        """Starts a new run that repeats this one, open or over, with a change, or from where it failed.

        It calls only the agents whose inputs or params differ, or that have no result yet; all other results
        are reused. Its id is that of this run with a number, ``r1~2``, unless `id` is passed.

        Raises UsageError for a change that does not fit the run, GraphError for a graph that is wrong,
        RunConflict for an `id` that is in use, and ConnectionFailed.
        """
        from perdure.history.rerun import start_rerun  # noqa: PLC0415 -- as in `history`

        model = await self.history()
        new = await start_rerun(
            self.temporal, model, change or Change(), self.claims, id=id, local=self.local
        )
        return replace(self, id=new)

    async def replay(
        self, change: Change, *, calls: Collection[str] = (), keeps_upstream: bool = False
    ) -> Run:
        """Starts a rerun without effects: only pure agents, those of models and `calls` are called.

        With `keeps_upstream`, only changed nodes are, with their old inputs. Errors are those of `rerun`.
        """
        from perdure.history.isolated_rerun import start_isolated  # noqa: PLC0415 -- as in `history`

        model, flags = await self.history(), {"keeps_upstream": keeps_upstream, "local": self.local}
        return replace(
            self, id=await start_isolated(self.temporal, model, change, self.claims, calls, **flags)
        )

    async def value(self, value: Value) -> Value:
        """A value of the history with all that is in the store. Raises UsageError, ObjectMissing."""
        return with_arrays(await self.claims.redeem(value))

    async def describe(self) -> RunDescription:
        """What the server itself knows of the run. Raises UsageError when it knows no such run."""
        return await described(self.temporal, self.id)

    async def request(self, execution: str | None = None) -> RunRequest:
        """What its last `execution`, or that of this Temporal run id, had: graph, inputs and queue."""
        handle = self.temporal.get_workflow_handle(self.id, run_id=execution)
        try:
            async for event in handle.fetch_history_events(page_size=1):
                payloads = event.workflow_execution_started_event_attributes.input.payloads
                return (await self.temporal.data_converter.decode(payloads, [RunRequest]))[0]
        except RPCError as error:
            raise rpc_error(error, f"run {self.id!r}") from error
        raise UsageError(f"run {self.id!r} has no history any more")

    async def recorded_name(self) -> str:
        """The name of the graph in what started the run; "" where that is gone, or was no request."""
        try:
            return (await self.request()).name
        except (UsageError, MalformedPayload):
            return ""

    async def report(self, console_from: int = 0) -> RunReport:
        """How the run is, and what it waits for: also when no worker is there to ask."""
        description = await self.describe()
        is_open = description.closed is None
        pending = await pending_calls(self.temporal, description)
        queues = sorted({call.queue for call in pending} | {description.task_queue})
        unserved = [queue for queue in queues if not await workers(self.temporal, queue, local=self.local)]
        status = None if description.task_queue in unserved else await self.status(console_from)
        return RunReport(
            id=self.id,
            state=description.state,
            name=description.name or await self.recorded_name(),
            started=description.started,
            closed=description.closed,
            status=status,
            pending=with_nodes(pending, status),
            unserved=tuple(unserved) if is_open else (),
            attempt=description.raw.pending_workflow_task.attempt,
            cancelling=is_open and description.raw.workflow_extended_info.cancel_requested,
            paused=description.paused,
        )
