"""The record of a run, of what its replay has noted: what a rerun of it may reuse."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from perdure.engine.graph_agents import GRAPH_AGENTS
from perdure.engine.state import NodeState
from perdure.graph.human_input import APPROVAL
from perdure.graph.values import Value
from perdure.history.model import AnsweredCall, RunModel
from perdure.lineage.fingerprint import fingerprint
from perdure.lineage.record import Entry, Record


def record_of(run: str, calls: Iterable[AnsweredCall], earlier: Record | None = None) -> Record:
    """The record of the run with this id.

    It has the calls that the run reused as well, with the run that executed them: so a rerun of a rerun
    needs no run before that one. `earlier` is the record that this one reused, where it is still there.
    """
    return Record(tuple(_entries(run, calls, earlier)))


def set_results(model: RunModel) -> dict[str, Value]:
    """The results that people gave to nodes of a run while it ran, by position: no call has made them."""
    if not model.interventions:
        return {}
    answered = {call.command.key for call in model.calls}
    return {
        address: node.result
        for address, node in model.nodes.items()
        if node.agent is not None
        and node.agent not in GRAPH_AGENTS
        and node.state == NodeState.COMPLETED
        and address not in answered
    }


def _entries(run: str, calls: Iterable[AnsweredCall], earlier: Record | None) -> Iterator[Entry]:
    for call in calls:
        mark = fingerprint(call.command)
        if mark is None or call.command.agent == APPROVAL:
            continue
        origin, seconds = run, (call.ended - call.started) / 1000
        if call.recalled is not None:
            origin, seconds = _origin(call.recalled, earlier)
        yield Entry(call.command.key, mark, call.result, seconds, origin)


def _origin(number: int, earlier: Record | None) -> tuple[str, float]:
    """The run that has executed an entry, and the seconds that this took."""
    if earlier is None or not 0 <= number < len(earlier.entries):
        return "", 0.0
    entry = earlier.entries[number]
    return entry.origin, entry.seconds
