"""What the calls and graphs of a run are allowed, by the policy of its worker and by the graph itself.

A run begins with the grant of its profile, and every graph in it with what is left of the grant around it:
its node may say `allow`, and the graph `metadata.needs`. A call is looked at before anything is sent, so a
refusal has no effect. The worker that executes the call looks at it again, by the policy that it has then
(perdure.activities.gate): what is decided here follows from the history alone, and may be out of date.

A graph that is data
    Where a grant holds, a graph by reference may call pure agents only, unless its node says `allow`: it may
    come from a model, and who wrote the node did not see it.

The graphs of toolsAgent
    They name agents by reference, for which the engine has its own rule: only tools that are offered. So
    `dynamic` does not hold inside them. The agents that they call are looked at as all others are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from perdure.engine.granting.budgets import open_ledgers
from perdure.engine.granting.prices import Prices
from perdure.engine.graph_agents import GRAPH_AGENTS
from perdure.engine.labelling.flows import NO_FLOWS, Entry
from perdure.engine.labelling.rules import Call, Labelling, is_confidential
from perdure.engine.plan import ComputedPlan, Plan
from perdure.engine.state import GraphRun
from perdure.errors import NotGranted
from perdure.graph.reference import Reference
from perdure.graph.values import Value
from perdure.policy.approvals import Approvers
from perdure.policy.budgets import Budget
from perdure.policy.grant import AGENT, APPROVED, GRAPH, ONLY_PURE, Grant, meet, with_any_choice
from perdure.policy.labels import ASKS_MODEL, SENDS, SHIPPED_LABELS, UNTRUSTED_DATA

MAX_SHOWN_GRANT_COUNT: Final = 8
"""Names that a refusal mentions of those that are allowed."""


@dataclass(frozen=True, slots=True)
class _Passed:
    """The agents that plain nodes may call by a grant, as far as they were asked for, and how it is sent."""

    grant: Grant
    written: Mapping[str, Value]
    agents: set[str] = field(default_factory=set[str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """What holds for all graphs of a run.

    `grant` is that of the `profile`, None without a policy; PURE stands for the agents `pure` and for those
    of the engine, `own`; `queue` is the run's own. Without `counts`, in runs of earlier versions, nothing is
    refused, whatever their graphs say. Where the profile `asks`, people decide on what is refused; on agents
    that it does not list only with `asks_for_agents`. `budget` is that of the profile, and `prices` are those
    of models.
    """

    profile: str = ""
    grant: Grant | None = None
    pure: frozenset[str] = frozenset()
    own: frozenset[str] = frozenset()
    queue: str | None = None
    counts: bool = False
    labelling: Labelling | None = None
    asks: Approvers | None = None
    asks_for_agents: bool = False
    budget: Budget | None = None
    prices: Prices = field(default_factory=Prices)
    _passed: dict[int, _Passed] = field(
        default_factory=dict[int, _Passed], init=False, compare=False, repr=False
    )

    def enter(self, run: GraphRun, runs: Mapping[int, GraphRun]) -> None:
        """Gives a graph its grant and the labels of its data: they follow from the `runs` around it."""
        if run.parent is None:
            self.begin(run)
            return
        number, name = run.parent
        outer, nested = runs[number], runs[number].nodes[name].nested
        agent = "mapAgent" if nested is None else nested.agent  # of a late row, between two passes
        self.begin_inside(run, outer, name, agent)

    def begin(self, run: GraphRun) -> None:
        """The same for the graph of the run."""
        if self.counts:
            entry = Entry(by_name=dict.fromkeys(run.values, frozenset[str]()))
            run.grant = _narrowed(self.grant, run.plan.needs)
            open_ledgers(run, None, "", self.budget)
            run.flows = NO_FLOWS if self.labelling is None else self.labelling.flows(run.plan, entry)

    def begin_inside(self, run: GraphRun, outer: GraphRun, name: str, agent: str) -> None:
        """The same for a graph that `agent` runs for the node `name` of another one."""
        if self.counts:
            run.grant = self._inside(outer, name, agent, run.plan)
            if self.labelling is not None:
                run.flows = self.labelling.inside(outer.flows, outer.plan, name, agent, run.plan)
            self._open_budgets(run, outer, name)

    def begin_next_to(self, run: GraphRun, other: GraphRun, outer: GraphRun, name: str) -> None:
        """The same next to another graph of the same plan, inside the same node."""
        run.grant, run.flows = other.grant, other.flows
        self._open_budgets(run, outer, name)

    def _open_budgets(self, run: GraphRun, outer: GraphRun, name: str) -> None:
        """Gives a graph inside a node of another one its budgets, and those around it."""
        plan = run.plan
        if self.counts and (outer.is_guarded or run.ledgers or plan.has_budgets or plan.needs_budget):
            open_ledgers(run, outer, name, None)

    def _inside(self, run: GraphRun, name: str, agent: str, plan: Plan) -> Grant | None:
        """What a graph of this `plan` may do, that `agent` runs for the node `name` of `run`."""
        node, grant = run.plan.computed[name], run.grant
        if node.allow is not None:
            grant = _narrowed(grant, node.allow)
        elif isinstance(node.graph, Reference) and (grant is not None or self._is_foreign(run, node.graph)):
            grant = _narrowed(grant, ONLY_PURE)
        if grant is not None and GRAPH_AGENTS[agent].document is not None:
            grant = with_any_choice(grant)
        return _narrowed(grant, plan.needs)

    def _is_foreign(self, run: GraphRun, graph: Reference) -> bool:
        """Whether strangers may have written a graph, where that counts."""
        return self.labelling is not None and UNTRUSTED_DATA in run.flows.of([graph])

    def of_call(
        self, run: GraphRun, name: str, agent: str, queue: str | None = None
    ) -> Mapping[str, Value] | None:
        """The grant of the call, as it is sent; None where nothing is restricted. Raises NotGranted.

        `queue` is the task queue that data gave.
        """
        if not self.counts:
            return None
        plan, grant, flow = run.plan.computed[name], run.grant, run.flows.calls.get(name)
        if grant is None and plan.allow is None and flow is None:
            return None
        if grant is None or flow is not None or not plan.is_plain:
            return self._looked_at(run, name, agent, queue)
        passed = self._passed.get(id(grant))
        if passed is None:
            passed = self._passed[id(grant)] = _Passed(grant, grant.written())
        if agent not in passed.agents:
            self._looked_at(run, name, agent, queue)
            passed.agents.add(agent)
        return passed.written

    def _looked_at(
        self, run: GraphRun, name: str, agent: str, queue: str | None
    ) -> Mapping[str, Value] | None:
        plan = run.plan.computed[name]
        queue = queue or plan.options.queue
        if queue == self.queue:
            queue = None
        is_own, place = agent in self.own, run.path_of(name)
        is_pure = queue is None and (is_own or agent in self.pure)
        if run.grant is not None:
            self._check(run.grant, plan, place, agent, queue, is_pure)
        grant = run.grant
        if plan.allow is not None and (not is_own or isinstance(plan.agent, Reference)):
            if not plan.allow.allows_agent(agent, is_pure=is_pure):
                raise self._refusal(
                    plan.allow.refusing("agents", agent, is_pure=is_pure), "agents", place, agent
                )
            grant = _narrowed(run.grant, plan.allow)
        if self.labelling is not None and name in run.flows.calls:
            call = Call(run.plan, name, place, agent, is_pure, self.profile)
            grant = self.labelling.checked(call, run.flows, grant)
        return None if grant is None else grant.written()

    def may_ask(self, run: GraphRun, name: str, agent: str, queue: str | None) -> bool:
        """Whether people may approve a call that was refused: its worker has to agree as well."""
        grant = Grant() if self.grant is None else self.grant
        queue = queue or run.plan.computed[name].options.queue
        is_pure = (queue is None or queue == self.queue) and (agent in self.own or agent in self.pure)
        return self.asks_for_agents or grant.allows_agent(agent, is_pure=is_pure)

    def approved(self, approval: Sequence[str]) -> Mapping[str, Value]:
        """The grant of a call that people have approved: the profile's, for any agent and any data."""
        grant = Grant() if self.grant is None else self.grant
        written = {kind: clauses for kind, clauses in grant.written().items() if kind != "agents"}
        return {**written, APPROVED: list(approval)}

    def use_of(self, agent: str) -> tuple[bool, bool]:
        """Whether an agent asks a model, and whether it is pure: what its calls may use."""
        known = SHIPPED_LABELS if self.labelling is None else self.labelling.facts.agents
        facts = known.get(agent)
        return facts is not None and facts.effect == ASKS_MODEL, agent in self.pure

    def sends_private(self, run: GraphRun, name: str) -> bool:
        """Whether a call of the node sends private data, which its worker allows for some hosts only."""
        flow, agent = run.flows.calls.get(name), run.plan.computed[name].agent
        if flow is None or self.labelling is None or not isinstance(agent, str):
            return False
        facts = self.labelling.facts.agents.get(agent)
        return facts is not None and facts.effect == SENDS and is_confidential(flow.inputs)

    def labels_of(self, run: GraphRun, name: str) -> list[Value]:
        """The labels of the data that reaches a call of the node."""
        flow = run.flows.calls.get(name)
        return [] if flow is None else sorted(flow.inputs | (flow.chooser or frozenset()))

    def _check(
        self, grant: Grant, plan: ComputedPlan, place: str, agent: str, queue: str | None, is_pure: bool
    ) -> None:
        """Raises NotGranted where the grant of a graph does not allow a call of one of its nodes."""
        if not grant.allows_agent(agent, is_pure=is_pure):
            raise self._refusal(grant.refusing("agents", agent, is_pure=is_pure), "agents", place, agent)
        if queue is not None and not grant.allows("queues", queue):
            raise self._refusal(grant.refusing("queues", queue), "queues", place, queue)
        for choice, value in ((AGENT, plan.agent), (GRAPH, plan.graph if agent in self.own else None)):
            if isinstance(value, Reference):
                self._check_choice(grant, choice, place)

    def check_choice(self, run: GraphRun, name: str, choice: str) -> None:
        """Raises NotGranted where data may not choose this for a node, whatever it chooses."""
        if self.counts and run.grant is not None:
            self._check_choice(run.grant, choice, run.path_of(name))

    def _check_choice(self, grant: Grant, choice: str, place: str) -> None:
        if not grant.allows("dynamic", choice):
            raise self._refusal(grant.refusing("dynamic", choice), "dynamic", place, choice)

    def _refusal(self, clause: frozenset[str], kind: str, place: str, name: str) -> NotGranted:
        is_of_profile = self.grant is not None and clause in getattr(self.grant, kind)
        return refusal(place, kind, name, clause, self.profile if is_of_profile else "")


def _narrowed(grant: Grant | None, by: Grant | None) -> Grant | None:
    return grant if by is None else by if grant is None else meet(grant, by)


def refusal(place: str, kind: str, name: str, clause: frozenset[str], profile: str) -> NotGranted:
    """Why the node at `place` is refused something of this `kind`: `clause` does not have its `name`.

    The clause is one of the `profile`, "" for one of the graph.
    """
    where = f"profiles.{profile}.{kind} in the policy of the worker" if profile else _IN_GRAPH
    return NotGranted(
        f"{place}: {_finding(kind, name, clause)}", hint=f"where that is meant, add it to {where}"
    )


def not_granted(kind: str, name: str, clause: frozenset[str]) -> NotGranted:
    """The same for an agent that is refused a host or a file, whatever the clause comes from."""
    where = f"`{kind}` in the policy of the worker, and to {_IN_GRAPH}"
    return NotGranted(_finding(kind, name, clause), hint=f"where that is meant, add it to {where}")


def _finding(kind: str, name: str, clause: frozenset[str]) -> str:
    allowed = sorted(clause)
    more = f" and {len(allowed) - MAX_SHOWN_GRANT_COUNT} more" if len(allowed) > MAX_SHOWN_GRANT_COUNT else ""
    shown = (", ".join(allowed[:MAX_SHOWN_GRANT_COUNT]) or "none") + more
    return f"not granted: {_WHAT[kind].format(name)} (allowed: {shown})"


_IN_GRAPH: Final = "`allow` of the node, or of the node around it, or to `metadata.needs`"
_WHAT: Final = {
    "agents": "the agent {!r}",
    "queues": "the task queue {!r}",
    "dynamic": "that data chooses the {}",
    "hosts": "the host {!r}",
    "reads": "to read {!r}",
    "writes": "to write {!r}",
    "secrets": "the secret {!r}",
}
