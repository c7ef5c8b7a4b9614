"""Prepares the rerun of a run: its record, what would be executed, and the request that starts it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Final

from temporalio.client import Client
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from perdure.engine.granting.prices import Prices
from perdure.engine.messages import AgentFailed, Event, Fetch, Fetched
from perdure.engine.plan_cache import problem_of
from perdure.errors import GraphError, PerdureError, RunConflict, UsageError
from perdure.graph.check import modernized
from perdure.graph.deferred import deferred_in, sources
from perdure.graph.fields import MODEL_AGENTS, PERSON_AGENTS
from perdure.graph.nested import every_node
from perdure.graph.values import Value, normalize
from perdure.history.model import AnsweredCall, RunModel
from perdure.history.record import record_of, set_results
from perdure.lineage.change import Change, Rerun, rerun_of
from perdure.lineage.code import CodeByRun, code_by_run
from perdure.lineage.compare import ComparedCall
from perdure.lineage.forecast import EarlierCall, Forecast, ForecastCall, ForecastRow
from perdure.lineage.record import ONLY_WORKERS_RERUN_HINT, Entry, Record, is_reuse, read_record
from perdure.protocol.agents import AgentRegistry
from perdure.protocol.payload_codec import KeyedCodec
from perdure.protocol.payloads import RunRequest
from perdure.storage.claim_check import ClaimCheck
from perdure.submission import start_run, with_stored_values
from perdure.temporal.offered_agents import offered_agents
from perdure.temporal.rpc_errors import rpc_error

_NUMBERED: Final = re.compile(r"(.+)~\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class RerunPlan:
    """What a rerun would do: `rows` by node, `calls` one by one. Nothing was started.

    `reused` and `runs` count calls; `seconds`, `tokens` and `money` are what those took, used and cost the
    last time that would not be reused. It `is_complete` if all is known: no call follows from one that would
    be executed. `effects` are agents that may have effects and may be called: a new effect each. Results of
    `changed_agents` are reused although their code is another now; it `knows_code` if it could be compared.
    """

    run: str
    rows: Sequence[ForecastRow]
    calls: Sequence[ForecastCall]
    reused: int
    runs: int
    is_complete: bool
    seconds: float
    tokens: float
    money: float = 0.0
    problem: str = ""
    effects: Sequence[str] = ()
    changed_agents: Sequence[str] = ()
    knows_code: bool = False


async def planned(
    temporal: Client,
    model: RunModel,
    change: Change,
    claims: ClaimCheck,
    prices: Prices | None = None,
    *,
    agents: AgentRegistry | None = None,
    local: bool = False,
) -> RerunPlan:
    """What a rerun would do. `agents` are those of this process, for a run that no worker serves.

    Raises UsageError and GraphError, as `prepared`.
    """
    rerun, earlier = await prepared(model, change, claims)
    before = _earlier_calls(model, earlier, prices or Prices())
    failures = {node.address: node.failure for node in model.nodes.values() if node.failure is not None}
    names = agent_names(rerun.document)
    current = await offered_agents(temporal, model.queue, names, local=local) or agents
    known = current or model.registry or AgentRegistry()
    forecast = Forecast(rerun, before, failures, known.unreused, {} if current is None else current.code)
    rows = await _played(forecast, claims)
    reused = sum(row.reused for row in rows)
    return RerunPlan(
        run=model.id,
        rows=rows,
        calls=forecast.calls,
        reused=reused,
        runs=len(forecast.calls) - reused,
        is_complete=forecast.finish is not None,
        seconds=sum(row.seconds for row in rows),
        tokens=sum(row.tokens for row in rows),
        money=sum(row.money for row in rows),
        problem=forecast.problem,
        effects=_with_effects(rows, current, model.registry),
        changed_agents=sorted(forecast.changed),
        knows_code=current is not None,
    )


def agent_names(document: Mapping[str, Value]) -> list[str]:
    """The agents that the nodes of a graph name."""
    named = (node.get("agent") for _, node in every_node(document))
    return sorted({name for name in named if isinstance(name, str)})


async def _played(forecast: Forecast, claims: ClaimCheck) -> list[ForecastRow]:
    now_ms = int(time.time() * 1000)
    while fetches := forecast.play(now_ms):
        for fetch in fetches:
            forecast.answer(await _fetched(fetch, claims))
    return forecast.rows()


def _earlier_calls(model: RunModel, earlier: Record, prices: Prices) -> dict[str, EarlierCall]:
    """The calls by their position, each with the seconds that it took where it was executed."""
    calls = [(call.command.key, _earlier(call, prices)) for call in model.calls]
    costs = {entry.position: entry.seconds for entry in earlier.entries}
    return {key: replace(call, seconds=costs.get(key, call.seconds)) for key, call in calls}


def _with_effects(rows: Iterable[ForecastRow], *known: AgentRegistry | None) -> list[str]:
    """The agents that may have effects and may be called; those of models only cost."""
    called = {row.agent for row in rows if row.runs or row.is_unknown}
    harmless = {*MODEL_AGENTS, *PERSON_AGENTS}
    for registry in known:
        harmless |= set() if registry is None else {*registry.pure, *registry.human, *registry.waits}
    return sorted(called - harmless)


async def prepared(model: RunModel, change: Change, claims: ClaimCheck) -> tuple[Rerun, Record]:
    """What a rerun begins with, and the whole record of the run that it repeats.

    Raises UsageError for a run whose beginning is unknown, or a change that does not fit it; GraphError for a
    graph that is wrong.
    """
    request = model.request
    if request is None or model.problem is not None:
        raise _unreplayed(model)
    if not model.is_whole:
        hint = "run the graph again; longer retention of the namespace keeps histories"
        raise UsageError(f"the server has removed the beginning of run {model.id!r}", hint=hint)
    if change.graph is not None:
        change = replace(change, graph=modernized(normalize(change.graph)))
    record = record_of(model.id, model.calls, await _reused_record(request, claims))
    record = replace(record, values=set_results(model))
    here, lost = await _stored(record, claims)
    rerun = rerun_of(change, request.document, request.options, here, model.nodes)
    rerun = replace(rerun, dropped={**lost, **rerun.dropped}, code=_code(model, request))
    problem = problem_of(rerun.document)
    if problem is not None:
        raise GraphError([problem])
    return rerun, record


def _unreplayed(model: RunModel) -> UsageError:
    hint = "replay it with the version of Perdure that has executed it"
    return UsageError(f"the history of run {model.id!r} cannot be replayed: {model.problem}", hint=hint)


async def _stored(record: Record, claims: ClaimCheck) -> tuple[Record, dict[str, str]]:
    """The record without results that the store no longer has, and the positions of these with the reason."""
    parts = [deferred_in(entry.result) for entry in record.entries]
    named = [{ref.digest for part in inner for ref in sources(part)} for inner in parts]
    all_digests = (digest for digests in named for digest in digests)
    missing = set[str]() if claims.store is None else await claims.store.missing(all_digests)
    kept: list[Entry] = []
    lost: dict[str, str] = {}
    for entry, digests in zip(record.entries, named, strict=True):
        if missing.isdisjoint(digests):
            kept.append(entry)
        else:
            lost[entry.position] = "its result is no longer in the store"
    return replace(record, entries=tuple(kept)), lost


def _code(model: RunModel, request: RunRequest) -> CodeByRun:
    """The digests of agents in this run, and in those of which it has reused results."""
    own: Mapping[str, str] = {} if model.registry is None else model.registry.code
    earlier = code_by_run((request.reuse or {}).get("code"))
    return {**earlier, model.id: own} if own else earlier


async def start_rerun(
    temporal: Client, model: RunModel, change: Change, claims: ClaimCheck, *, id: str | None, local: bool
) -> str:
    """Starts a rerun and returns its id: `id`, or that of the run with the next free number, ``r1~2``.

    Raises what `prepared` raises, RunConflict for an `id` that is in use, ConnectionFailed.
    """
    rerun, _ = await prepared(model, change, claims)
    return await start_prepared(temporal, model, rerun, claims, {}, id=id, local=local)


async def start_prepared(
    temporal: Client,
    model: RunModel,
    rerun: Rerun,
    claims: ClaimCheck,
    more: Mapping[str, Value],
    *,
    id: str | None = None,
    local: bool,
) -> str:
    """The same, of a rerun that was prepared; `more` is said in the request about the reuse."""
    codec = temporal.data_converter.payload_codec
    if isinstance(codec, KeyedCodec) and codec.ring.is_of_principal:
        finding = "the keys of this process start runs, and cannot say what the calls of a run have answered"
        raise UsageError(finding, hint=ONLY_WORKERS_RERUN_HINT)
    request = await _request(model, rerun, claims, more)
    memo = {"rerunOf": model.id, "root": _root(model.id)}
    for number in count(2):
        new = id or f"{_root(model.id)}~{number}"
        try:
            await start_run(temporal, request, new, local=local, memo=memo, attaches=False)
        except WorkflowAlreadyStartedError:
            if id is not None:
                raise RunConflict(f"run {id!r} exists", hint="choose another --id") from None
        except RPCError as error:
            raise rpc_error(error, f"the rerun of {model.id!r}") from error
        else:
            return new
    raise AssertionError


def _root(id: str) -> str:
    """The id without the number of a rerun."""
    match = _NUMBERED.fullmatch(id)
    return match[1] if match else id


async def _request(
    model: RunModel, rerun: Rerun, claims: ClaimCheck, more: Mapping[str, Value]
) -> RunRequest:
    assert model.request is not None
    written, handles = rerun.record.written()
    record = await claims.keep(written)
    reuse: dict[str, Value] = {"run": model.id, "record": record, "handles": handles, **more}
    if rerun.code:
        reuse["code"] = {run: dict(agents) for run, agents in rerun.code.items()}
    if rerun.changed_agents:
        reuse["changedAgents"] = True
    request = replace(model.request, document=rerun.document, options=rerun.options, reuse=reuse)
    return await with_stored_values(replace(request, indexes_questions=False), claims)


async def _reused_record(request: RunRequest, claims: ClaimCheck) -> Record | None:
    """The record that the run itself has reused; None where it is gone: only costs are lost with it."""
    reuse = request.reuse
    if reuse is None or not is_reuse(dict(reuse)):
        return None
    try:
        return read_record(await claims.redeem(reuse["record"]), reuse["handles"])
    except PerdureError:
        return None


async def _fetched(fetch: Fetch, claims: ClaimCheck) -> Event:
    try:
        return Fetched(fetch.call, await claims.answer(fetch.deferred, fetch.whole))
    except PerdureError as error:
        return AgentFailed(fetch.call, str(error), final=True)


def _earlier(call: AnsweredCall, prices: Prices) -> EarlierCall:
    spent = prices.spent(call.result, call.command.params)
    return EarlierCall(call.command, (call.ended - call.started) / 1000, spent.tokens, spent.money)


def compared_calls(model: RunModel, prices: Prices) -> dict[str, ComparedCall]:
    """The calls of a run by their position, to compare them with those of another; the last of several.

    Raises UsageError for a run whose calls are not known.
    """
    if model.problem is not None:
        raise _unreplayed(model)
    return {call.command.key: _compared(call, prices) for call in model.calls}


def _compared(call: AnsweredCall, prices: Prices) -> ComparedCall:
    """A call that was answered by a record took nothing, and cost nothing."""
    if call.recalled is not None:
        return ComparedCall(call.command, call.result, is_reused=True)
    spent = prices.spent(call.result, call.command.params)
    seconds = (call.ended - call.started) / 1000
    return ComparedCall(call.command, call.result, seconds, spent.tokens, spent.money)
