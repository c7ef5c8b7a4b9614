"""What the events of a history alone say of its nodes: for a run that the workflow's code cannot replay.

Why: a history that another version has written, or that lacks its beginning, still names each call of an
agent, with its inputs, attempts and result. A replay that has failed halfway shows a run as it was then,
which is worse than to show less.

The invariant: nothing is claimed that no event says. A node of which no event speaks is not in the table;
the end of the run says how the nodes of its own graph ended, and that a node has a graph follows from the
places of the calls inside it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory
from temporalio.common import RawValue
from temporalio.converter import DataConverter

from perdure.engine.messages import AgentCompleted, AgentFailed
from perdure.engine.outcomes import decoded, read_segment_answer
from perdure.engine.state import NodeState
from perdure.errors import MalformedPayload
from perdure.graph.values import UNDEFINED, Value, is_dict, is_list
from perdure.history.activities import END_STATES, LOCAL_MARKER, ActivityRecord, activities, milliseconds
from perdure.history.map_rows import may_continue, rows_of
from perdure.history.model import Attempt, NodeModel
from perdure.history.nodes import phase_of
from perdure.protocol.names import DIRECTORY, SEGMENT
from perdure.protocol.payloads import AgentCall, RunResult, SegmentResult
from perdure.protocol.records import from_plain
from perdure.protocol.wire import unpack

Answer: TypeAlias = AgentCompleted | AgentFailed

_OWN_TYPES: Final = "perdure."
_RETRY: Final = re.compile(r"#\d+|~\d+$")
_MARKS: Final = re.compile(r"@\d+|\[\d+\]")
_ROW: Final = re.compile(r"(.+)\[(\d+)\]")
_PASS: Final = re.compile(r"(.+)@(\d+)")


@dataclass(slots=True)
class EventTable:
    """The nodes by address, outer ones first, then as events first name them; and the result of the run."""

    nodes: dict[str, NodeModel] = field(default_factory=dict[str, NodeModel])
    result: RunResult | None = None


async def event_table(
    histories: Sequence[WorkflowHistory], converter: DataConverter, document: Mapping[str, Value]
) -> EventTable:
    """That of a run of `document` with these histories, one for each of its executions, oldest first."""
    reader = _Reader(converter, document, histories[-1].events[-1].event_type in END_STATES)
    for history in histories:
        for record in (record for records in activities(history.events).values() for record in records):
            if not record.type.startswith(_OWN_TYPES):
                await reader.activity(record)
        for event in history.events:
            if event.event_type == EventType.EVENT_TYPE_MARKER_RECORDED:
                await reader.marker(event)
    await reader.end(histories[-1].events[-1])
    reader.add_outer_nodes()
    nodes = reader.table.nodes
    reader.table.nodes = {address: nodes[address] for address in sorted(nodes, key=_depth)}
    return reader.table


@dataclass(slots=True)
class _Reader:
    converter: DataConverter
    document: Mapping[str, Value]
    is_over: bool
    table: EventTable = field(default_factory=EventTable)

    async def activity(self, record: ActivityRecord) -> None:
        """One activity that executes agents: a call, or several of a batch."""
        value = UNDEFINED if record.result is None else await self._value(record.result)
        sent = UNDEFINED if record.input is None else await self._value(record.input)
        calls = list(_calls(record, sent))
        if is_dict(sent) and "session" in sent and is_list(value) and value:
            value = value[0]  # the others are the task queue and the checkpoint of the session
        is_batch = is_dict(sent) and "calls" in sent and is_list(value) and len(value) == len(calls)
        batch: Any = value if is_batch else None
        for number, call in enumerate(calls):
            answer = _answer(record, value) if batch is None else decoded(0, batch[number])
            failure = answer.message if isinstance(answer, AgentFailed) else None
            self._add(call, record.attempt(call.path, failure), answer)

    async def marker(self, event: HistoryEvent) -> None:
        """A segment, or the list of agents, which has the answers of the first one in it."""
        marker = event.marker_recorded_event_attributes
        if marker.marker_name != LOCAL_MARKER or "result" not in marker.details:
            return
        about: Value = json.loads(marker.details["data"].payloads[0].data)
        value = await self._value(marker.details["result"].payloads[0])
        if about.get("activity_type") == DIRECTORY:
            value = value.get("first") if is_dict(value) else None
        elif about.get("activity_type") != SEGMENT:
            return
        with suppress(MalformedPayload):
            result = from_plain(SegmentResult, value or {})
            for path, answer in map(read_segment_answer, result.answers):
                failure = answer.message if isinstance(answer, AgentFailed) else None
                attempt = Attempt(path=path, ended=milliseconds(event.event_time), failure=failure)
                self._add(AgentCall(agent="", inputs=UNDEFINED, path=path), attempt, answer)

    def _add(self, call: AgentCall, attempt: Attempt, answer: Answer | None) -> None:
        """A call of a node: its first, or one more."""
        address = _RETRY.sub("", call.path)
        known = self.table.nodes.get(address) or _node(address)
        state = NodeState.EXECUTING
        if answer is not None:
            state = NodeState.COMPLETED if isinstance(answer, AgentCompleted) else NodeState(answer.state)
        elif known.state == NodeState.COMPLETED:
            return  # a second call of the node, which was stopped
        elif self.is_over or attempt.ended is not None:
            state = NodeState.ABORT
        self.table.nodes[address] = replace(
            known,
            agent=call.agent or known.agent,
            state=str(state),
            phase=phase_of(state),
            ready=known.ready or attempt.scheduled,
            started=known.started or attempt.started,
            ended=attempt.ended,
            retries=len({earlier.path for earlier in known.attempts} - {attempt.path}),
            attempts=(*known.attempts, attempt),
            inputs=call.inputs,
            params=call.params,
            result=self._result(address, answer),
            failure=attempt.failure,
            queue=attempt.queue,
            placement="activity" if attempt.activity else "segment",
        )

    def _result(self, address: str, answer: Answer | None) -> Value:
        """What the agent has returned, if that is the result of the node: `output` makes another of it."""
        spec = _spec(self.document, address)
        is_same = spec is not None and "output" not in spec
        return answer.result if is_same and isinstance(answer, AgentCompleted) else UNDEFINED

    async def end(self, last: HistoryEvent) -> None:
        """What the run has left behind: the states of the nodes of its own graph."""
        payloads = last.workflow_execution_completed_event_attributes.result.payloads
        if last.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
            failure = last.workflow_execution_failed_event_attributes.failure
            payloads = failure.application_failure_info.details.payloads
        if not payloads:
            return
        with suppress(MalformedPayload):
            result = from_plain(RunResult, await self._value(payloads[0]))
            iteration = max((_iteration(address) for address in self.table.nodes), default=0)
            for name, state in result.states.items():
                self._end_node(f"{name}@{iteration}" if iteration else name, name, state, result)
            self.table.result = result

    def _end_node(self, address: str, name: str, state: str, result: RunResult) -> None:
        known = self.table.nodes.get(address) or _node(address)
        self.table.nodes[address] = replace(
            known,
            state=state,
            phase=phase_of(NodeState(state)),
            result=result.all.get(name, known.result),
            failure=result.errors.get(name, known.failure),
        )

    def add_outer_nodes(self) -> None:
        """The nodes whose graphs the calls are in, with their rows: inner ones first."""
        nodes, inside = self.table.nodes, dict[str, list[NodeModel]]()
        waiting = list(nodes.values())
        for node in waiting:
            if node.parent is not None:
                if node.parent not in nodes:
                    nodes[node.parent] = _node(node.parent)
                    waiting.append(nodes[node.parent])
                inside.setdefault(node.parent, []).append(node)
        for address in sorted(inside, key=_depth, reverse=True):
            inner = [nodes[node.address] for node in inside[address]]
            outer = nodes[address]
            state = NodeState(outer.state)
            if state is NodeState.WAITING:
                state = self._outer_state(address, inner)
            agent = (_spec(self.document, address) or {}).get("agent")
            nodes[address] = replace(
                outer,
                agent=agent if isinstance(agent, str) else None,
                state=str(state),
                phase=phase_of(state),
                rows=rows_of(inner),
                placement="engine",
            )

    def _outer_state(self, address: str, inner: Sequence[NodeModel]) -> NodeState:
        """That of a node of which only the graph inside is known."""
        if not self.is_over:
            return NodeState.EXECUTING
        states = {node.state for node in inner}
        if states & {"failed", "timed-out"} and not may_continue(_spec(self.document, address), inner):
            return NodeState.FAILED
        return NodeState.ABORT if "abort" in states else NodeState.COMPLETED

    async def _value(self, payload: Payload) -> Value:
        """Raises no error: what cannot be read is UNDEFINED."""
        (raw,) = await self.converter.decode([payload], [RawValue])
        try:
            return unpack(raw, strict=False)
        except MalformedPayload:
            return UNDEFINED


def _calls(record: ActivityRecord, sent: Value) -> Iterator[AgentCall]:
    """The calls of an activity with this input."""
    calls: Sequence[Any] = [sent]
    shared: Mapping[str, Any] = {}
    if is_dict(sent) and is_list(sent.get("calls")):
        calls, shared = sent["calls"], sent.get("shared") or {}
    for fields in calls:
        try:
            yield from_plain(AgentCall, {**shared, **fields})
        except (MalformedPayload, TypeError):
            yield AgentCall(agent=record.type, inputs=UNDEFINED, path=record.id)


def _answer(record: ActivityRecord, value: Value) -> Answer | None:
    """How an activity of one call has ended; None where it has not, or was cancelled."""
    if record.ended is None or record.is_cancelled:
        return None
    if record.failure is None:
        return AgentCompleted(0, value)
    return AgentFailed(0, record.failure, "timed-out" if record.is_late else "failed")


def _node(address: str) -> NodeModel:
    """A node of which only the address is known."""
    place, _, name = address.rpartition(".")
    mark, row = _PASS.fullmatch(name), _ROW.fullmatch(place)
    return NodeModel(
        address=address,
        node=name if mark is None else mark[1],
        parent=(place if row is None else row[1]) or None,
        row=None if row is None else int(row[2]),
        iteration=0 if mark is None else int(mark[2]),
    )


def _iteration(address: str) -> int:
    """The pass of the graph of the run in which this node is."""
    outermost = address.partition(".")[0]
    row = _ROW.fullmatch(outermost)
    return _node(outermost if row is None else row[1]).iteration


def _depth(address: str) -> int:
    return address.count(".")


def _spec(document: Value, address: str) -> Mapping[str, Value] | None:
    """What the document says of the node at this address; None where its graph is not written in it."""
    spec: Value = {"graph": document}
    for name in _MARKS.sub("", address).split("."):
        graph = spec.get("graph")
        nodes = graph.get("nodes") if is_dict(graph) else None
        spec = nodes.get(name) if is_dict(nodes) else None
        if not is_dict(spec):
            return None
    return spec
