"""What a worker says of itself to the runs that it begins."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from perdure.agents.agent import Agent
from perdure.agents.filters import AgentFilter
from perdure.agents.label_facts import labels_record
from perdure.engine.fuel import MAX_EVENT_STEP_COUNT
from perdure.policy.parse import Policy
from perdure.protocol.agents import AgentRegistry
from perdure.protocol.records import to_plain
from perdure.settings import Settings


def registry_of(
    agents: Collection[Agent],
    settings: Settings,
    filters: Sequence[AgentFilter],
    own_queue: str,
    has_store: bool,
    policy: Policy | None = None,
) -> AgentRegistry:
    """The agents of the worker of `own_queue`, and the rules by which its runs call them."""
    return AgentRegistry(
        pure=sorted(agent.name for agent in agents if agent.pure),
        others=sorted(agent.name for agent in agents if not (agent.pure or agent.human or agent.waits)),
        human=sorted(agent.name for agent in agents if agent.human),
        waits=sorted(agent.name for agent in agents if agent.waits),
        queues={agent.name: agent.queue for agent in agents if agent.queue},
        allowed_queues=[settings.queue, *settings.queues],
        own_queue=own_queue,
        local_activities=settings.local_activities,
        store=has_store,
        filters=[to_plain(one.scope) for one in filters],
        event_steps=MAX_EVENT_STEP_COUNT,
        asks_queues=True,
        keys_by_work=True,
        times_questions=True,
        strict_json=True,
        orders_locals=True,
        takes_in_turn=True,
        agent_wait=settings.agent_wait,
        recalls=True,
        channels=sorted(settings.notify),
        page=settings.ui_url,
        quorums=True,
        carries=True,
        foresees=True,
        foresees_rows=True,
        grants=True,
        profile=_profile(policy),
        labels=labels_record(agents, settings, policy),
    )


def _profile(policy: Policy | None) -> dict[str, Any] | None:
    if policy is None or policy.grant is None:
        return None
    return {"name": policy.profile, "grant": policy.grant.written(), "digest": policy.digest}
