"""How a run starts: its worker lists its agents, and has executed the first segment already."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import FailureError, is_cancelled_exception

from perdure.engine.graph_agents import GRAPH_AGENTS
from perdure.engine.plan_cache import plan_of
from perdure.graph.values import is_dict
from perdure.protocol.agents import AgentRegistry
from perdure.protocol.names import DIRECTORY
from perdure.protocol.payloads import FirstSegmentRequest, RunRequest, SegmentResult
from perdure.protocol.records import from_plain, to_lean
from perdure.protocol.wire import pack, unpack
from perdure.workflows.activity_options import LOCAL_ACTIVITY_TIMEOUT
from perdure.workflows.host import own
from perdure.workflows.segments import NO_RETRY


@dataclass(frozen=True, slots=True)
class Startup:
    """The agents of the worker, and the first segment of the run: `size` bytes, if there was one."""

    directory: AgentRegistry
    first: SegmentResult | None
    size: int


async def start_up(request: RunRequest, now_ms: int) -> Startup:
    """Asks the worker, which compiles the graph for that: a workflow task may have no time for it.

    In a replay the graph gets an activation of its own.
    """
    request_of_segment = None
    if not workflow.unsafe.is_replaying():
        request_of_segment = _first_request(request, now_ms)
    else:
        with suppress(Exception):  # the checks, which come later, report what is wrong with it
            plan_of(request.graph, request.options.graphs)
    try:
        raw = await _asked(request_of_segment, NO_RETRY)
    except FailureError as error:
        if is_cancelled_exception(error):
            raise
        # without the pure agents: one of them may be to blame
        raw = await _asked(_bare_request(request) if request.principal else None, None)
    raw = own(raw)
    directory = unpack(raw, AgentRegistry, strict=False)
    first = None if directory.first is None else from_plain(SegmentResult, directory.first)
    is_checked = first is not None and not first.refusal  # a segment begins a run that lacks none
    lacking = [] if is_checked or not directory.agent_wait else _lacking(request, directory)
    if lacking:
        with suppress(FailureError):  # then the checks, which come later, report what is missing
            other = await _asked_of_others(request, lacking, directory.agent_wait)
            return Startup(other, None, 0)
    return Startup(replace(directory, first=None), first, len(raw.payload.data))


def _first_request(request: RunRequest, now_ms: int) -> FirstSegmentRequest:
    if request.state is not None:
        return FirstSegmentRequest(
            request={
                "document": request.graph,
                "graphs": request.options.graphs,
                "principal": request.principal,
            },
            continues=True,
        )
    return FirstSegmentRequest(
        request=to_lean(request), run=workflow.info().first_execution_run_id, now=now_ms
    )


def _bare_request(request: RunRequest, needs: Sequence[str] = ()) -> FirstSegmentRequest:
    """What says of a run only who has started it: its profile depends on that."""
    return FirstSegmentRequest(request={"principal": request.principal}, continues=True, needs=needs)


def _lacking(request: RunRequest, directory: AgentRegistry) -> list[str]:
    """The agents that the nodes of the graph name and the worker does not have."""
    agents = {*directory.names(), *GRAPH_AGENTS, *request.options.bypass_agents}
    nodes = request.graph.get("nodes")
    missing: dict[str, None] = {}
    for node in nodes.values() if is_dict(nodes) else ():
        agent = node.get("agent") if is_dict(node) and node.get("queue") is None else None
        if isinstance(agent, str) and agent not in agents and not agent.startswith(":"):
            missing[agent] = None
    return list(missing)


async def _asked_of_others(request: RunRequest, agents: list[str], wait_s: float) -> AgentRegistry:
    """The answer of a worker of this queue that has the agents. Raises FailureError where none has.

    During an update, a run may begin on a worker of the version before.
    """
    raw: RawValue = await workflow.execute_activity(
        DIRECTORY,
        pack(_bare_request(request, agents)),
        result_type=RawValue,
        task_queue=workflow.info().task_queue,
        start_to_close_timeout=LOCAL_ACTIVITY_TIMEOUT,
        schedule_to_close_timeout=timedelta(seconds=wait_s),
        summary="a worker with the agents of the graph",
    )
    return unpack(own(raw), AgentRegistry, strict=False)


async def _asked(request_of_segment: FirstSegmentRequest | None, policy: RetryPolicy | None) -> RawValue:
    return await workflow.execute_local_activity(
        DIRECTORY,
        pack(request_of_segment, limited=False),
        result_type=RawValue,
        start_to_close_timeout=LOCAL_ACTIVITY_TIMEOUT,
        retry_policy=policy,
        summary="the agents this worker knows",
    )
