"""What a person changes about a run, and what the rerun begins with because of it."""

from __future__ import annotations

import copy
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from perdure.engine.graph_agents import GRAPH_AGENTS
from perdure.engine.messages import RunOptions
from perdure.engine.steering.difference import Difference, node_difference
from perdure.errors import UsageError
from perdure.graph.fields import PERSON_AGENTS, is_computed
from perdure.graph.values import Value
from perdure.graph.wording import suggestion
from perdure.lineage.code import CodeByRun
from perdure.lineage.documents import PlacedNode, dependents, placed_nodes, put_at
from perdure.lineage.fingerprint import address_of
from perdure.lineage.record import Entry, Record

_NAME: Final = re.compile(r"([^\[@.]*)([^.]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is different in a rerun; nothing is: what has no result yet is executed.

    Nodes are named by their address (``chapters[].draft``, all rows and passes) or position
    (``chapters[3].draft``); a node with a graph stands for all that is inside.

    `begin_at` are nodes whose calls are executed again. `values` are values of static nodes, and results of
    agents that are not called. `graph` replaces the graph; `renames` maps addresses of nodes in the old
    graph to those in the new one. `params` are params of all nodes of an agent, or of one node, by
    ``AGENT.param`` or ``NODE.param``. `asks_again` are nodes that ask a person again, "*" for all. With
    `force`, whatever depends on a changed node is executed, even if its inputs turn out to be the same. With
    `changed_agents`, agents are called again whose code is another than in the run that has called them.
    """

    begin_at: Sequence[str] = ()
    values: Mapping[str, Value] = field(default_factory=dict[str, Value])
    graph: Mapping[str, Value] | None = None
    renames: Mapping[str, str] = field(default_factory=dict[str, str])
    params: Mapping[str, Value] = field(default_factory=dict[str, Value])
    asks_again: Sequence[str] = ()
    force: bool = False
    changed_agents: bool = False


@dataclass(frozen=True, slots=True)
class Rerun:
    """What a rerun begins with. `dropped` maps addresses of calls that are executed again to the reason.

    `code` has the digests of agents by the run that called them; with `changed_agents` they count.
    """

    document: Mapping[str, Value]
    options: RunOptions
    record: Record
    dropped: Mapping[str, str] = field(default_factory=dict[str, str])
    code: CodeByRun = field(default_factory=dict[str, Mapping[str, str]])
    changed_agents: bool = False


def rerun_of(
    change: Change,
    document: Mapping[str, Value],
    options: RunOptions,
    record: Record,
    begun: Iterable[str] = (),
) -> Rerun:
    """The rerun of a run with this document, options and record, whose values people have set in that run.

    `begun` are the positions that it had, also of calls without an answer. Raises UsageError for a node or a
    position that neither the graph nor the run has, or that cannot be set.
    """
    old = placed_nodes(document)
    edited = _with_params(copy.deepcopy(change.graph or document), change.params)
    nodes = placed_nodes(edited)
    _check_renames(change.renames, old, nodes)
    entries = [_renamed(entry, change.renames) for entry in record.entries]
    positions = dict.fromkeys(_position(position, change.renames) for position in begun)
    positions.update(dict.fromkeys(entry.position for entry in entries))
    addresses = {*nodes, *map(address_of, positions)}
    injects, answers = _set(change.values, nodes, addresses)
    dropped = dict(_dropped(change, old, nodes, addresses, positions))
    kept = [entry for entry in entries if not any(covers(position, entry.position) for position in dropped)]
    edits = _edited(old, nodes, change.renames)
    held = {
        position: value
        for position, value in record.values.items()
        if address_of(position) not in edits and not any(covers(place, position) for place in dropped)
    }
    return Rerun(
        edited,
        options.injecting(injects),
        Record(tuple(kept), {**held, **answers}),
        dropped,
        changed_agents=change.changed_agents,
    )


def _dropped(
    change: Change,
    old: Mapping[str, PlacedNode],
    nodes: Mapping[str, PlacedNode],
    addresses: Collection[str],
    positions: Collection[str],
) -> Iterable[tuple[str, str]]:
    """The names of the calls that are made again, each with the reason."""
    named = [(selector, "it is to be executed again") for selector in change.begin_at]
    asking = _asking(change.asks_again, nodes)
    named += [(selector, "the person is asked again") for selector in asking]
    for selector, _ in named:
        _check_named(selector, addresses, nodes)
        _check_begun(selector, positions)
    if change.force:
        origins = {*map(address_of, (*change.values, *(selector for selector, _ in named)))}
        reached = sorted(dependents(nodes, origins | _edited(old, nodes, change.renames)))
        # a graph is left out: its name would stand for all that is inside
        inner = [(address, "it depends on a change") for address in reached if not nodes[address].has_graph]
        named = [*inner, *named]
    return named


def covers(selector: str, position: str) -> bool:
    """Whether a name stands for a call: for its position or address, or for a node around it."""
    return _begins(position, selector) or _begins(address_of(position), selector)


def _begins(place: str, selector: str) -> bool:
    return place == selector or (place.startswith(selector) and place[len(selector)] in ".[@")


def _check_named(selector: str, addresses: Collection[str], nodes: Mapping[str, PlacedNode]) -> None:
    place = nodes.get(address_of(selector))
    if place is not None and not is_computed(place.node):
        raise UsageError(
            f"node {selector!r} has a value and no agent", hint=f"change it: --set {selector}=VALUE"
        )
    if not any(_begins(address, address_of(selector)) for address in addresses):
        raise unknown_node(selector, addresses)


def _check_begun(selector: str, positions: Iterable[str]) -> None:
    """Refuses a row or a pass that the run did not have: nothing would be called again."""
    if selector == address_of(selector) or any(_begins(position, selector) for position in positions):
        return
    alike = [position for position in positions if _begins(address_of(position), address_of(selector))]
    hint = f"rows and passes count from 0: from {alike[0]} to {alike[-1]}" if alike else ""
    raise UsageError(f"the run has no {selector!r}", hint=hint)


def unknown_node(name: str, addresses: Collection[str]) -> UsageError:
    """The error of a name that no node has."""
    inside = sorted(address for address in addresses if address.endswith(f".{name}"))
    hint = f"did you mean {inside[0]!r}?" if inside else suggestion(name, addresses)
    return UsageError(f"there is no node {name!r}", hint=hint)


def _set(
    values: Mapping[str, Value], nodes: Mapping[str, PlacedNode], addresses: Collection[str]
) -> tuple[dict[str, Value], dict[str, Value]]:
    """The values of static nodes of the run's graph, and those of nodes with agents."""
    injects: dict[str, Value] = {}
    answers: dict[str, Value] = {}
    for name, value in values.items():
        place = nodes.get(address_of(name))
        if place is None:
            raise unknown_node(name, addresses)
        if place.is_agent:
            answers[name] = value
        elif is_computed(place.node):
            finding = f"node {name!r} has a graph inside, whose nodes give its result"
            raise UsageError(finding, hint="set a node of that graph, such as its result")
        elif place.parent is not None:
            finding = f"node {name!r} gets its value from the node around it"
            raise UsageError(
                finding, hint=f"set what {place.parent!r} reads, or change the graph with --graph"
            )
        else:
            injects[name] = value
    return injects, answers


def _asking(names: Sequence[str], nodes: Mapping[str, PlacedNode]) -> Iterable[str]:
    for name in names:
        if name == "*":
            yield from (node.address for node in nodes.values() if node.node.get("agent") in PERSON_AGENTS)
        else:
            place = nodes.get(address_of(name))
            if place is not None and place.is_agent and not _may_ask(str(place.node["agent"])):
                raise UsageError(f"node {name!r} asks no person", hint=f"call it again: --from {name}")
            yield name


def _may_ask(agent: str) -> bool:
    """Whether an agent asks people, runs a graph whose nodes may, or is only known when it is called."""
    return agent in PERSON_AGENTS or agent in GRAPH_AGENTS or agent.startswith(":")


def _with_params(document: Mapping[str, Value], params: Mapping[str, Value]) -> Mapping[str, Value]:
    """The document, changed: it is a copy."""
    nodes = placed_nodes(document)
    for path, value in params.items():
        owner, steps, places = _owner(path, nodes)
        if not places:
            raise UsageError(
                f"the graph has neither an agent nor a node {owner!r}",
                hint="name a param as AGENT.param or NODE.param",
            )
        for place in places:
            put_at(place.node, ["params", *steps], value)
    return document


def _owner(path: str, nodes: Mapping[str, PlacedNode]) -> tuple[str, list[str], list[PlacedNode]]:
    """The agent or node that a path begins with, the steps to the param, and the nodes that have it."""
    parts = path.split(".")
    for count in range(len(parts) - 1, 0, -1):
        owner = ".".join(parts[:count])
        named = [node for node in nodes.values() if is_computed(node.node) and node.node["agent"] == owner]
        if owner in nodes and is_computed(nodes[owner].node):
            named = [nodes[owner]]
        if named:
            return owner, parts[count:], named
    return parts[0], parts[1:], []


def _check_renames(
    renames: Mapping[str, str], old: Mapping[str, PlacedNode], new: Mapping[str, PlacedNode]
) -> None:
    for before, after in renames.items():
        if before not in old:
            raise unknown_node(before, old)
        _moved(before, before, after)
        if after not in new:
            raise unknown_node(after, new)


def _renamed(entry: Entry, renames: Mapping[str, str]) -> Entry:
    return replace(entry, position=_position(entry.position, renames)) if renames else entry


def _position(position: str, renames: Mapping[str, str]) -> str:
    """The position that it has in the rerun."""
    for before, after in renames.items():
        if covers(before, position):
            return _moved(position, before, after)
    return position


def _moved(position: str, before: str, after: str) -> str:
    """The position under another address of the same depth; rows and passes stay."""
    olds, news, parts = before.split("."), after.split("."), position.split(".")
    if len(olds) != len(news):
        raise UsageError(f"{before!r} cannot become {after!r}: a node stays in its graph")
    for index, new in enumerate(news):
        suffix = _NAME.fullmatch(parts[index])
        parts[index] = new.removesuffix("[]") + (suffix[2] if suffix else "")
    return ".".join(parts)


def _edited(
    old: Mapping[str, PlacedNode], new: Mapping[str, PlacedNode], renames: Mapping[str, str]
) -> set[str]:
    """The nodes of the new graph that compute something else than those of the old one."""
    origin = {after: before for before, after in renames.items()}
    was = {address: old.get(origin.get(address, address)) for address in new}
    return {
        address
        for address, place in new.items()
        if (before := was[address]) is None
        or node_difference(before.node, place.node) is Difference.DEFINITION
    }
