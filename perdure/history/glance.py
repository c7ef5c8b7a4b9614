"""The first look at a large run: what is known of it at once, while its history is still being replayed.

A replay takes seconds where a run has ten thousand nodes. A worker that has the run in its memory says in
milliseconds how its outer nodes are, and the last event of a run that has ended says it too. There are no
rows, values and times in it: it is shown until the replay is there, and then forgotten.
"""

from __future__ import annotations

import re
import time
from datetime import timedelta
from typing import Any, Final

from temporalio.client import (
    Client,
    WorkflowFailureError,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
)
from temporalio.service import RPCError

from perdure.engine.state import NodeState
from perdure.errors import MalformedPayload, RunFailed
from perdure.graph.values import is_dict
from perdure.history.model import Attempt, NodeModel, Phase, Question, RowCounts, RunModel
from perdure.history.nodes import phase_of
from perdure.history.open_calls import with_open_calls
from perdure.monitoring.descriptions import RunDescription, described
from perdure.protocol.payloads import NodeStatus, RunResult, RunStatus
from perdure.temporal.rpc_errors import run_error

GLANCE_TIMEOUT: Final = timedelta(seconds=5)
"""For the answer of a worker, or of the server: the replay is there soon."""

_RETRY: Final = re.compile(r"#\d+$")
_MARKS: Final = re.compile(r"[@#]\d+")


async def glance(temporal: Client, id: str) -> RunModel | None:
    """What is known of a run without its history; None if no worker and no result says it in time.

    Raises UsageError when the server knows no such run.
    """
    description = await described(temporal, id)
    handle: Any = temporal.get_workflow_handle(id, result_type=RunResult)
    try:
        if description.closed is None:
            status: RunStatus = await handle.query(
                "status", 0, result_type=RunStatus, rpc_timeout=GLANCE_TIMEOUT
            )
            model = _as_running(id, status, description)
            return with_open_calls(model, description, now_ms=int(time.time() * 1000))
        return _as_ended(id, await handle.result(rpc_timeout=GLANCE_TIMEOUT), description)
    except WorkflowFailureError as error:
        failure = run_error(id, error.cause)
        result = failure.result if isinstance(failure, RunFailed) else None
        return _as_ended(id, result, description) if isinstance(result, RunResult) else None
    except (
        *(RPCError, WorkflowQueryFailedError, WorkflowQueryRejectedError, MalformedPayload),
        ValueError,  # the SDK, of a rejection for a state that it does not know: the run is paused
    ):
        return None


def _as_running(id: str, status: RunStatus, description: RunDescription) -> RunModel:
    nodes = [_node(row, status) for row in status.nodes if "." not in row.path]
    return RunModel(
        id=id,
        name=description.name or status.name,
        state=description.state,
        graph={},
        started=_milliseconds(description),
        queue=description.task_queue,
        questions=tuple(Question(prompt, _RETRY.sub("", prompt.path)) for prompt in status.questions),
        counts={str(phase_of(NodeState(state))): count for state, count in status.counts.items() if count},
        nodes={node.address: node for node in nodes},
        paused=status.paused,
        interventions=status.interventions,
    )


def _node(row: NodeStatus, status: RunStatus) -> NodeModel:
    state, is_asked = NodeState(row.state), any(asked.path == row.path for asked in status.questions)
    rows = RowCounts(total=row.total, opened=row.done, done=row.done, failed=0) if row.total else None
    is_called = state is NodeState.EXECUTING and rows is None
    return NodeModel(
        address=_RETRY.sub("", row.path),
        node=_MARKS.sub("", row.path),
        iteration=status.iteration,
        agent=row.agent,
        state=row.state,
        phase=Phase.ASKS if is_asked else phase_of(state),
        started=row.since if state is NodeState.EXECUTING else None,
        attempts=(Attempt(path=row.path, activity=row.path),) if is_called else (),
        failure=row.error,
        rows=rows,
    )


def _as_ended(id: str, result: RunResult, description: RunDescription) -> RunModel:
    errors = result.errors if is_dict(result.errors) else {}  # each of these may be in the store
    states = result.states if is_dict(result.states) else {}
    nodes = {name: _ended_node(name, NodeState(state), errors.get(name)) for name, state in states.items()}
    closed = description.closed
    return RunModel(
        id=id,
        name=description.name,
        state=description.state,
        graph={},
        started=_milliseconds(description),
        ended=None if closed is None else int(closed.timestamp() * 1000),
        queue=description.task_queue,
        errors=errors,
        failure=result.failure,
        cause=result.cause,
        nodes=nodes,
    )


def _ended_node(name: str, state: NodeState, failure: str | None) -> NodeModel:
    return NodeModel(address=name, node=name, state=str(state), phase=phase_of(state), failure=failure)


def _milliseconds(description: RunDescription) -> int:
    return int(description.started.timestamp() * 1000)
