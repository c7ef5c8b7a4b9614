"""Makes the model of a run of its histories, and of what their replay has noted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory

from perdure.engine.board import Board
from perdure.engine.human_tasks import HumanPrompt
from perdure.engine.scheduler import Scheduler
from perdure.engine.state import GraphRun
from perdure.errors import PerdureError
from perdure.graph.values import UNDEFINED, Value
from perdure.history.activities import END_STATES, activities, message, milliseconds, moments
from perdure.history.events_only import EventTable
from perdure.history.model import Execution, NodeModel, Phase, Question, RunModel, SlotCounts
from perdure.history.nodes import NodeBuilder
from perdure.history.replay import Replayed
from perdure.protocol.failures import NodeFailure
from perdure.protocol.payloads import RunRequest, RunResult
from perdure.workflows.run_shell import RunShell


def run_model(
    histories: Sequence[WorkflowHistory],
    request: RunRequest,
    replayed: Replayed,
    results: Sequence[Payload] | None = None,
) -> RunModel:
    """The model of these executions, of which `request` started the first; `results` as for `activities`."""
    last = histories[-1].events[-1]
    state = END_STATES.get(last.event_type)
    shell = None if replayed.workflow is None else replayed.workflow.shell
    scheduler = None if shell is None else shell.view.scheduler()
    request = _as_changed(request, shell, scheduler)
    _foresee(request, replayed)
    events = [event for history in histories for event in history.events]
    ended = None if state is None else milliseconds(last.event_time)
    builder = NodeBuilder(replayed.journal, activities(events, results), ended, shell and shell.placement)
    nodes = builder.nodes()
    questions = _questions(() if shell is None or state else shell.view.questions(), builder, nodes)
    return RunModel(
        id=histories[0].workflow_id,
        name=request.name,
        state=state or "running",
        graph=request.graph,
        **_as_recorded(histories, events),
        ended=ended,
        queue=request.queue,
        **_as_played(shell, scheduler, replayed.code),
        **_as_failed(last, shell),
        questions=questions,
        console=tuple(replayed.journal.console),
        counts=phase_counts(nodes),
        nodes=nodes,
        transitions=builder.transitions(),
        calls=replayed.journal.answered_calls(),
        request=request,
        slots=_slots(replayed.journal.board),
        is_continuing=state is None and last.event_id >= request.options.events,
        position=None if shell is None else shell.progress.position(),
        problem=replayed.problem,
    )


def _as_failed(last: HistoryEvent, shell: RunShell | None) -> dict[str, Any]:
    """Why the run failed, if it did."""
    failure = _failure(last)
    return {"failure": failure, "cause": _cause(failure, shell and shell.result)}


def _as_recorded(histories: Sequence[WorkflowHistory], events: Sequence[HistoryEvent]) -> dict[str, Any]:
    """What the events say of the run as a whole."""
    began = events[0].workflow_execution_started_event_attributes
    return {
        "chain": tuple(_execution(history) for history in histories),
        "is_whole": not began.continued_execution_run_id,
        "started": milliseconds(events[0].event_time),
        "moments": moments(events),
    }


def _as_played(
    shell: RunShell | None, scheduler: Scheduler | None, code: Mapping[str, str]
) -> dict[str, Any]:
    """What only the replay of the run knows of it as a whole."""
    if shell is None or scheduler is None:
        return {}
    return {
        "results": _results(scheduler.root),
        "errors": scheduler.root.errors(),
        "paused": tuple(scheduler.board.paused),
        "interventions": tuple(shell.steering.interventions),
        "registry": replace(shell.placement.registry, code=code),
        "closed": shell.waits.human_tasks.questions.closed(),
        "profile": shell.placement.profile,
    }


def _as_changed(request: RunRequest, shell: RunShell | None, scheduler: Scheduler | None) -> RunRequest:
    """The request as it would be for a run of the graph that people have made of it, with its inputs."""
    if shell is None or scheduler is None or not shell.steering.interventions:
        return request
    root = scheduler.root
    injects = tuple((name, value) for name, value in root.values.items() if name in root.plan.statics)
    options = replace(request.options, injects=injects)
    return replace(request, document=root.plan.document, options=options, state=None)


def with_events_only(model: RunModel, table: EventTable) -> RunModel:
    """The model of a run that could not be replayed: what a replay has noted before it failed is not kept."""
    nodes, result = table.nodes, table.result
    failures = {node.node: node.failure for node in nodes.values() if node.parent is None and node.failure}
    return replace(
        model,
        results={} if result is None else result.results,
        errors=failures if result is None else result.errors,
        questions=(),
        console=(),
        counts=phase_counts(nodes),
        nodes=nodes,
        transitions=(),
        calls=(),
        slots=None,
        is_continuing=False,
        position=None,
    )


def _questions(
    prompts: Sequence[HumanPrompt], builder: NodeBuilder, nodes: dict[str, NodeModel]
) -> tuple[Question, ...]:
    """What people are asked; the nodes that ask are marked."""
    questions = tuple(Question(prompt, builder.address_of(prompt.path)) for prompt in prompts)
    for question in questions:
        nodes[question.address] = replace(nodes[question.address], phase=Phase.ASKS)
    return questions


def _foresee(request: RunRequest, replayed: Replayed) -> None:
    """Notes the graph of a run, if nothing has happened in it yet: all of its nodes wait."""
    if replayed.journal.passes:
        return
    with suppress(PerdureError):  # the run will end with it
        replayed.journal.begun(Scheduler(request.graph, replace(request.options, injects=())))


def _results(root: GraphRun) -> dict[str, Value]:
    """Those of a run: none where no node could begin, as in GraphAI."""
    began = root.outcome is None or root.outcome.value is UNDEFINED
    return root.results(False) if began else {}


def _slots(board: Board | None) -> SlotCounts | None:
    if board is None:
        return None
    slots = board.slots
    return SlotCounts(
        running=slots.running,
        concurrency=slots.concurrency,
        running_by_label=dict(slots.running_by_label),
        limits=dict(slots.limits),
    )


def phase_counts(nodes: Mapping[str, NodeModel]) -> dict[str, int]:
    """How many nodes are in each phase."""
    return dict(Counter(str(node.phase) for node in nodes.values()))


def _execution(history: WorkflowHistory) -> Execution:
    first, last = history.events[0], history.events[-1]
    began = first.workflow_execution_started_event_attributes
    started = milliseconds(first.event_time)
    size = sum(event.ByteSize() for event in history.events)
    id = began.original_execution_run_id
    return Execution(id, started, last.event_id, by=began.identity, byte_count=size)


def _cause(failure: str | None, result: RunResult | None) -> NodeFailure | None:
    """Why a run failed: in its own words, or without a node where it was ended from outside."""
    if failure is None:
        return None
    return NodeFailure.of("", failure) if result is None or result.cause is None else result.cause


def _failure(last: HistoryEvent) -> str | None:
    """Why a run ended without a result, in the words of the history."""
    match last.event_type:
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
            return message(last.workflow_execution_failed_event_attributes.failure)
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
            return last.workflow_execution_terminated_event_attributes.reason or "no reason was recorded"
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
            return "the time limit of the run has passed"
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED:
            return "it was asked to stop"
        case _:
            return None
