"""The worker's own policy, in front of every call that it executes.

A run decides by the policy of its beginning, which is in its history. Who reaches the task queue need not be
a run, and the operator may have changed the policy since: so the worker looks again, and what it has now
counts. A policy that becomes narrower therefore reaches open runs with their next call.

While the file cannot be read, calls fail for now: nothing is executed, and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from perdure.engine.granting.authority import refusal
from perdure.engine.graph_agents import GRAPH_AGENTS
from perdure.errors import GraphError, TransientError
from perdure.graph.values import Value
from perdure.net.call_secrets import NO_SECRETS, CallSecrets
from perdure.policy.grant import APPROVED, Grant, meet
from perdure.policy.parse import Policy
from perdure.settings.policy_file import PolicyFile


@dataclass(frozen=True, slots=True)
class Gate:
    """Asks the policy in `file`; `pure` are the agents that `@pure` stands for.

    That people have approved a call counts where payloads are signed (`signs`): anybody else could say so.
    """

    file: PolicyFile = field(default_factory=PolicyFile)
    pure: Collection[str] = frozenset()
    signs: bool = False

    def current(self) -> Policy | None:
        """The policy as it is now, None without one. Raises TransientError where it cannot be read."""
        try:
            return self.file.current()
        except GraphError as error:
            finding = f"the policy of this worker cannot be read: {error}"
            raise TransientError(finding, hint="correct the file: the call is repeated") from error

    def policy_for(self, principal: str) -> Policy | None:
        """The policy as it is now for runs that `principal` has started. Raises TransientError likewise."""
        policy = self.current()
        return None if policy is None else policy.for_principal(principal)

    def check(self, agent: str, place: str, granted: Mapping[str, Value] | None, principal: str = "") -> None:
        """Raises NotGranted for a call of `agent` that the policy, or what was `granted`, refuses."""
        policy = self.policy_for(principal)
        if not (granted and granted.get(APPROVED) and self.signs and policy is not None and policy.asks):
            self.check_by(policy, agent, place)
        if granted is not None:
            self._check(Grant.read(granted), agent, place, "")

    def grant(self, granted: Mapping[str, Value] | None, principal: str = "") -> Grant:
        """What a call may do that was `granted` this. Raises TransientError as `current` does."""
        policy = self.policy_for(principal)
        grant = Grant() if granted is None else Grant.read(granted)
        return grant if policy is None or policy.grant is None else meet(policy.grant, grant)

    def secrets(self, agent: str, grant: Grant) -> CallSecrets:
        """The secrets that a call of `agent` with this grant may use. Raises TransientError likewise."""
        policy = self.current()
        return (
            CallSecrets(agent, policy.secrets, grant) if policy is not None and policy.secrets else NO_SECRETS
        )

    def check_by(self, policy: Policy | None, agent: str, place: str) -> None:
        """The same, by a `policy` that was read before."""
        if policy is not None and policy.grant is not None:
            self._check(policy.grant, agent, place, policy.profile)

    def _check(self, grant: Grant, agent: str, place: str, profile: str) -> None:
        is_pure = agent in self.pure or agent in GRAPH_AGENTS
        if not grant.allows_agent(agent, is_pure=is_pure):
            raise refusal(place, "agents", agent, grant.refusing("agents", agent, is_pure=is_pure), profile)
