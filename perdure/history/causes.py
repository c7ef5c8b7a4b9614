"""What may hold a node up, and how it is said.

Each function returns the one cause of a phase; perdure.history.explain decides which are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from perdure.engine.maps.places import covers
from perdure.graph.javascript import to_string
from perdure.graph.values import UNDEFINED, Value, is_dict
from perdure.history.model import NodeModel, Phase, RunModel
from perdure.temporal.unserved import awaited

FAILED_PHASES: Final = (Phase.FAILED, Phase.TIMED_OUT, Phase.SKIPPED, Phase.ABORTED)
"""Phases in which a node has no result, and will have none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """What the server says of a run.

    `workers` are the identities that serve each queue, `attempt` counts how often a worker tried the step
    that is due, `paused` says who paused the run, and why.
    """

    workers: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    attempt: int = 0
    is_cancelling: bool = False
    paused: str | None = None

    def are_gone(self, queue: str) -> bool:
        """Whether no worker serves this queue."""
        return self.workers.get(queue) == frozenset()


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason: its `code` for programs, what holds, and what to do about it, "" for nothing.

    `since` and `until` are in milliseconds since the epoch.
    """

    code: str
    finding: str
    hint: str = ""
    since: int | None = None
    until: int | None = None


def cause_of(model: RunModel, node: NodeModel, facts: ServerFacts) -> Cause:
    """Why a node is in its phase."""
    match node.phase:
        case Phase.FELL_BACK:
            return Cause("fell-back", f"{node.address} has its fallback: {node.failure}", since=node.ended)
        case Phase.COMPLETED | Phase.INJECTED:
            return Cause("done", f"{node.address} has its result", since=node.ended)
        case Phase.SKIPPED:
            return _skipped(node)
        case Phase.FAILED | Phase.TIMED_OUT:
            return Cause("failed", f"{node.address} {node.phase}: {node.failure}", since=node.ended)
        case Phase.ABORTED:
            return Cause("aborted", f"{node.address} was stopped: the run ended before it")
        case Phase.WAITING:
            return _waiting(model, node)
        case Phase.QUEUED_HERE if node.state == "executing":
            return _unsent(model, node, facts)
        case Phase.QUEUED_HERE:
            return _queued(model, node)
        case Phase.ASKS:
            return _asks(model, node)
        case _:
            return _running(model, node, facts)


def _skipped(node: NodeModel) -> Cause:
    value = "has no value" if node.condition_value is UNDEFINED else f"is {to_string(node.condition_value)}"
    finding = f"{node.address} was skipped by its condition `{node.condition}`: the reference {value[:100]}"
    return Cause("skipped", finding, since=node.ended)


def _waiting(model: RunModel, node: NodeModel) -> Cause:
    if node.is_fetching:
        hint = "perdure store info shows whether the store can be read"
        return Cause("fetching", f"{node.address} needs a value that is being read from the store", hint)
    for needed in node.waits_for:
        phase = model.nodes[needed].phase
        if phase in FAILED_PHASES:
            hint = f"perdure explain {model.id} {needed}"
            return Cause("never-ready", f"{node.address} will never be ready: {needed} {phase}", hint)
    names = ", ".join(node.waits_for[:5]) + (" …" if len(node.waits_for) > 5 else "")
    return Cause("inputs", f"{node.address} waits for {names or 'the run to begin'}")


def _unsent(model: RunModel, node: NodeModel, facts: ServerFacts) -> Cause:
    if facts.are_gone(node.queue or model.queue):
        return _queued_there(model, node, facts, "")
    if model.is_continuing:
        finding = f"{node.address} is sent when the run has continued as new; open calls end before that"
        return Cause("continuing", finding, since=node.started)
    finding = f"{node.address} is sent when other calls of the run have ended: it may have 500 open"
    return Cause("window", finding, since=node.started)


def _queued(model: RunModel, node: NodeModel) -> Cause:
    place = next((paused for paused in model.paused if covers(paused, node.address)), None)
    if place is not None:
        finding = f"{node.address} does not start: {place or 'the run'} was paused by a person"
        return Cause("held", finding, f"perdure resume {model.id} {place}".rstrip(), node.ready)
    slots, label = model.slots, node.label
    holders = [holder for holder in model.nodes.values() if holder.state == "executing"]
    if slots is not None and label is not None and label in slots.limits:
        names = _names([holder for holder in holders if holder.label == label])
        finding = f"{node.address} waits for label {label!r}, which {slots.limits[label]} may have: {names}"
        return Cause("label", finding, "raise the limit in `concurrency` of the graph", node.ready)
    taken = "all slots are taken" if slots is None else f"all {slots.concurrency} slots are taken"
    if slots is not None and slots.concurrency == 1:
        taken = "the only slot is taken"
    finding = f"{node.address} waits for a slot of the run; {taken}: {_names(holders)}"
    return Cause("slots", finding, "raise `concurrency` of the graph", node.ready)


def _names(nodes: list[NodeModel]) -> str:
    more = f" and {len(nodes) - 5} more" if len(nodes) > 5 else ""
    return ", ".join(node.address for node in nodes[:5]) + more or "none"


def _asks(model: RunModel, node: NodeModel) -> Cause:
    prompt = next(question.prompt for question in model.questions if question.address == node.address)
    hint = f"perdure answer {model.id} {prompt.path} TEXT"
    return Cause("asks", f"{node.address} waits for an answer to {prompt.message!r}", hint, node.started)


def _running(model: RunModel, node: NodeModel, facts: ServerFacts) -> Cause:
    if node.rows is not None or not node.attempts:
        return _runs_graph(model, node)
    last = node.attempts[-1]
    place = f"{node.address} ({node.agent})"
    again = f"; attempt {last.number - 1} failed: {last.failure}" if last.failure else ""
    match node.phase:
        case Phase.PAUSED:
            hint = f"temporal activity unpause -w {model.id} --activity-id {last.activity}"
            return Cause("paused", f"{place} is paused at the server {last.paused}".rstrip(), hint)
        case Phase.QUEUED_THERE:
            return _queued_there(model, node, facts, again)
        case Phase.BACKOFF:
            finding = f"{place} is repeated at {clock(last.due)}, attempt {last.number}{again}"
            return Cause("backoff", finding, until=last.due)
        case Phase.LOST:
            beat = last.beat or last.started
            finding = f"{place}: no heartbeat of worker {last.worker} since {clock(beat)}"
            hint = "another worker gets the call 10 s (or `heartbeat`) after the last heartbeat"
            return Cause("lost", finding, hint, beat)
        case _ if node.placement == "event":
            finding = f"{place} waits for {_awaited(node)}, without a worker"
            return Cause("running", finding, _sending(model, node), node.started)
        case _:
            where = f" with worker {last.worker}" if last.worker else ""
            return Cause("running", f"{place} runs{where}{again}", since=last.started or node.started)


def _awaited(node: NodeModel) -> str:
    """What a node waits for that the run itself answers."""
    topic, key = _member(node, "topic"), _member(node, "key")
    if topic is None:
        return "a time"
    senders = _member(node, "from")
    of_key = "" if key is None else f" with key {to_string(key)!r}"
    return f"events of {topic!r}{of_key}" + (f" from {senders}" if isinstance(senders, str) else "")


def _sending(model: RunModel, node: NodeModel) -> str:
    topic, key = _member(node, "topic"), _member(node, "key")
    option = "" if key is None else f" --key {to_string(key)}"
    return "" if topic is None else f"perdure send {model.id} {topic} BODY{option}"


def _member(node: NodeModel, name: str) -> Value:
    """An input of the node, or else a parameter."""
    for values in (node.inputs, node.params):
        if is_dict(values) and name in values:
            return values[name]
    return None


def _queued_there(model: RunModel, node: NodeModel, facts: ServerFacts, again: str) -> Cause:
    last = node.attempts[-1]
    queue, place = last.queue or node.queue or model.queue, f"{node.address} ({node.agent})"
    if facts.are_gone(queue):
        what, hint = awaited(queue)
        return Cause("no-queue-worker", f"{place} waits for {what}{again}", hint, last.scheduled)
    count = len(facts.workers.get(queue, ()))
    finding = f"{place} waits for a worker: task queue {queue!r} has {count}, and none has room{again}"
    return Cause("workers-busy", finding, f"perdure worker --queue {queue}", last.scheduled)


def _runs_graph(model: RunModel, node: NodeModel) -> Cause:
    if node.rows is None:
        return Cause("running", f"{node.address} runs", since=node.started)
    inside = [inner.address for inner in model.inside(node.address) if inner.state == "executing"]
    inner = f"; open: {', '.join(inside[:3])}" if inside else ""
    finding = f"{node.address} runs its graph: {node.rows.done} of {node.rows.total} are done{inner}"
    return Cause("running", finding, since=node.started)


def clock(time: int | None) -> str:
    """A time of day, as messages have it."""
    moment = datetime.fromtimestamp((time or 0) / 1000, UTC)
    return moment.strftime("%H:%M:%S UTC")
