"""What a run in memory has around it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from perdure.agents.agent import Agent, Send
from perdure.agents.filters import AgentFilter
from perdure.agents.label_facts import authority_of
from perdure.engine.granting.authority import Authority
from perdure.engine.messages import RunAgent
from perdure.engine.state import Observer
from perdure.lineage.recall import Recall
from perdure.memory.human_tasks import Ask
from perdure.net.call_secrets import NO_SECRETS, CallSecrets
from perdure.policy.grant import Grant
from perdure.protocol.journal import RunJournal
from perdure.settings import Settings
from perdure.settings.policy_file import PolicyFile


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryEnvironment:
    """What a run in memory has around it, besides its graph and agents.

    `console` shows the lines of nodes and agents, `observe` is called for every change of a node's
    state, `ask` answers the nodes that wait for a person (without it they fail), `filters` wrap
    the agents, `local_models` returns the base URL of models on this machine, and `stream` receives
    what agents stream, with the number of the attempt. `journal` hears of what happens, and `recall` answers
    calls from the record of another run. `send` sends events to other runs (perdure.memory.post).
    """

    settings: Settings = field(default_factory=Settings.from_env)
    console: Callable[[str], None] = print
    observe: Observer | None = None
    ask: Ask | None = None
    filters: Sequence[AgentFilter] = ()
    local_models: Callable[[], Awaitable[str]] | None = None
    stream: Callable[[RunAgent, int, str], Awaitable[None]] | None = None
    journal: RunJournal | None = None
    recall: Recall | None = None
    send: Send | None = None

    def authority(self, agents: Mapping[str, Agent]) -> Authority:
        """What a run with these agents may do, by the policy that the settings name.

        Raises GraphError for a policy that is wrong.
        """
        return authority_of(agents, self.settings, PolicyFile(self.settings.policy).current())

    def secrets(self, agent: str, grant: Grant) -> CallSecrets:
        """The secrets that a call of `agent` with this grant may use."""
        policy = PolicyFile(self.settings.policy).current()
        return NO_SECRETS if policy is None else CallSecrets(agent, policy.secrets, grant)
