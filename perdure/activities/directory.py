"""What a worker says of itself to the runs that it begins."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from perdure.activities.segment import Segment
from perdure.agents.agent import Agent
from perdure.agents.filters import AgentFilter
from perdure.agents.label_facts import labels_record
from perdure.engine.fuel import MAX_EVENT_STEP_COUNT
from perdure.engine.plan_cache import agents_named, plan_of
from perdure.graph.values import Value
from perdure.policy.parse import Policy
from perdure.protocol.agents import AgentRegistry
from perdure.protocol.payloads import FirstSegmentRequest
from perdure.protocol.records import to_lean, to_plain
from perdure.settings import Settings

CURRENT_RULES: Final = (
    "asks_queues",
    "keys_by_work",
    "times_questions",
    "strict_json",
    "orders_locals",
    "takes_in_turn",
    "recalls",
    "paces_reruns",
    "quorums",
    "carries",
    "foresees",
    "foresees_rows",
    "foresees_open",
    "keeps_in_turn",
    "bounds_inputs",
    "weighs",
    "moves_rows",
    "numbers_notices",
    "eager_sessions",
    "grants",
)
"""What runs that begin now do differently from those of earlier versions (AgentRegistry)."""


def registry_of_agents(agents: Collection[Agent]) -> AgentRegistry:
    """The agents, by what they are."""
    return AgentRegistry(
        pure=sorted(agent.name for agent in agents if agent.pure),
        others=sorted(agent.name for agent in agents if not (agent.pure or agent.human or agent.waits)),
        human=sorted(agent.name for agent in agents if agent.human),
        waits=sorted(agent.name for agent in agents if agent.waits),
        unreused=sorted(agent.name for agent in agents if not agent.reuse),
    )


@dataclass(slots=True)
class WorkerRegistry:
    """What one worker says of itself: put together once, and again for another queue or policy."""

    _made: AgentRegistry | None = None
    _of: tuple[str, Policy | None] = ("", None)

    def of_run(
        self,
        agents: Collection[Agent],
        settings: Settings,
        filters: Sequence[AgentFilter],
        own_queue: str,
        has_store: bool,
        policy: Policy | None,
        profile: Mapping[str, Value] | None,
    ) -> AgentRegistry:
        """The agents of the worker of `own_queue`, and how a run calls them that has this `profile`."""
        queue, made_of = self._of
        if self._made is None or queue != own_queue or made_of is not policy:
            self._made = _registry_of(agents, settings, filters, own_queue, has_store, policy)
            self._of = own_queue, policy
        return self._made if profile is None else replace(self._made, profile=profile)


def _registry_of(
    agents: Collection[Agent],
    settings: Settings,
    filters: Sequence[AgentFilter],
    own_queue: str,
    has_store: bool,
    policy: Policy | None,
) -> AgentRegistry:
    return replace(
        registry_of_agents(agents),
        queues={agent.name: agent.queue for agent in agents if agent.queue},
        allowed_queues=[settings.queue, *settings.queues],
        own_queue=own_queue,
        local_activities=settings.local_activities,
        store=has_store,
        filters=[to_plain(one.scope) for one in filters],
        event_steps=MAX_EVENT_STEP_COUNT,
        **dict.fromkeys(CURRENT_RULES, True),
        agent_wait=settings.agent_wait,
        channels=sorted(settings.notify),
        page=settings.ui_url,
        labels=labels_record(agents, settings, policy),
    )


def registry_with_code(agents: Mapping[str, Agent]) -> AgentRegistry:
    """What a plan has to know of agents that no worker offers yet."""
    code = {name: digest for name, agent in agents.items() if (digest := agent.code_digest)}
    return replace(registry_of_agents(agents.values()), code=code)


def begun(
    agents: Mapping[str, Agent], segment: Segment, request: FirstSegmentRequest, registry: AgentRegistry
) -> AgentRegistry:
    """Compiles the graph of a run, which may take longer than a workflow has, and plays it ahead."""
    with suppress(Exception):  # the run itself reports what is wrong with the graph
        document, graphs = request.request["document"], request.request.get("graphs")
        registry = replace(registry, code=code_of(agents, agents_named(document, graphs)))
        if not request.continues:
            return replace(registry, first=to_lean(segment.begin(request, registry)))
        plan_of(document, graphs)
    return registry


def code_of(agents: Mapping[str, Agent], names: Iterable[str]) -> dict[str, str]:
    """The digests of the agents of these names, as far as there are any."""
    digests = {name: agents[name].code_digest for name in names if name in agents}
    return {name: digest for name, digest in digests.items() if digest}
