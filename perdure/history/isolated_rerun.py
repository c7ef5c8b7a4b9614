"""Repeats a recorded run without effects, to compare a change of it: differential replay."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from temporalio.client import Client

from perdure.errors import UsageError
from perdure.graph.fields import MODEL_AGENTS
from perdure.graph.values import Value
from perdure.graph.wording import suggestion
from perdure.history.model import RunModel
from perdure.history.rerun import agent_names, prepared, start_prepared
from perdure.lineage.change import Change
from perdure.lineage.compare import graph_differences
from perdure.lineage.isolation import RecordedCall, isolated
from perdure.storage.claim_check import ClaimCheck

_WITHOUT_EFFECT: Final = ("how", "removed")


async def start_isolated(
    temporal: Client,
    model: RunModel,
    change: Change,
    claims: ClaimCheck,
    calls: Collection[str] = (),
    *,
    keeps_upstream: bool = False,
    local: bool = False,
) -> str:
    """Starts the new run and returns its id. `calls` are agents that may be called besides those of models.

    Raises what `prepared` raises, and UsageError for a changed node whose agent may have effects.
    """
    rerun, _ = await prepared(model, change, claims)
    assert model.request is not None
    differences = graph_differences(model.request.document, rerun.document)
    changed = [difference.address for difference in differences if difference.kind not in _WITHOUT_EFFECT]
    recorded, may_be_called = _recorded(model), [*MODEL_AGENTS, *calls]
    _check_agents(calls, {*agent_names(rerun.document), *(call.agent for call in recorded)})
    rerun = isolated(rerun, recorded, changed, may_be_called, keeps_upstream=keeps_upstream)
    more: Mapping[str, Value] = {"calls": may_be_called}
    return await start_prepared(temporal, model, rerun, claims, more, local=local)


def _check_agents(calls: Collection[str], known: Collection[str]) -> None:
    for name in calls:
        if name not in known:
            raise UsageError(f"no node has the agent {name!r}", hint=suggestion(name, sorted(known)))


def _recorded(model: RunModel) -> list[RecordedCall]:
    return [
        RecordedCall(call.command.key, call.command.agent, _is_pure(model, call.command.key), call.result)
        for call in model.calls
    ]


def _is_pure(model: RunModel, address: str) -> bool:
    node = model.nodes.get(address)
    return node is not None and node.placement == "segment"
