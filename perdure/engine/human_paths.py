"""Whether a path names a question that a run may still ask: which is when an early answer is kept.

The document decides, not the plan: graphs inside nodes are compiled when they run. A graph or an agent that
is computed may be any, so a path into it is accepted; what is kept is bounded (perdure.engine.questions).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

from perdure.engine.state import TERMINAL_STATES, GraphRun
from perdure.graph.fields import is_computed
from perdure.graph.values import Value, is_dict

MAX_PATH_CHARS: Final = 1_000
"""Characters of the path of an early answer."""

_MARKS = re.compile(r"(?:\[\d{1,9}\])?(?:@(\d{1,9}))?(?:#\d{1,9})?")
"""The row of a map, the pass of a loop, the retry."""


def may_ask(root: GraphRun, human: Collection[str], path: str) -> bool:
    """Whether a node at `path` may ask a person later; `human` are the agents that do."""
    if len(path) > MAX_PATH_CHARS:
        return False
    return any(
        not _is_over(root, name, marks)
        for name, marks in _asking(root.plan.document, human, path)
        if name in root.nodes
    )


def _is_over(root: GraphRun, name: str, marks: re.Match[str]) -> bool:
    """Whether the node of the outermost graph has ended, in the pass that the path names."""
    number = int(marks[1] or 0)
    if number != root.iteration:
        return number < root.iteration or root.rule is None
    return root.nodes[name].state in TERMINAL_STATES


def _asking(document: Value, human: Collection[str], path: str) -> list[tuple[str, re.Match[str]]]:
    """The nodes of the graph that `path` may begin with, such that it ends at a node that asks."""
    nodes = document.get("nodes") if is_dict(document) else None
    matches: list[tuple[str, re.Match[str]]] = []
    for name, node in nodes.items() if is_dict(nodes) else ():
        if not is_computed(node) or not path.startswith(name):
            continue
        marks = _MARKS.match(path, len(name))
        if marks is not None and _leads_to_a_question(node, human, path[marks.end() :]):
            matches.append((name, marks))
    return matches


def _leads_to_a_question(node: Mapping[str, Value], human: Collection[str], rest: str) -> bool:
    agent = node["agent"]
    is_dynamic = isinstance(agent, str) and agent.startswith(":")
    if not rest:
        return is_dynamic or agent in human
    if not rest.startswith("."):
        return False
    graph = node.get("graph")
    if is_dict(graph):
        return bool(_asking(graph, human, rest[1:]))
    return is_dynamic or isinstance(graph, str) or "graphLoader" in node
