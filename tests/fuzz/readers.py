"""What reads each kind of payload in production. A reader gives the values that it read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.converter import DataConverter

from perdure.activities.arguments import calls_in
from perdure.activities.attempt import recorded_account
from perdure.engine.attempts import account_at
from perdure.engine.fuel import MAX_EVENT_STEP_COUNT
from perdure.engine.human_tasks import Answer
from perdure.engine.inbox.events import EventBatch
from perdure.engine.inbox.inbox import Inbox
from perdure.engine.messages import NodeOptions, RunAgent
from perdure.engine.outcomes import read_segment_answer
from perdure.engine.questions import Questions
from perdure.engine.scheduler import Scheduler
from perdure.engine.snapshot import restore
from perdure.engine.turn_order import TurnOrder
from perdure.errors import MalformedPayload
from perdure.graph.deferred import stored
from perdure.graph.values import is_list
from perdure.monitoring.streams import StreamReader, StreamText
from perdure.plugin import data_converter
from perdure.protocol.payloads import RunResult, SegmentResult
from perdure.protocol.progress import RunProgress
from perdure.protocol.records import from_plain, to_plain
from perdure.protocol.requests import read_request
from perdure.protocol.wire import metadata_of, strings, unpack
from perdure.storage.claim_check import ClaimCheck
from perdure.storage.memory import Memory
from perdure.storage.objects import Store
from perdure.storage.value_objects import EXTENTS
from perdure.workflows import batches
from perdure.workflows.graph_workflow import _is_well_formed, _signalled
from tests.fuzz import seeds

CONVERTER = data_converter(DataConverter.default)

Reader = Callable[[Payload], list[Any]]


def start(payload: Payload) -> list[Any]:
    """A new run, up to its first commands."""
    request = read_request(RawValue(payload), is_continued=False)
    Scheduler(request.document, request.options, event_steps=MAX_EVENT_STEP_COUNT).start(1_000)
    return [request.document, request.options.injects, request.options.config]


def snapshot(payload: Payload) -> list[Any]:
    """A run that continues another."""
    request = read_request(RawValue(payload), is_continued=True)
    state = request.state
    if state is None:
        return start(payload)
    RunProgress(request.name).resume(state["progress"])
    TurnOrder().resume(state["places"])
    Questions().resume(state.get("people", {}))
    scheduler, _ = restore(state["scheduler"], request.options, None, None, MAX_EVENT_STEP_COUNT)
    assert scheduler.root is not None
    return [request.graph, state]


def call(payload: Payload) -> list[Any]:
    """What an activity is called with."""
    _, calls = calls_in(unpack(RawValue(payload)))
    return [value for each in calls for value in (each.inputs, each.params, each.config, each.filter_params)]


def result(payload: Payload) -> list[Any]:
    """What an activity gave: for one call, for several, for a segment or for a whole run."""
    raw = RawValue(payload)
    value = unpack(raw)
    _watched(raw)
    count = len(value) if is_list(value) else 1
    answers = batches.answers([COMMAND] * count, value) if is_list(value) else []
    for kind in (SegmentResult, RunResult):
        answers += _record(raw, kind)
    return [value, *(getattr(each, "result", None) for each in answers)]


def _watched(raw: RawValue) -> None:
    """What comes with a result, and is for watching only: left out where it cannot be read."""
    try:
        strings(metadata_of(raw, "console"))
        stream = metadata_of(raw, "stream")
        if stream is not None:
            RunProgress("graph").add_stream("a", stream)
    except MalformedPayload:
        pass


def _record(raw: RawValue, kind: type[Any]) -> list[Any]:
    """The answers in a result, where it is of this kind."""
    try:
        record = unpack(raw, kind)
        if not isinstance(record, SegmentResult):
            return []
        answers = [read_segment_answer(answer)[1] for answer in record.answers]
        end = None if record.end is None else from_plain(RunResult, record.end)
    except MalformedPayload:
        return []
    return [*answers, end]


def answer(payload: Payload) -> list[Any]:
    """A person's answer, as a signal and as an update, to a question and before there is one."""
    signalled = _signalled([RawValue(payload)])
    (updated,) = CONVERTER.payload_converter.from_payloads([payload], [Answer])
    answers = [each for each in (signalled, updated) if isinstance(each, Answer) and _is_well_formed(each)]
    for each in answers:
        questions = Questions()
        questions.ask(QUESTION, 1_000)
        if questions.refusal(each, lambda path: False) is None:
            to_plain(questions.take(each, 2_000)[0])
    return [each.value for each in answers]


def events(payload: Payload) -> list[Any]:
    """Events, as an update: kept for a node to come, and handed on to the next run of a chain."""
    (batch,) = CONVERTER.payload_converter.from_payloads([payload], [EventBatch])
    inbox = Inbox()
    inbox.check(batch, None)
    to_plain(inbox.take(batch, 1_000)[0])
    Inbox().resume(inbox.state())
    return [event.body for event in batch.events]


def heartbeat(payload: Payload) -> list[Any]:
    """The details of a heartbeat: for the attempt that follows, and for those who watch."""
    tail = _LOOP.run_until_complete(StreamReader(CONVERTER)._tail([payload]))
    if tail is not None:
        StreamText("before", 1).add("a", tail)
    try:
        details = CONVERTER.payload_converter.from_payloads([payload], None)
    except Exception as error:  # of the user's converter, which the SDK asks before the attempt begins
        raise MalformedPayload(str(error)) from error
    account = account_at(3, recorded_account(details))
    return [str(account), [] if tail is None else [tail.text, tail.account]]


def object_(payload: Payload) -> list[Any]:
    """An object of the store, whole or a delta: by its true name, as everybody who may write there can."""
    return [_LOOP.run_until_complete(_redeemed(payload))]


def object_bytes(data: bytes) -> Any:
    """The same of bytes that need not be those of a payload."""

    async def redeemed() -> Any:
        store = Store(Memory("fuzz"), cache_bytes=1_000_000, missing_delays_s=())
        name = await store.put(data)
        return await ClaimCheck(store, 1_000).redeem(stored(name, len(data), []), 1_000_000)

    return _LOOP.run_until_complete(redeemed())


async def _redeemed(payload: Payload) -> Any:
    store = Store(Memory("fuzz"), cache_bytes=1_000_000, missing_delays_s=())
    base = await store.put(BASE.SerializeToString(deterministic=True))
    if EXTENTS in payload.metadata:
        payload.metadata[EXTENTS] = payload.metadata[EXTENTS].replace(b"BASE", bytes.fromhex(base))
    data = payload.SerializeToString(deterministic=True)
    name = await store.put(data, delta=EXTENTS in payload.metadata)
    return await ClaimCheck(store, 1_000).redeem({"x": stored(name, len(payload.data), [])}, 1_000_000)


BASE = Payload(metadata={"encoding": b"json/plain"}, data=b'["' + b"base" * 50 + b'"]')
COMMAND = RunAgent(
    call=1,
    node="a",
    path="a",
    key="a",
    agent="humanInputAgent",
    inputs={},
    params={"message": "Which?"},
    config={},
    filter_params={},
    retry=0,
    is_result=False,
    version=0.5,
    verbose=False,
    options=NodeOptions(),
)
QUESTION = replace(COMMAND, node="ask", path="ask", key="ask")
_LOOP = asyncio.new_event_loop()


@dataclass(frozen=True)
class Kind:
    """Payloads to mutate, and what reads them."""

    seeds: Callable[[], list[Payload]]
    read: Reader


def objects() -> list[Payload]:
    delta = Payload(metadata={"encoding": b"json/plain"}, data=b'["new","')
    delta.metadata[EXTENTS] = b'["w",[[0,0,8],[1,2,202]]]\nBASE'
    return [*seeds.results(), delta]


KINDS: Mapping[str, Kind] = {
    "start": Kind(seeds.starts, start),
    "snapshot": Kind(seeds.snapshots, snapshot),
    "call": Kind(seeds.calls, call),
    "result": Kind(seeds.results, result),
    "answer": Kind(seeds.answers, answer),
    "events": Kind(seeds.events, events),
    "heartbeat": Kind(seeds.heartbeats, heartbeat),
    "object": Kind(objects, object_),
}
