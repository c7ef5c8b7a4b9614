"""What a policy says of the nodes of a graph before it runs: the same decisions, as far as they are known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from perdure.engine.granting.authority import Authority
from perdure.engine.graph_agents import GRAPH_AGENTS
from perdure.engine.plan import Plan
from perdure.engine.plan_cache import checked_plan
from perdure.engine.resolved_values import ResolvedValues
from perdure.engine.state import Clock, GraphRun
from perdure.errors import GraphError, NotGranted, Problem
from perdure.graph.check import modernized
from perdure.graph.javascript import to_string
from perdure.graph.nested import with_inputs
from perdure.graph.reference import Reference
from perdure.graph.text.document import Document
from perdure.graph.values import Value, is_dict
from perdure.policy.grant import AGENT

Verdict = Literal["allowed", "asks", "refused", "at run time"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is known of one node: its path, the agent that it names, the verdict, why, and what would help."""

    place: str
    agent: str
    verdict: Verdict
    why: str = ""
    hint: str = ""


def judged(document: Mapping[str, Value], authority: Authority) -> list[Judgement]:
    """What is known of all computed nodes, those of graphs inside them too. Raises GraphError."""
    plan = checked_plan(document, None, None)
    run = _run(plan, "")
    authority.begin(run)
    return [*_of_graph(run, authority)]


def refusals(document: Document, authority: Authority) -> Iterator[Problem]:
    """Warnings of a document that the checks accept: what will be refused, whatever data comes."""
    for row in judged(modernized(document.data), authority):
        if row.verdict == "refused":
            place = f"nodes.{row.place.replace('.', '.graph.nodes.')}"
            line, column = document.position(place.split(".")) or (None, None)
            yield Problem("not-granted", place, f"refused: {row.why}", row.hint, line, column)


def _run(plan: Plan, path: str) -> GraphRun:
    run = GraphRun(id=1, plan=plan, clock=Clock(), resolved=ResolvedValues(), path=path)
    run.renew()
    return run


def _of_graph(run: GraphRun, authority: Authority) -> Iterator[Judgement]:
    for name, plan in run.plan.computed.items():
        place = run.path_of(name)
        agent = plan.agent if isinstance(plan.agent, str) else to_string(_agent_of(run, name))
        is_own = agent in authority.own
        try:
            if isinstance(plan.agent, str):
                authority.of_call(run, name, agent)
            else:
                authority.check_choice(run, name, AGENT)
        except NotGranted as error:
            why = error.finding.removeprefix(f"{place}: not granted: ")
            asks = authority.asks is not None and authority.may_ask(run, name, agent, None)
            yield Judgement(place, agent, "asks" if asks else "refused", why, error.hint)
            continue
        by_data = [
            what
            for what, is_data in (
                ("agent", not isinstance(plan.agent, str)),
                ("task queue", plan.queue is not None or plan.hedge_queue is not None),
                ("graph", is_own and isinstance(plan.graph, Reference)),
                ("tools", is_own and bool(GRAPH_AGENTS[agent].needs)),
            )
            if is_data
        ]
        why = f"data chooses the {' and the '.join(by_data)}" if by_data else ""
        yield Judgement(place, agent, "at run time" if by_data else "allowed", why)
        if is_own and is_dict(plan.graph):
            yield from _inside(run, name, agent, plan.graph, authority)


def _agent_of(run: GraphRun, name: str) -> Value:
    return run.plan.document["nodes"][name]["agent"]


def _inside(
    run: GraphRun, name: str, agent: str, graph: Mapping[str, Value], authority: Authority
) -> Iterator[Judgement]:
    document = with_inputs({**run.plan.document["nodes"][name], "graph": graph})
    try:
        plan = checked_plan(document, None, None)
    except GraphError:  # its node would fail
        return
    inner = _run(plan, f"{run.path_of(name)}.")
    authority.begin_inside(inner, run, name, agent)
    yield from _of_graph(inner, authority)
