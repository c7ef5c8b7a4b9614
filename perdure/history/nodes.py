"""The nodes of a run, of what its replay has noted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from perdure.engine.messages import Fetch, RunAgent
from perdure.engine.plan import ComputedPlan
from perdure.engine.state import ACTIVE, TERMINAL_STATES, NodeRun, NodeState
from perdure.errors import PerdureError
from perdure.graph.deferred import Deferred
from perdure.graph.fields import MAP_INDEX
from perdure.graph.reference import Reference
from perdure.graph.values import UNDEFINED, Value, is_dict
from perdure.history.activities import ActivityRecord
from perdure.history.journal import Call, Journal, Pass, PassId
from perdure.history.model import Attempt, NodeModel, Phase, RowCounts, Transition
from perdure.protocol.agents import Placement
from perdure.workflows.activity_options import MAX_ACTIVITY_ID_CHARS, shortened

_PHASES: Mapping[NodeState, Phase] = {
    NodeState.QUEUED: Phase.QUEUED_HERE,
    NodeState.EXECUTING: Phase.RUNNING,
}


def phase_of(state: NodeState) -> Phase:
    """What a node in this state is doing, as far as the run itself knows."""
    return _PHASES.get(state) or Phase(state)


@dataclass(slots=True)
class _Times:
    ready: int | None = None
    started: int | None = None
    ended: int | None = None


@dataclass(slots=True)
class NodeBuilder:
    """Builds the nodes of one run. What was under way when it `ended`, None for an open run, is aborted."""

    journal: Journal
    activities: Mapping[str, Sequence[ActivityRecord]]
    ended: int | None
    placement: Placement | None = None
    _times: dict[tuple[PassId, str], _Times] = field(default_factory=dict[tuple[PassId, str], _Times])
    _console: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    _fetching: set[tuple[int, str]] = field(default_factory=set[tuple[int, str]])
    _inner: dict[str, dict[int, list[Pass]]] = field(default_factory=dict[str, dict[int, list[Pass]]])

    def nodes(self) -> dict[str, NodeModel]:
        """The nodes by address: outer graphs before inner ones, in the order in which these began."""
        for move in self.journal.moves:
            self._time(move.time, (move.place, move.name), move.state)
        for line in self.journal.console:
            self._console.setdefault(line.address, []).append(line.text)
        self._fetching = _fetching(self.journal)
        passes = sorted(self.journal.passes.items(), key=lambda item: (item[1].run.depth, item[0]))
        for (number, _), one_pass in passes:
            if one_pass.parent is not None:
                self._inner.setdefault(one_pass.parent, {}).setdefault(number, []).append(one_pass)
        return {node.address: node for place, one_pass in passes for node in self._nodes_of(place, one_pass)}

    def address_of(self, path: str) -> str:
        """The address of the node whose call has this path."""
        return self.journal.addresses.get(path, path)

    def transitions(self) -> tuple[Transition, ...]:
        """Every move of a node, in order."""
        passes = self.journal.passes
        return tuple(
            Transition(move.time, passes[move.place].address(move.name), str(move.state))
            for move in self.journal.moves
        )

    def _time(self, time: int, node: tuple[PassId, str], state: NodeState) -> None:
        if state is NodeState.WAITING:  # a person has put it back: it begins again
            self._times.pop(node, None)
        times = self._times.setdefault(node, _Times())
        if state is NodeState.QUEUED:
            times.ready = time
        elif state is NodeState.EXECUTING:
            times.started, times.ended = times.started or time, None
        elif state in TERMINAL_STATES:
            times.ended = time

    def _nodes_of(self, place: PassId, one_pass: Pass) -> Iterator[NodeModel]:
        for name in _shown(one_pass):
            yield self._node(place, one_pass, name, one_pass.nodes[name])

    def _node(self, place: PassId, one_pass: Pass, name: str, node: NodeRun) -> NodeModel:
        address = one_pass.address(name)
        is_cut_off = self.ended is not None and node.state in ACTIVE
        state = NodeState.ABORT if is_cut_off else node.state
        times = self._times.get((place, name)) or _Times()
        calls = self.journal.calls.get(address, ())
        command = calls[-1].command if calls else None
        plan = one_pass.run.plan.computed.get(name)
        condition, value = _condition(one_pass, plan)
        return NodeModel(
            address=address,
            node=name,
            parent=one_pass.parent,
            row=one_pass.run.map_index,
            iteration=one_pass.iteration,
            agent=_agent(plan, calls),
            state=str(state),
            phase=phase_of(state),
            ready=times.ready,
            started=times.started,
            ended=self.ended if is_cut_off else times.ended,
            retries=node.retries,
            attempts=tuple(self._attempts_of(calls)),
            inputs=UNDEFINED if command is None else command.inputs,
            params=UNDEFINED if command is None else command.params,
            result=node.result,
            failure=node.shown_error,
            console=tuple(self._console.get(address, ())),
            usage=_usage(node.result),
            rows=self._rows(address, node),
            placement=self._place(plan, node, command),
            queue=None if command is None or self.placement is None else self.placement.queue(command),
            label=None if plan is None else plan.label,
            waits_for=_waits_for(one_pass, node),
            is_fetching=(place[0], name) in self._fetching,
            condition=condition,
            condition_value=value,
            is_reused=bool(calls) and calls[-1].recalled is not None,
            approved=tuple(node.approved or ()),
        )

    def _place(self, plan: ComputedPlan | None, node: NodeRun, command: RunAgent | None) -> str | None:
        if command is None or self.placement is None:
            return None if plan is None or node.nested is None else "engine"
        if command.agent in self.placement.human:
            return "person"
        if command.agent in self.placement.waits:
            return "event"
        if self.placement.is_pure(command):
            return "segment"
        return "local activity" if self.placement.is_local(command) else "activity"

    def _attempts_of(self, calls: Sequence[Call]) -> Iterator[Attempt]:
        """Those of all calls of a node: of calls at the same place, each has its own activities."""
        left: dict[str, Sequence[ActivityRecord]] = {}
        attempts: list[list[Attempt]] = []
        for call in reversed(calls):
            activity = shortened(call.activity or call.command.path, MAX_ACTIVITY_ID_CHARS)
            records = left.get(activity, self.activities.get(activity, ()))
            own = [record for record in records if record.scheduled >= call.began or call is calls[0]]
            left[activity] = [record for record in records if record not in own]
            attempts.append(list(self._attempts(call, activity, own)))
        return chain.from_iterable(reversed(attempts))

    def _attempts(self, call: Call, activity: str, records: Sequence[ActivityRecord]) -> Iterator[Attempt]:
        path = call.command.path
        if not records:
            sent = "" if call.activity is None else activity
            times = call.began, call.ended
            yield Attempt(path=path, activity=sent, started=times[0], ended=times[1], failure=call.failure)
        for record in records:
            if record.number > 1:
                yield Attempt(
                    path=path,
                    activity=activity,
                    number=record.number - 1,
                    queue=record.queue,
                    failure=record.earlier_failure,
                )
            yield record.attempt(path, call.failure or record.failure)

    def _rows(self, address: str, node: NodeRun) -> RowCounts | None:
        graphs = self._inner.get(address)
        nested = node.nested
        if graphs is None and nested is None:
            return None
        last = [passes[-1] for passes in (graphs or {}).values()]
        failed = sum(any(inner.error is not None for inner in one_pass.nodes.values()) for one_pass in last)
        is_open = nested is not None and self.ended is None
        running = len(nested.children) if nested is not None and is_open else 0
        opened = len(last) + (len(nested.places) if nested is not None else 0)
        return RowCounts(
            total=len(nested.starts) if nested is not None else len(last),
            opened=opened,
            done=opened - failed - running,
            failed=failed,
            states=_states(last),
        )


def _states(passes: Sequence[Pass]) -> dict[str, dict[str, int]]:
    """How many of the graphs have each of their nodes in each state."""
    counts: dict[str, dict[str, int]] = {}
    for one_pass in passes:
        for name in _shown(one_pass):
            states = counts.setdefault(name, {})
            state = str(one_pass.nodes[name].state)
            states[state] = states.get(state, 0) + 1
    return counts


def _fetching(journal: Journal) -> set[tuple[int, str]]:
    """The nodes that need a value of the store, by their graph and name."""
    if journal.board is None:
        return set()
    flights = journal.board.calls.values()
    return {(flight.run, flight.node) for flight in flights if isinstance(flight.command, Fetch)}


def _condition(one_pass: Pass, plan: ComputedPlan | None) -> tuple[str | None, Value]:
    """The condition of a node, and its value as it is now."""
    reference = None if plan is None else plan.condition or plan.unless
    if plan is None or reference is None:
        return None, UNDEFINED
    source = one_pass.nodes.get(reference.node or "")
    try:
        value = UNDEFINED if source is None else reference.read(source.result)
    except PerdureError:
        value = UNDEFINED
    return f"{'unless' if plan.condition is None else 'if'} {reference.text}", value


def _shown(one_pass: Pass) -> Iterator[str]:
    """The nodes of a pass, also those that its graph has lost since; not the one with the number of a row."""
    plan, nodes = one_pass.run.plan, one_pass.nodes
    removed = [name for name in nodes if name not in plan.computed and name not in plan.statics]
    is_row = one_pass.run.parent is not None
    return (name for name in (*plan.order, *removed) if name in nodes and not (is_row and name == MAP_INDEX))


def _agent(plan: ComputedPlan | None, calls: Sequence[Call]) -> str | None:
    if calls:
        return calls[-1].command.agent
    if plan is None:
        return None
    return plan.agent.text if isinstance(plan.agent, Reference) else plan.agent


def _waits_for(one_pass: Pass, node: NodeRun) -> tuple[str, ...]:
    is_waiting = node.state is NodeState.WAITING
    return tuple(map(one_pass.address, sorted(node.pending))) if is_waiting else ()


def _usage(result: Value) -> Mapping[str, Value] | None:
    if not is_dict(result) or isinstance(result, Deferred):
        return None
    usage = result.get("usage")
    return usage if is_dict(usage) else None
