"""Where the data of each node comes from: labels that follow the wiring of a graph, before it runs.

Why before
    Who refers to whom is in the text of a graph. So labels are computed once for each plan, and not for each
    value: nodes without a label cost nothing while they run, and a replay finds the same.

Invariants
    A node's label is at least that of all that its inputs, `passThrough`, `fallback`, agent and graph refer
    to, and of what its agent gives. Where data decides what runs, it is that of all that might run.
    Labels only grow, so the walk ends.

`if`, `unless` and `while`
    That a node runs says something of its condition, though its result does not hold it. Where the rules are
    `strict`, the labels of a condition are those of all that depends on it: of the node, of the graph in it,
    of what the loop repeats. Otherwise they are not followed: much that is harmless would be refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

from perdure.engine.graph_agents import GRAPH_AGENTS
from perdure.engine.plan import ComputedPlan, Plan
from perdure.graph.nested import every_node
from perdure.graph.reference import Reference
from perdure.graph.template_compiler import references_in
from perdure.graph.values import Value, is_dict, is_list
from perdure.policy.grant import Grant
from perdure.policy.labels import REACHING, UNTRUSTED_DATA, AgentLabels

Labels: TypeAlias = frozenset[str]

_NONE: Final[Labels] = frozenset()
_FOREIGN: Final[Labels] = frozenset({UNTRUSTED_DATA})

_TOOL_INPUT: Final = "arg"
"""The input of a tool that holds all that the model says."""


@dataclass(frozen=True, slots=True)
class Flow:
    """What reaches one call: the labels of its `inputs`, and the inputs that `untrusted` data sets.

    `chooser` are the labels of what names its agent, None where the text of the graph does. Tools are
    `offered`: the engine has chosen them among those of the node.
    """

    inputs: Labels = _NONE
    chooser: Labels | None = None
    untrusted: frozenset[str] = frozenset()
    offered: bool = False


@dataclass(frozen=True, slots=True)
class Flows:
    """The labels of the results of one graph, of nodes that have some, and the calls to be looked at.

    `tools` are those of what tools may give, None outside of the graphs of toolsAgent.
    """

    labels: Mapping[str, Labels] = field(default_factory=dict[str, Labels])
    calls: Mapping[str, Flow] = field(default_factory=dict[str, Flow])
    tools: Labels | None = None

    def of(self, references: Iterable[Reference]) -> Labels:
        """The labels of all that these refer to."""
        return _joined(self.labels.get(one.node, _NONE) for one in references)


NO_FLOWS: Final = Flows()


@dataclass(frozen=True, slots=True)
class Entry:
    """What a graph begins with: the labels of its own `text`, of all static nodes, of some by name.

    Those of toolsAgent have `tools`: the labels of what these may give.
    """

    text: Labels = _NONE
    statics: Labels = _NONE
    by_name: Mapping[str, Labels] = field(default_factory=dict[str, Labels])
    tools: Labels | None = None

    @property
    def is_plain(self) -> bool:
        """Whether it begins without labels."""
        return not (self.text or self.statics or any(self.by_name.values()))


@dataclass(frozen=True, slots=True)
class Facts:
    """The labels of the agents of a run.

    Without `names_reach`, data may not name agents that reach hosts and files: so what an agent gives that
    data names has no labels of those. `strict` ones follow conditions.
    """

    agents: Mapping[str, AgentLabels]
    strict: bool = False
    names_reach: bool = True
    pure: frozenset[str] = frozenset()

    def gives(self, name: str) -> Labels:
        """The labels of the results of an agent."""
        known = self.agents.get(name)
        return _NONE if known is None else frozenset(known.gives)

    def of_any(self, allow: Grant | None = None, *, reach: bool = True) -> Labels:
        """The labels of what some agent may give that `allow` does, None for all."""
        return _FOREIGN | _joined(
            frozenset(known.gives)
            for name, known in self.agents.items()
            if (reach or known.effect not in REACHING)
            and (allow is None or allow.allows_agent(name, is_pure=name in self.pure))
        )


def flows_of(plan: Plan, entry: Entry, facts: Facts) -> Flows:
    """The labels of the nodes of a plan, and what reaches those of its calls that labels matter to."""
    if entry.is_plain and not _has_sources(plan, facts):
        return NO_FLOWS
    flows = Flows(_spread(plan, entry, facts), tools=entry.tools)
    calls: dict[str, Flow] = {}
    for name, node in plan.computed.items():
        is_named = isinstance(node.agent, str)
        if is_named and node.agent not in facts.agents:
            continue
        trusts = not is_named or bool(facts.agents[str(node.agent)].trusted)
        around = entry.text | flows.of(_conditions(plan, node, facts))
        calls[name] = Flow(
            inputs=flows.of(node.inputs.references) | around,
            chooser=None if isinstance(node.agent, str) else flows.of([node.agent]) | around,
            untrusted=_untrusted_inputs(plan, name, flows, around, entry.tools) if trusts else frozenset(),
            offered=entry.tools is not None,
        )
    return replace(flows, calls=calls)


def _conditions(plan: Plan, node: ComputedPlan, facts: Facts) -> list[Reference]:
    """What decides whether a node runs, where that counts."""
    deciding = (node.condition, node.unless, plan.loop_while) if facts.strict else ()
    return [one for one in deciding if one is not None]


def entry_of(flows: Flows, plan: Plan, name: str, agent: str, facts: Facts) -> Entry:
    """What the graphs inside a node begin with, that `agent` runs."""
    node, kind, raw = plan.computed[name], GRAPH_AGENTS[agent], _raw_inputs(plan, name)
    tools = flows.labels.get(name, _FOREIGN) if kind.needs else flows.tools
    text = flows.of([node.graph]) if isinstance(node.graph, Reference) else _NONE
    text |= flows.of(_conditions(plan, node, facts))
    if not is_dict(raw):
        return Entry(text, flows.of(node.inputs.references), tools=tools)
    of_inputs = {key: flows.of(references_in(value)) for key, value in raw.items()} if flows.labels else {}
    if kind.rows and "rows" in of_inputs:
        of_inputs[_row_key(node)] = of_inputs.pop("rows")
    return Entry(text, by_name=of_inputs, tools=tools)


def _row_key(node: ComputedPlan) -> str:
    key = node.params.get("rowKey")
    return key if isinstance(key, str) and key else "row"


def _has_sources(plan: Plan, facts: Facts) -> bool:
    """Whether any label can arise in this graph, or any call must be looked at."""
    known = facts.agents
    for node in plan.computed.values():
        agent = node.agent
        if not isinstance(agent, str) or agent in known or agent in GRAPH_AGENTS:
            return True
    return False


def _spread(plan: Plan, entry: Entry, facts: Facts) -> dict[str, Labels]:
    """The labels of all nodes that have some: from those that give them, along the references."""
    labels: dict[str, Labels] = {}
    targets: dict[str, list[str]] = {}
    for name in plan.statics:
        labels[name] = entry.by_name.get(name, entry.statics) | entry.text
    for name, static in plan.statics.items():
        if static.update is not None:
            targets.setdefault(static.update.node, []).append(name)
    for name, node in plan.computed.items():
        labels[name] = _own(plan, node, name, entry, facts) | entry.text
        read = () if _endorses(node, facts) else _references(node)
        for reference in (*read, *_conditions(plan, node, facts)):
            targets.setdefault(reference.node, []).append(name)
    todo = [name for name, labelled in labels.items() if labelled]
    while todo:
        source = todo.pop()
        for target in targets.get(source, ()):
            joined = labels.get(target, _NONE) | labels[source]
            if joined != labels.get(target, _NONE):
                labels[target] = joined
                todo.append(target)
    return {name: labelled for name, labelled in labels.items() if labelled}


def _endorses(node: ComputedPlan, facts: Facts) -> bool:
    known = facts.agents.get(node.agent) if isinstance(node.agent, str) else None
    return known is not None and known.endorses


def _references(node: ComputedPlan) -> Iterator[Reference]:
    for template in (node.inputs, node.pass_through, node.fallback):
        if template is not None:
            yield from template.references
    for single in (node.agent, node.graph):
        if isinstance(single, Reference):
            yield single


def _own(plan: Plan, node: ComputedPlan, name: str, entry: Entry, facts: Facts) -> Labels:
    """The labels that a node's agent, or the graph inside it, adds."""
    if not isinstance(node.agent, str):
        is_free = facts.names_reach or node.allow is not None
        return facts.of_any(node.allow, reach=is_free) if entry.tools is None else entry.tools
    if node.agent in facts.agents or node.agent not in GRAPH_AGENTS:
        return facts.gives(node.agent)
    if GRAPH_AGENTS[node.agent].needs:
        return _of_tools(plan, name, entry, facts)
    graph = _literal(plan, node.graph, entry) if isinstance(node.graph, Reference) else node.graph
    if isinstance(graph, Reference):
        return facts.of_any(node.allow)
    return _of_text(graph, facts)


def _of_text(graph: Value, facts: Facts) -> Labels:
    """The labels of what the agents of a graph, and of those inside it, give."""
    gives: set[str] = set()
    for _, node in every_node(graph):
        agent = node.get("agent")
        if not isinstance(agent, str):
            continue
        known = agent[:1] != ":" and not isinstance(node.get("graph"), str)
        needs_tools = agent in GRAPH_AGENTS and bool(GRAPH_AGENTS[agent].needs)
        gives |= facts.gives(agent) if known and not needs_tools else facts.of_any()
    return frozenset(gives)


def _of_tools(plan: Plan, name: str, entry: Entry, facts: Facts) -> Labels:
    """The labels of what a model says, and of what the tools give that the node offers."""
    raw = _raw_inputs(plan, name)
    offered: Any = raw.get("tools") if is_dict(raw) else None
    references = references_in(offered)
    if references:
        offered = _literal(plan, references[0], entry) if isinstance(offered, str) else references[0]
    if not is_list(offered):
        return facts.of_any() if references else _FOREIGN
    names = (tool.get("function", {}).get("name") for tool in offered if is_dict(tool))
    agents = [str(name).partition("--")[0] for name in names]
    return _FOREIGN | _joined(map(facts.gives, agents))


def _literal(plan: Plan, reference: Reference, entry: Entry) -> Value | Reference:
    """The value that the text of the graph gives a static node, the reference where it is not known."""
    static = plan.statics.get(reference.node)
    is_known = static is not None and static.update is None and not reference.steps
    if static is None or not is_known or reference.node in entry.by_name or entry.statics:
        return reference
    return static.value


def _untrusted_inputs(
    plan: Plan, name: str, flows: Flows, around: Labels, tools: Labels | None
) -> frozenset[str]:
    """The inputs of a node that untrusted data sets; "*" where the inputs as a whole are."""
    raw = _raw_inputs(plan, name)
    if not is_dict(raw):
        refers = UNTRUSTED_DATA in flows.of(plan.computed[name].inputs.references) | around
        return frozenset("*") if refers else frozenset()
    every = UNTRUSTED_DATA in around
    return frozenset(
        "*" if key == _TOOL_INPUT and tools is not None else key
        for key, value in raw.items()
        if every or UNTRUSTED_DATA in flows.of(references_in(value))
    )


def _raw_inputs(plan: Plan, name: str) -> Value:
    return plan.document["nodes"][name].get("inputs") or {}


def _joined(several: Iterable[Labels]) -> Labels:
    return _NONE.union(*several)
