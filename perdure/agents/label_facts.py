"""What runs need to know of their worker about data: the labels of its agents, and where private data may go.

Runs in memory, and checks before a run, take the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from perdure.agents.agent import Agent
from perdure.engine.granting.authority import Authority
from perdure.engine.granting.prices import Prices
from perdure.engine.graph_agents import GRAPH_AGENTS
from perdure.policy.labels import MODELS, PERSON, SHIPPED_LABELS, AgentLabels
from perdure.policy.parse import Policy
from perdure.protocol.authorities import labelling_of
from perdure.settings import Settings
from perdure.settings.price_file import read_price_file


def labels_of(agent: Agent, stated: Mapping[str, AgentLabels]) -> AgentLabels | None:
    """Those of the policy, else those that the agent declares, else those of the shipped one of its name."""
    labels = stated.get(agent.name) or agent.labels or SHIPPED_LABELS.get(agent.name)
    return PERSON if labels is None and agent.human else labels


def labels_record(
    agents: Iterable[Agent], settings: Settings, policy: Policy | None
) -> dict[str, Any] | None:
    """The labels of these agents as plain data; None where graphs are trusted with all data.

    `private` are the places where private data may go without a policy, null where a policy says it; `strict`
    says that labels follow conditions.
    """
    has_profile = policy is not None and policy.grant is not None
    if settings.trust_graphs and not has_profile:
        return None
    stated: Mapping[str, AgentLabels] = {} if policy is None else policy.agents
    known = {agent.name: labels_of(agent, stated) for agent in agents}
    private = sorted({MODELS, *(_host(entry) for entry in settings.allow_hosts)})
    strict = {"strict": True} if policy is not None and policy.profile in policy.strict else {}
    tags = {} if policy is None else {name: sorted(places) for name, places in policy.tags.items()}
    return {
        **strict,
        **({"tags": tags} if tags else {}),
        "agents": {name: labels.written() for name, labels in sorted(known.items()) if labels is not None},
        "private": None if has_profile else private,
    }


def authority_of(agents: Mapping[str, Agent], settings: Settings, policy: Policy | None) -> Authority:
    """What a run with these agents may do in this process."""
    pure = frozenset(name for name, agent in agents.items() if agent.pure)
    return Authority(
        profile="" if policy is None else policy.profile,
        grant=None if policy is None else policy.grant,
        pure=pure,
        own=frozenset(GRAPH_AGENTS).difference(agents),
        queue=settings.queue,
        counts=True,
        labelling=labelling_of(labels_record(agents.values(), settings, policy), pure),
        asks=None if policy is None else policy.asks,
        asks_for_agents=True,
        budget=None if policy is None else policy.budget,
        prices=Prices.read(read_price_file(settings.prices), settings.prices),
    )


def _host(entry: str) -> str:
    """The host of an entry of PERDURE_ALLOW_HOSTS, which may have a port."""
    host, _, port = entry.rpartition(":")
    return (host if host and port.isdecimal() and not host.count(":") else entry).lower().strip("[]")
