"""What labels forbid: two rules, asked before a call is sent.

Trusted actions
    What untrusted data may not decide: inputs that an agent declares `trusted`, and the agent itself, where
    data names it. Pure agents have no effect, so any data may name them.

Permitted flows
    Private data goes to agents that send it, or ask a model, only where a list of places has that. Which host
    it will be is often known only when the request is written, after redirects. So the call is
    sent with a grant of these hosts, and the worker refuses all others (perdure.net.egress).

Without a policy, the text of a graph and the inputs of its run are trusted, private data may go to the
worker's own models and to the hosts that its operator lists, and data names no agent that reaches hosts or
files: these have lists of their own, in which names from data do not appear.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from perdure.engine.labelling.flows import Entry, Facts, Flow, Flows, Labels, entry_of, flows_of
from perdure.engine.plan import Plan
from perdure.errors import NotGranted
from perdure.policy.grant import ANY, Clauses, Grant, meet
from perdure.policy.labels import (
    ASKS_MODEL,
    MODELS,
    PRIVATE_DATA,
    REACHING,
    READS,
    SENDS,
    TAG_MARK,
    UNTRUSTED_DATA,
    WRITES,
    AgentLabels,
)

KEPT_FLOWS_COUNT: Final = 1_000
"""Graphs whose labels are kept: all rows of a map have the same."""

_DOES: Final = {SENDS: "sends data to hosts", READS: "reads files", WRITES: "writes files"}


def is_confidential(labels: Labels) -> bool:
    """Whether data of these labels may not go everywhere."""
    return not labels <= {UNTRUSTED_DATA}


@dataclass(frozen=True, slots=True)
class Call:
    """A call that is looked at: the node `name` of a graph of this `plan`, at `place` in the run."""

    plan: Plan
    name: str
    place: str
    agent: str
    is_pure: bool
    profile: str


@dataclass(frozen=True, slots=True)
class Labelling:
    """Follows labels by the `facts` of the agents.

    `private` are the places for private data where no policy holds, None where one does: then it says. `tags`
    are the places for data of each tag; of others there is no place.
    """

    facts: Facts
    private: frozenset[str] | None = None
    tags: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    _kept: dict[tuple[object, ...], tuple[object, Flows]] = field(
        default_factory=dict[tuple[object, ...], tuple[object, Flows]], compare=False, repr=False
    )

    @classmethod
    def of(
        cls,
        agents: Mapping[str, AgentLabels],
        pure: Iterable[str],
        private: Iterable[str] | None,
        *,
        strict: bool = False,
        tags: Mapping[str, frozenset[str]] | None = None,
    ) -> Labelling:
        """The rules for a run with these agents; `strict` ones follow conditions."""
        facts = Facts(agents, strict=strict, names_reach=private is None, pure=frozenset(pure))
        return cls(facts, None if private is None else frozenset(private), tags or {})

    @property
    def kept_count(self) -> int:
        """How many graphs have their labels kept."""
        return len(self._kept)

    def flows(self, plan: Plan, entry: Entry) -> Flows:
        """The labels of a graph that begins with these."""
        return flows_of(plan, entry, self.facts)

    def inside(self, outer: Flows, plan: Plan, name: str, agent: str, inner: Plan) -> Flows:
        """The labels of a graph of the plan `inner`, that `agent` runs for a node of `plan`."""
        key = (id(outer), id(plan), name, agent, id(inner))
        kept = self._kept.get(key)
        if kept is None:
            if len(self._kept) >= KEPT_FLOWS_COUNT:
                self._kept.clear()
            flows = flows_of(inner, entry_of(outer, plan, name, agent, self.facts), self.facts)
            # What the key names by its id is held, so that nothing else has that id.
            kept = self._kept[key] = ((outer, plan, inner), flows)
        return kept[1]

    def checked(self, call: Call, flows: Flows, grant: Grant | None) -> Grant | None:
        """The grant of a call, narrowed to the hosts where its data may go. Raises NotGranted."""
        flow = flows.calls[call.name]
        self._check_choice(call, flow, flows)
        facts = self.facts.agents.get(call.agent)
        if facts is None:
            return grant
        untrusted = [
            key for key in facts.trusted if key in flow.untrusted or not flow.untrusted.isdisjoint("*")
        ]
        if untrusted:
            finding = f"that untrusted data sets {untrusted[0]!r} of {call.agent}"
            raise self._refused(call, finding, UNTRUSTED_DATA, flows, _TRUSTED_HINT)
        if facts.effect not in (SENDS, ASKS_MODEL) or not is_confidential(flow.inputs):
            return grant
        for label in sorted(flow.inputs.difference([UNTRUSTED_DATA])):
            grant = self._to_places(call, facts, flows, grant, label)
        return grant

    def _check_choice(self, call: Call, flow: Flow, flows: Flows) -> None:
        """Data that names an agent, where no policy and no `allow` says which."""
        node = call.plan.computed[call.name]
        if self.private is None or flow.chooser is None or flow.offered or call.is_pure or node.allow:
            return
        hint = f"name the agent in the graph, or add allow: {{agents: [{call.agent}]}} to the node"
        if UNTRUSTED_DATA in flow.chooser:
            raise self._refused(
                call, f"that untrusted data names the agent {call.agent!r}", UNTRUSTED_DATA, flows, hint
            )
        facts = self.facts.agents.get(call.agent)
        if facts is not None and facts.effect in REACHING:
            finding = f"that data names the agent {call.agent!r}, which {_DOES[facts.effect]}"
            raise NotGranted(f"{call.place}: not granted: {finding}", hint=hint)

    def _to_places(
        self, call: Call, facts: AgentLabels, flows: Flows, grant: Grant | None, label: str
    ) -> Grant | None:
        is_tag = label != PRIVATE_DATA
        data = f"data of the tag {label.removeprefix(TAG_MARK)!r}" if is_tag else "private data"
        for places in [self.tags.get(label, frozenset[str]())] if is_tag else self._places(grant):
            if ANY in places:
                continue
            hosts = places - {MODELS}
            if facts.effect == ASKS_MODEL and MODELS not in places:
                finding = f"that {call.agent} gives {data} to a model"
                raise self._refused(call, finding, label, flows, self._hint(call, repr(MODELS), label))
            if facts.effect == SENDS and not hosts:
                finding = f"that {call.agent} sends {data}"
                raise self._refused(call, finding, label, flows, self._hint(call, "its host", label))
            only = Grant(hosts=frozenset([hosts]))
            grant = only if grant is None else meet(grant, only)
        return grant

    def _places(self, grant: Grant | None) -> Clauses:
        own = frozenset[frozenset[str]]() if self.private is None else frozenset([self.private])
        return own if grant is None else own | grant.private

    def _hint(self, call: Call, place: str, label: str) -> str:
        if label != PRIVATE_DATA:
            where = f"tags.{label.removeprefix(TAG_MARK)} in the policy of the worker"
            return f"where that is meant, add {place} to {where}"
        if self.private is not None:
            return (
                "where that is meant, list its host in PERDURE_ALLOW_HOSTS of the worker, "
                "or give the worker a policy"
            )
        where = (
            f"profiles.{call.profile}.private in the policy of the worker" if call.profile else "its policy"
        )
        return f"where that is meant, add {place} to {where}, and to `private` of each `allow` on the way"

    def _refused(self, call: Call, finding: str, label: str, flows: Flows, hint: str) -> NotGranted:
        node = call.plan.computed[call.name]
        single = () if isinstance(node.agent, str) else (node.agent,)
        names = dict.fromkeys(
            one.node
            for one in (*node.inputs.references, *single)
            if label in flows.labels.get(one.node, frozenset())
        )
        origin = f" (from {', '.join(list(names)[:MAX_SHOWN_ORIGIN_COUNT])})" if names else ""
        return NotGranted(f"{call.place}: not granted: {finding}{origin}", hint=hint)


MAX_SHOWN_ORIGIN_COUNT: Final = 5
"""Nodes that a refusal mentions of those that the data comes from."""

_TRUSTED_HINT: Final = "take it from the text of the graph, or let a person decide with humanInputAgent"
