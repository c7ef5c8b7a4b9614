"""What a run may do, as its history has it: the profile that its worker had when it began.

A profile is plain data: `name`, `grant` and `digest` of the policy; where people decide on what it refuses,
`asks` says who (perdure.policy.approvals), and `signs` that their word on any agent counts. `budget` is what
its calls may use, and `prices` are those of models, by which money is counted. `principal` is who
has started the run, where its policy distinguishes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from perdure.engine.granting.authority import Authority
from perdure.engine.granting.prices import Prices
from perdure.engine.labelling.rules import Labelling
from perdure.graph.text.json_dump import dump
from perdure.graph.values import Value
from perdure.policy.approvals import Approvers
from perdure.policy.budgets import Budget
from perdure.policy.grant import Grant, meet
from perdure.policy.labels import AgentLabels
from perdure.policy.parse import Policy


def profile_of(
    policy: Policy | None, *, signs: bool, prices: Mapping[str, Value] | None = None, principal: str = ""
) -> dict[str, Any] | None:
    """What a run has of the policy of its worker, None for no profile.

    Without payloads that the worker `signs`, anybody could say that people have approved an agent that the
    profile does not list: so they are not asked about one.
    """
    if policy is None or policy.grant is None:
        return None
    profile: dict[str, Any] = {
        "name": policy.profile,
        "grant": policy.grant.written(),
        "digest": policy.digest,
    }
    if policy.principals and principal:
        profile["principal"] = principal
    if policy.asks is not None:
        profile |= {"asks": policy.asks.written(), "signs": signs}
    if policy.budget is not None:
        profile |= {"budget": policy.budget.written()}
    return {**profile, "prices": prices} if prices else profile


def narrowed_profile(
    profile: Mapping[str, Value] | None, state: Mapping[str, Value]
) -> Mapping[str, Value] | None:
    """That of a run that continues with this `state`: a later policy may narrow it, and never widens it."""
    granted: Mapping[str, Value] | None = state.get("granted")
    if granted is None:
        return profile
    grant, now = Grant.read(granted), dict(profile or {})
    if profile is not None:
        grant = meet(grant, Grant.read(profile.get("grant")))
    if not state.get("asks"):
        now.pop("asks", None)
    if "budget" in state:  # what is used counts on; a later budget is for runs that begin
        now["budget"] = state["budget"]
    else:
        now.pop("budget", None)
    return {"name": "", "digest": "", **now, "grant": grant.written()}


def granted_state(profile: Mapping[str, Value] | None, *, labelled: bool) -> dict[str, Value]:
    """What the state of a run that continues has of this."""
    state: dict[str, Value] = {"labelled": True} if labelled else {}
    if profile is not None:
        state["granted"] = profile["grant"]
        state |= {"asks": True} if profile.get("asks") else {}
        state |= {"budget": profile["budget"]} if "budget" in profile else {}
    return state


def authority_by(
    profile: Mapping[str, Value] | None,
    pure: Iterable[str],
    queue: str,
    labels: Mapping[str, Value] | None,
    *,
    counts: bool,
) -> Authority:
    """What decides for a run on this `queue`, with these `pure` agents and `labels` of all of them."""
    profile = profile or {}
    asks: Mapping[str, Value] | None = profile.get("asks")
    pure = frozenset(pure)
    return Authority(
        profile=str(profile.get("name", "")),
        grant=Grant.read(profile.get("grant")) if profile else None,
        pure=pure,
        queue=queue,
        counts=counts,
        labelling=labelling_of(labels, pure),
        asks=None if asks is None else Approvers.read(asks),
        asks_for_agents=profile.get("signs") is True,
        budget=Budget.read(profile["budget"]) if "budget" in profile else None,
        prices=Prices.read(profile.get("prices") or {}, "the prices of the worker"),
    )


def labelling_of(labels: Mapping[str, Value] | None, pure: Iterable[str]) -> Labelling | None:
    """The rules for data of a run whose registry has these `labels`, and these agents that are pure."""
    if labels is None:
        return None
    agents = _agent_labels(dump(labels["agents"]))
    tags = {name: frozenset(places) for name, places in labels.get("tags", {}).items()}
    return Labelling.of(agents, pure, labels["private"], strict=labels.get("strict") is True, tags=tags)


@lru_cache(maxsize=16)
def _agent_labels(written: bytes) -> Mapping[str, AgentLabels]:
    """The labels of the agents of a worker, by the JSON that all runs of it have of them."""
    return {name: AgentLabels.read(labels) for name, labels in json.loads(written).items()}
