"""Starts runs: what the server is handed with a request, and in which form its large values travel."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from temporalio.client import Client
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)

from perdure.errors import UsageError
from perdure.graph.fields import PERSON_AGENTS
from perdure.graph.nested import every_node
from perdure.graph.text.json_dump import dump
from perdure.graph.values import Value
from perdure.monitoring.descriptions import STARTED
from perdure.protocol.names import ASKS_ATTRIBUTE, WORKFLOW
from perdure.protocol.payloads import RunRequest
from perdure.storage.claim_check import ClaimCheck
from perdure.temporal.fairness import turn_of
from perdure.temporal.rpc_errors import RPC_TIMEOUT
from perdure.temporal.search_attributes import GRAPH_KEY, knows_attributes

# Temporal's ids may be longer; this one must also fit the names of activities and files
_RUN_ID = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,200}")


def check_run_id(id: str) -> None:
    """Raises UsageError where no run can have this id."""
    if not _RUN_ID.fullmatch(id):
        raise UsageError(f"{id[:300]!r} is not a valid id: 1 to 200 characters, no control characters")


async def start_run(
    temporal: Client,
    request: RunRequest,
    id: str,
    *,
    local: bool,
    memo: Mapping[str, str] | None = None,
    attaches: bool = True,
) -> None:
    """Starts the workflow of a request whose values are stored. `local` is as in perdure.runs.Run.

    An id that is in use is attached to, or else refused: WorkflowAlreadyStartedError. Raises RPCError.
    """
    use_existing, fail = WorkflowIDConflictPolicy.USE_EXISTING, WorkflowIDConflictPolicy.FAIL
    arguments: dict[str, Any] = {
        "id": id,
        "task_queue": request.queue,
        "memo": {"graph": request.name, "body": body_of(request), STARTED: _now(), **(memo or {})},
        "id_reuse_policy": WorkflowIDReusePolicy.REJECT_DUPLICATE,
        "id_conflict_policy": use_existing if attaches else fail,
        "static_summary": request.name[:200],
        "priority": turn_of(id),
        "rpc_timeout": RPC_TIMEOUT,
    }
    if local or await knows_attributes(temporal, {GRAPH_KEY.name}):
        pair = SearchAttributePair(GRAPH_KEY, request.name)
        arguments["search_attributes"] = TypedSearchAttributes([pair])
    if _has_human_tasks(request.graph) and await knows_attributes(temporal, {ASKS_ATTRIBUTE}):
        request = replace(request, indexes_questions=True)
    await temporal.start_workflow(WORKFLOW, request, **arguments)


async def with_stored_values(request: RunRequest, claims: ClaimCheck) -> RunRequest:
    """The request with its large values in the store."""
    injects = [(name, await claims.keep(value)) for name, value in request.options.injects]
    return replace(
        request,
        document=await claims.keep_statics(request.document),
        options=replace(request.options, injects=injects),
    )


def body_of(request: RunRequest) -> str:
    """A hash of everything that decides what a run computes."""
    options = request.options
    injects = [[name, value] for name, value in options.injects]
    parts = [request.document, injects, dict(options.config), options.graphs or {}]
    try:
        data = dump(parts, ordered=True)
    except (TypeError, ValueError):
        data = json.dumps(parts, sort_keys=True, default=repr).encode()
    return hashlib.sha256(data).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _has_human_tasks(graph: Mapping[str, Value]) -> bool:
    return any(node.get("agent") in PERSON_AGENTS for _, node in every_node(graph))
