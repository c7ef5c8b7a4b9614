"""Reads the model of a run: fetches the histories of its executions, and replays them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowHistory
from temporalio.converter import DataConverter
from temporalio.service import RPCError, RPCStatusCode

from perdure.errors import PerdureError, UsageError
from perdure.history.activities import results_of
from perdure.history.build import run_model, with_events_only
from perdure.history.cache import ModelCache
from perdure.history.causes import ServerFacts
from perdure.history.events_only import event_table
from perdure.history.explain import Explanation, explanation_of
from perdure.history.model import Phase, RunModel
from perdure.history.notices import notice_causes, notices_of
from perdure.history.open_calls import with_open_calls
from perdure.history.replay import replay
from perdure.monitoring.descriptions import RunDescription, described
from perdure.protocol.payloads import RunRequest
from perdure.protocol.wire import principal_of
from perdure.temporal.queues import workers
from perdure.temporal.rpc_errors import rpc_error

_cache = ModelCache()


async def read_run(temporal: Client, id: str) -> RunModel:
    """The model of a run. Raises UsageError when the server knows no such run, or has no history of it."""
    description = await described(temporal, id)
    model = await read_described(temporal, id, description)
    model = as_described(model, description)
    return with_open_calls(model, description, now_ms=int(time.time() * 1000))


def as_described(model: RunModel, description: RunDescription) -> RunModel:
    """The model, with what the server says of the run itself."""
    return replace(
        model,
        state=description.state,
        name=description.name or model.name,
        attempt=description.raw.pending_workflow_task.attempt,
    )


async def read_described(temporal: Client, id: str, description: RunDescription) -> RunModel:
    """What the history alone says of a run that the server has described."""
    execution = description.info.execution.run_id

    async def read() -> RunModel:
        return await replayed(await _chain(temporal, id, execution), temporal.data_converter)

    return await _cache.read(execution, description.info.history_length, read)


async def replayed(histories: Sequence[WorkflowHistory], converter: DataConverter) -> RunModel:
    """The model of the run that has these histories, one for each of its executions, oldest first."""
    first = histories[0].events[0].workflow_execution_started_event_attributes
    request: RunRequest = (await converter.decode(first.input.payloads, [RunRequest]))[0]
    principal = await _principal(first.input.payloads, converter)
    if principal or not first.continued_execution_run_id:
        request = replace(request, principal=principal)
    notes = await replay(histories, converter)
    results = await _results(histories, converter)
    model = await asyncio.to_thread(run_model, histories, request, notes, results)  # a second, if it is large
    if model.problem is None:
        return model
    return with_events_only(model, await event_table(histories, converter, model.graph))


async def _principal(payloads: Sequence[Payload], converter: DataConverter) -> str:
    """Whose key has signed a start, "" for no principal's, or where this process has no keys."""
    codec = converter.payload_codec
    return principal_of((await codec.decode(payloads))[0]) if codec is not None and payloads else ""


async def _results(
    histories: Sequence[WorkflowHistory], converter: DataConverter
) -> Sequence[Payload] | None:
    """The results of activities, decoded; None where they are as they were."""
    if converter.payload_codec is None:
        return None
    payloads = results_of(event for history in histories for event in history.events)
    return await converter.payload_codec.decode(payloads)


async def _chain(temporal: Client, id: str, execution: str) -> list[WorkflowHistory]:
    """The histories of a run, as far back as the server has them."""
    histories: list[WorkflowHistory] = []
    while execution:
        try:
            history = await temporal.get_workflow_handle(id, run_id=execution).fetch_history()
        except RPCError as error:
            if histories and error.status is RPCStatusCode.NOT_FOUND:
                break
            raise rpc_error(error, f"run {id!r}") from error
        if not history.events:
            break
        histories.insert(0, history)
        execution = history.events[0].workflow_execution_started_event_attributes.continued_execution_run_id
    if not histories:
        raise UsageError(f"run {id!r} has no history any more")
    return histories


async def explain_node(temporal: Client, id: str, address: str, *, local: bool) -> Explanation:
    """Why a node of a run is in its state. `local` is as in perdure.temporal.queues.workers."""
    model = await read_run(temporal, id)
    description = await described(temporal, id)
    open_nodes = [node for node in model.nodes.values() if node.state == "executing"]
    queues = {model.queue, *(node.queue for node in open_nodes if node.queue)}
    facts = ServerFacts(
        workers={queue: frozenset(await workers(temporal, queue, local=local)) for queue in sorted(queues)},
        attempt=description.raw.pending_workflow_task.attempt,
        is_cancelling=description.raw.workflow_extended_info.cancel_requested,
        paused=description.paused,
    )
    return await _with_notices(temporal, model, explanation_of(model, address, facts))


async def _with_notices(temporal: Client, model: RunModel, explanation: Explanation) -> Explanation:
    """The explanation, and where a person is asked, whether the notices of that have arrived."""
    nodes = (model.nodes.get(address) for address in (explanation.address, *explanation.chain))
    asking = next((node for node in nodes if node is not None and node.phase is Phase.ASKS), None)
    if asking is None:
        return explanation
    with suppress(PerdureError):  # a server that cannot list them: the rest is known all the same
        causes = notice_causes(await notices_of(temporal, model.id, asking))
        return replace(explanation, also=(*explanation.also, *causes))
    return explanation
