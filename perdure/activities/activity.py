"""Agents as Temporal activities: one dynamic activity serves them all, under their own names."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from temporalio import activity
from temporalio.common import RawValue

from perdure.activities.arguments import calls_of, handed, request_of_run
from perdure.activities.attempt import Attempt, absence, check_needs
from perdure.activities.batch_calls import together
from perdure.activities.call_inputs import redeemed
from perdure.activities.calls_at_work import CallsAtWork, calls_at_work
from perdure.activities.delivery import Delivery
from perdure.activities.directory import WorkerRegistry, begun
from perdure.activities.failures import fitting_cause, not_local, typed_failures
from perdure.activities.gate import Gate
from perdure.activities.heartbeat import Heartbeat
from perdure.activities.notices import NoticeActivity
from perdure.activities.records import Records
from perdure.activities.segment import Segment
from perdure.activities.segment_threads import SegmentThreads
from perdure.activities.sending import send_to
from perdure.activities.slot_shares import HandedBack, SlotShares
from perdure.activities.suspects import SuspectLane
from perdure.agents.agent import Agent, AgentContext
from perdure.agents.filters import AgentFilter, applying
from perdure.agents.held_sessions import HeldSessions
from perdure.agents.invoke import context_of, invoke, unlimited
from perdure.agents.local_data import LocalDataAccess, absent
from perdure.agents.loop_watchdog import watch_calls
from perdure.daemon.work_journal import WorkJournal
from perdure.engine.messages import RunAgent
from perdure.engine.outcomes import failure_of
from perdure.errors import FinalError, MalformedPayload
from perdure.graph.deferred import Deferred
from perdure.graph.values import Value
from perdure.protocol.authorities import profile_of
from perdure.protocol.idempotency import key_of
from perdure.protocol.names import DIRECTORY, FETCH, KEEP, SEGMENT
from perdure.protocol.payloads import AgentCall, FirstSegmentRequest, SegmentRequest
from perdure.protocol.wire import admitted, is_plain, pack, unpack
from perdure.settings import Settings
from perdure.settings.price_file import read_price_file
from perdure.storage.claim_check import ClaimCheck
from perdure.storage.traffic import TRAFFIC, Traffic
from perdure.temporal.hosts import hosts_with_data

Result = TypeVar("Result")

MAX_LOCAL_RESULT_BYTES = 48_000
"""Bytes: the results of local activities go out together, and the server refuses 4 MB at once."""

MAX_BATCH_RESULT_BYTES = 1_000_000
"""Bytes of the results of calls that share an activity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentActivities:
    """The activities of one worker: its agents, and the directory of them.

    What an agent streams is sent with its heartbeats, and what it logs with its result: neither adds an
    event to the history.
    """

    agents: Mapping[str, Agent]
    settings: Settings
    claims: ClaimCheck
    local_models: Callable[[], Awaitable[str]] | None = None
    filters: Sequence[AgentFilter] = ()
    journal: WorkJournal | None = None
    gate: Gate = field(default_factory=Gate)
    slots: SlotShares = field(default_factory=SlotShares)
    sessions: HeldSessions = field(default_factory=HeldSessions)
    _registry: WorkerRegistry = field(default_factory=WorkerRegistry, repr=False)
    _records: Records = field(default_factory=Records, repr=False)
    _suspects: SuspectLane = field(default_factory=SuspectLane, repr=False)
    _threads: SegmentThreads = field(default_factory=SegmentThreads, repr=False)

    def all(self) -> list[Callable[..., object]]:
        """What a Temporal worker is started with."""
        return [
            self.directory,
            self.segment,
            self.fetch,
            self.keep,
            NoticeActivity(self.settings).deliver,
            self.run_agent,
        ]

    @activity.defn(name=DIRECTORY)
    async def directory(self, run: RawValue) -> RawValue:
        """The agents this worker knows, and what the pure ones give at the beginning of a run."""
        info, has_store = activity.info(), self.claims.store is not None
        with typed_failures():
            offered = self.agents.values(), self.settings, self.filters, info.task_queue, has_store
            request: FirstSegmentRequest | None = request_of_run(run, FirstSegmentRequest)
            principal = "" if request is None else str(request.request.get("principal", ""))
            policy, prices = self.gate.policy_for(principal), read_price_file(self.settings.prices)
            profile = profile_of(policy, signs=self.gate.signs, prices=prices, principal=principal)
            directory = self._registry.of_run(*offered, policy, profile)
        if request is not None and request.needs:
            await check_needs(request.needs, self.agents)
        elif request is not None and "document" in request.request:
            id, recalls = request.run or info.workflow_run_id or "", "reuse" in request.request
            with calls_at_work(self.journal, id, recalls=recalls) as work:
                segment = self._new_segment(work)
                parts = self.agents, segment, request, directory
                directory = await self._threads.run(request.run, begun, *parts)
        return pack(directory)

    @activity.defn(name=SEGMENT)
    async def segment(self, request: RawValue) -> RawValue:
        """Answers calls of pure agents, as many as one marker in history may hold."""
        read: SegmentRequest = request_of_run(request, SegmentRequest)
        with calls_at_work(self.journal, read.run, recalls="reuse" in read.request) as work:
            return pack(await self._threads.run(read.run, self._new_segment(work).play, read))

    def _new_segment(self, work: CallsAtWork) -> Segment:
        return Segment(
            agents=self.agents,
            filters=self.filters,
            context=self._context,
            claims=self.claims,
            loop=asyncio.get_running_loop(),
            work=work,
            records=self._records,
            gate=self.gate,
        )

    @activity.defn(name=FETCH)
    async def fetch(self, payload: RawValue) -> RawValue:
        """What a run has to know of values that are not in it: (the value, whether all of it) for each."""
        with typed_failures():
            match unpack(payload):
                case [Deferred() as deferred, bool() as whole]:
                    return pack(await self.claims.answer(deferred, whole))
                case [[Deferred(), bool()], *_] as requests:
                    return pack([await self.claims.answer(deferred, whole) for deferred, whole in requests])
                case _:
                    raise MalformedPayload("this names no value that is kept elsewhere")

    @activity.defn(name=KEEP)
    async def keep(self, value: RawValue, limit: int) -> RawValue:
        """A value that a run has made, so that it takes at most `limit` bytes there."""
        with typed_failures():
            return pack(await self.claims.shrink(unpack(handed(value)), limit))

    @activity.defn(dynamic=True)
    async def run_agent(self, args: Sequence[RawValue]) -> RawValue:
        """Calls the agent that the activity is named after."""
        info = activity.info()
        agent = self.agents.get(info.activity_type)
        scheduled = info.scheduled_time.timestamp() * 1000
        args = [RawValue(admitted(raw.payload, scheduled)) for raw in args]
        TRAFFIC.set(None if self.claims.store is None else Traffic())
        with typed_failures():
            batch, calls = await calls_of(args, self.claims)
        if info.is_local:
            with calls_at_work(self.journal, calls[0].run, calls[0].path):
                return await self._run_agent(info, agent, batch, calls, not is_plain(args[0]))
        return await self._run_agent(info, agent, batch, calls, not is_plain(args[0]))

    async def _run_agent(
        self, info: activity.Info, agent: Agent | None, batch: bool, calls: Sequence[AgentCall], far: bool
    ) -> RawValue:
        is_timed = calls[0].timeout is not None
        attempt = Attempt(self.settings, info, deadline_ms=calls[0].deadline, is_timed=is_timed)
        if agent is None and not calls[0].bypassed:
            raise attempt.absent(*absence(info.activity_type, info.task_queue, self.agents))
        attempt.check(info.activity_type)
        watch_calls()
        context = AgentContext(agent=info.activity_type, settings=self.settings)
        delivery = Delivery(attempt.heartbeat, far, context, attempt.account)
        beating = asyncio.create_task(delivery.heartbeat.beat(info.heartbeat_timeout))
        deadline = asyncio.timeout(attempt.limit_s())
        try:
            async with deadline, self.slots.entered(attempt), self._suspects.entered(attempt):
                raw = await self._packed(agent, batch, calls, delivery)
        except asyncio.CancelledError:
            if activity.is_worker_shutdown():
                attempt.stopped()
            raise
        except HandedBack as back:
            raise attempt.handed_back(back.pause_s) from None
        except Exception as error:
            failed = attempt.late() if deadline.expired() else attempt.failed(failure_of(error))
            raise failed from fitting_cause(error)
        finally:
            beating.cancel()
        if info.is_local and len(raw.payload.data) > MAX_LOCAL_RESULT_BYTES:
            raise not_local("the result is too large for a local activity")
        return raw

    async def _packed(
        self, agent: Agent | None, batch: bool, calls: Sequence[AgentCall], delivery: Delivery
    ) -> RawValue:
        """The results of all calls, or the result of the one."""
        if batch:
            results = await self._together(agent, calls, delivery)
            return pack(results, **delivery.metadata())
        if calls[0].session is not None:
            answer = await self._in_session(agent, calls[0], calls[0].session, delivery)
            return pack(answer, **delivery.metadata())
        result = await self._called(agent, calls[0], delivery)
        near, known = delivery.near(calls[0], agent), delivery.known
        return await self.claims.packed(result, near, known, delivery.metadata)

    async def _in_session(
        self, agent: Agent | None, call: AgentCall, ticket: Mapping[str, Value], delivery: Delivery
    ) -> list[Value]:
        """The answer to a call of a session; calls before it are made again where the state needs them."""
        if agent is None:
            raise FinalError(f"there is no agent {call.agent!r} that could keep state")

        async def call_state(state: object, again: AgentCall) -> Value:
            return await self._called(agent, again, delivery, session=state)

        answer = await self.sessions.call(agent, call, ticket, call_state)
        near = delivery.near(call, agent)
        kept = [await self.claims.keep(value, near=near) for value in (answer[0], *answer[2:])]
        return [kept[0], answer[1], *kept[1:]]

    async def _called(
        self,
        agent: Agent | None,
        call: AgentCall,
        delivery: Delivery,
        limited: bool = True,
        session: object | None = None,
    ) -> Value:
        self.gate.check(delivery.context.agent, call.path, call.grant, call.principal)
        filters = applying(self.filters, call.agent, call.node) if self.filters else ()
        inputs, params = call.inputs, call.params
        if delivery.far:
            blobs = frozenset[str]() if agent is None or filters else agent.blobs
            inputs, params = await redeemed(call, blobs, self.claims)
            delivery.known.note([call.inputs, call.params], [inputs, params])
        context = delivery.context
        if agent is None or filters or agent.sees_context:
            known = call, call.run, key_of(call), call.principal
            context = self._context(*known, delivery.console.append, delivery.heartbeat)
        if session is not None:
            context = replace(context, session=session)
        try:
            if limited or call.timeout is not None:
                return await invoke(agent, inputs, params, context, call.timeout, filters, call.path)
            return await unlimited(agent, inputs, params, context, filters, call.path)
        except FinalError as error:
            if error is context.data.refusal:
                raise absent(context.data.absent, await hosts_with_data(context.data.absent)) from None
            raise

    async def _together(
        self, agent: Agent | None, calls: Sequence[AgentCall], delivery: Delivery
    ) -> list[Value]:
        """The answers to calls that share this activity, and the limit of their worker.

        Where their node has a `timeout`, each has that and no other.
        """
        max_bytes = MAX_BATCH_RESULT_BYTES // len(calls)

        async def answer(call: AgentCall) -> Value:
            result = await self._called(agent, call, delivery, limited=False)
            return await self.claims.keep(result, max_bytes, delivery.near(call, agent))

        return await together(calls, answer, self.settings.call_limit if calls[0].timeout is None else None)

    def _context(
        self,
        call: AgentCall | RunAgent,
        run: str,
        key: str,
        principal: str,
        log: Callable[[str], None],
        heartbeat: Heartbeat | None = None,
    ) -> AgentContext:
        """What the agent of a call sees; without a `heartbeat` what it streams is dropped."""
        streaming: dict[str, Any] = (
            {}
            if heartbeat is None
            else {"attempt": heartbeat.attempt, "emit": heartbeat.emit, "send": send_to}
        )
        grant = self.gate.grant(call.grant, principal)
        return context_of(
            call,
            run=run,
            idempotency_key=key,
            settings=self.settings,
            grant=grant,
            secrets=self.gate.secrets(call.agent, grant),
            log=log,
            local_models=self.local_models,
            data=LocalDataAccess(self.settings.data),
            **streaming,
        )
