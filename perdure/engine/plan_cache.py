"""Plans that are kept: a graph is checked and compiled once in a process, not once in every run.

The key is the text of the document, so that no run can change what another one runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from perdure.engine.plan import Plan, compile_plan
from perdure.errors import GraphError, Problem
from perdure.graph.check import first_problem
from perdure.graph.text.json_dump import dump
from perdure.graph.values import Value

CACHED_PLAN_COUNT: Final = 64
"""Plans, and verdicts of the checks: graphs that are computed again each time must not fill the memory."""


class _Key:
    """A document, equal to any other of the same text. Raises TypeError or ValueError where it has none."""

    __slots__ = ("document", "graphs", "text")

    def __init__(self, document: Mapping[str, Value], graphs: Mapping[str, Value] | None) -> None:
        self.document = document
        self.graphs = graphs
        self.text = dump([document]) if graphs is None else dump([document, graphs])

    def __hash__(self) -> int:
        return hash(self.text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.text == other.text


def plan_of(document: Mapping[str, Value], graphs: Mapping[str, Value] | None = None) -> Plan:
    """The plan of a document that the checks accept; `graphs` as in compile_plan."""
    try:
        return _plan(_Key(document, graphs))
    except (TypeError, ValueError):
        return compile_plan(document, graphs)


def checked_plan(
    document: Mapping[str, Value],
    graphs: Mapping[str, Value] | None,
    agents: frozenset[str] | None,
    bounded: bool = True,
) -> Plan:
    """The plan of a document that may name `agents`, None for any; `bounded` as in first_problem.

    Raises GraphError.
    """
    try:
        key = _Key(document, graphs)
    except (TypeError, ValueError):
        _raise(first_problem(document, agents, bounded=bounded))
        return compile_plan(document, graphs)
    _raise(_problem(key, agents, bounded))
    return _plan(key)


def problem_of(document: Mapping[str, Value]) -> Problem | None:
    """The first problem of a document, whatever agents there are."""
    try:
        return _problem(_Key(document, None), None, True)
    except (TypeError, ValueError):
        return first_problem(document)


def _raise(problem: Problem | None) -> None:
    if problem is not None:
        raise GraphError([problem])


@lru_cache(maxsize=CACHED_PLAN_COUNT)
def _plan(key: _Key) -> Plan:
    return compile_plan(key.document, key.graphs)


@lru_cache(maxsize=CACHED_PLAN_COUNT)
def _problem(key: _Key, agents: frozenset[str] | None, bounded: bool) -> Problem | None:
    return first_problem(key.document, agents, bounded=bounded)
