"""A graph from a workflow of your own, as its child workflow; and what starts one from any client.

The request is packed here, and not by the sender's data converter: Temporal's default one sorts the keys
of a mapping, and the order of nodes in a graph means something. A payload that is packed already passes any
converter unchanged. The result comes back the same way, so that a sandbox, which imports Perdure a second
time, still reads the values that JSON does not have.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from temporalio import workflow
from temporalio.common import Priority, RawValue

from perdure.engine.messages import RunOptions
from perdure.graph.values import Value, normalize
from perdure.protocol.names import WORKFLOW
from perdure.protocol.payloads import RunRequest, RunResult
from perdure.protocol.wire import pack, unpack
from perdure.temporal.fairness import turn_of
from perdure.workflows.activity_options import MAX_SUMMARY_CHARS
from perdure.workflows.host import own


def graph_request(
    graph: Mapping[str, Value],
    inputs: Mapping[str, Value] | None = None,
    *,
    queue: str,
    name: str = "graph",
    options: RunOptions | None = None,
) -> RawValue:
    """The one argument of the workflow `Graph`, for whatever starts it: a client, a schedule, a workflow.

    `graph` is a document as perdure.graph.text.load.load reads it, `inputs` go into static nodes, and `queue`
    serves the nodes that name none. The workflow returns a perdure.protocol.payloads.RunResult. Raises
    TypeError for a value that the language does not have.
    """
    request = RunRequest(
        document=normalize(graph),
        name=name,
        queue=queue,
        options=(options or RunOptions()).injecting(normalize(inputs or {})),
    )
    return pack(request)


async def run_graph(
    graph: Mapping[str, Value],
    inputs: Mapping[str, Value] | None = None,
    *,
    id: str | None = None,
    queue: str | None = None,
    name: str = "graph",
    options: RunOptions | None = None,
    execution_timeout: timedelta | None = None,
) -> RunResult:
    """Runs a graph as a child workflow of the workflow that calls this, and returns its result.

    Temporal makes an `id` if none is passed; the `queue` is by default that of the workflow. A cancelled
    workflow cancels its graph. Raises temporalio.exceptions.ChildWorkflowError where the graph fails: its
    cause is an ApplicationError of type RunFailed, GraphError or UsageError.
    """
    info = workflow.info()
    served_on = queue or info.task_queue
    turn = Priority.default if info.priority.fairness_key else turn_of(info.workflow_id)
    raw = await workflow.execute_child_workflow(
        WORKFLOW,
        graph_request(graph, inputs, queue=served_on, name=name, options=options),
        id=id,
        task_queue=served_on,
        result_type=RawValue,
        memo={"graph": name},
        static_summary=name[:MAX_SUMMARY_CHARS],
        priority=turn,
        execution_timeout=execution_timeout,
    )
    return unpack(own(raw), RunResult)
