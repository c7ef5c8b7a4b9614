"""Plans that are kept: a graph is checked and compiled once in a process, not once in every run.

The key is the text of the document, so that no run can change what another one runs.

A plan takes about thirty times the memory of that text, so what is kept is bounded by bytes as well: 64
graphs of a megabyte would fill a worker. The newest plan is kept whatever its size, because a run has it
compiled ahead, in an activity, where a workflow task has no time for that. Rejected: `lru_cache`, which only
counts.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final, Generic, TypeVar

from perdure.engine.plan import Plan, compile_plan
from perdure.errors import GraphError, Problem
from perdure.graph.check import first_problem
from perdure.graph.nested import every_node
from perdure.graph.text.json_dump import dump
from perdure.graph.values import Value

CACHED_PLAN_COUNT: Final = 64
"""Plans, and verdicts of the checks: graphs that are computed again each time must not fill the memory."""

MAX_CACHED_PLAN_BYTES: Final = 8_000_000
"""Bytes of their documents as JSON; the same for the verdicts."""

Result = TypeVar("Result")
Options = TypeVar("Options", bound=Hashable)


class _Key:
    """A document and its text. Raises TypeError or ValueError where it has none."""

    __slots__ = ("document", "graphs", "text")

    def __init__(self, document: Mapping[str, Value], graphs: Mapping[str, Value] | None) -> None:
        self.document = document
        self.graphs = graphs
        self.text = dump([document]) if graphs is None else dump([document, graphs])


class _Cache(Generic[Options, Result]):
    """What `compute` makes of documents.

    Any thread may use it, without a lock: each step on the dictionary is atomic, because its keys are plain
    data, and what is computed twice is the same.
    """

    def __init__(self, compute: Callable[[_Key, Options], Result]) -> None:
        self._compute = compute
        self._results: OrderedDict[tuple[bytes, Options], tuple[Result]] = OrderedDict()

    def __call__(self, key: _Key, options: Options) -> Result:
        """The result that is kept, else a new one. Raises what `compute` raises."""
        place = (key.text, options)
        kept = self._results.get(place)
        if kept is None:
            kept = self._results[place] = (self._compute(key, options),)
            self._shrink()
        else:
            with suppress(KeyError):  # another thread has just dropped it
                self._results.move_to_end(place)
        return kept[0]

    def _shrink(self) -> None:
        """Drops what was used longest ago, but not the newest."""
        size = 0
        for newer, place in enumerate(reversed(list(self._results))):
            size += len(place[0])
            if newer and (newer >= CACHED_PLAN_COUNT or size > MAX_CACHED_PLAN_BYTES):
                self._results.pop(place, None)


def plan_of(document: Mapping[str, Value], graphs: Mapping[str, Value] | None = None) -> Plan:
    """The plan of a document that the checks accept; `graphs` as in compile_plan."""
    try:
        return _plan(_Key(document, graphs), None)
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
    _raise(_problem(key, (agents, bounded)))
    return _plan(key, None)


def agents_named(document: Mapping[str, Value], graphs: Mapping[str, Value] | None = None) -> Sequence[str]:
    """The agents that nodes of these graphs name, and of graphs inside them, in the order of their names."""
    try:
        return _agents(_Key(document, graphs), None)
    except (TypeError, ValueError):
        return _named([document, *(graphs or {}).values()])


def problem_of(document: Mapping[str, Value]) -> Problem | None:
    """The first problem of a document, whatever agents there are."""
    try:
        return _problem(_Key(document, None), (None, True))
    except (TypeError, ValueError):
        return first_problem(document)


def _raise(problem: Problem | None) -> None:
    if problem is not None:
        raise GraphError([problem])


def _compiled(key: _Key, _options: None) -> Plan:
    return compile_plan(key.document, key.graphs)


def _checked(key: _Key, options: tuple[frozenset[str] | None, bool]) -> Problem | None:
    agents, bounded = options
    return first_problem(key.document, agents, bounded=bounded)


def _agents_of(key: _Key, _options: None) -> Sequence[str]:
    return _named([key.document, *(key.graphs or {}).values()])


def _named(graphs: Iterable[Value]) -> Sequence[str]:
    nodes = (node for graph in graphs for _, node in every_node(graph))
    return sorted({name for node in nodes if isinstance(name := node.get("agent"), str)})


_plan = _Cache(_compiled)
_problem = _Cache(_checked)
_agents = _Cache(_agents_of)
