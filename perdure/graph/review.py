"""All that can be said of a document before it runs: problems, and what is only worth a warning."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from perdure.errors import Problem
from perdure.graph.check import ENDLESS_LOOP, modernized, problems
from perdure.graph.fields import PERSON_AGENTS
from perdure.graph.human_input import human_node_problems
from perdure.graph.lint import warnings
from perdure.graph.nested import every_node, nested_problems
from perdure.graph.params.waiting import wait_node_problems
from perdure.graph.perdure_keys import needs_problems
from perdure.graph.text.document import Document, Spot
from perdure.graph.values import Value
from perdure.graph.wording import Suggestions

MAX_ID_PARTS_COUNT: Final = 100
"""Dots of an id, and one, up to which it is located: all ways to divide a longer one would be tried."""


@dataclass(frozen=True, slots=True)
class Review:
    """A document as it will run, and the findings: `problems` stop it, those of `nested` graphs stop
    the node that holds the graph, `warnings` stop nothing.
    """

    data: Value
    problems: tuple[Problem, ...] = ()
    nested: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


def review(
    document: Document,
    agents: Collection[str] | None = None,
    *,
    queues: Collection[str] | None = None,
    is_bounded: bool = False,
) -> Review:
    """Checks the whole document; `agents` are the names it may use, `queues` the task queues, None for any.

    A loop without an end of its own is a warning where something else ends it: quotas (`is_bounded`), or
    a person whom a node asks in every pass.
    """
    data, names = modernized(document.data), Suggestions()

    def placed(unplaced: Iterator[Problem]) -> tuple[Problem, ...]:
        return tuple(_located(document.spots, problem) for problem in unplaced)

    findings = placed(problems(data, agents, names))
    bounded = is_bounded or any(node.get("agent") in PERSON_AGENTS for _, node in every_node(data))
    mild = tuple(problem for problem in findings if bounded and problem.code == ENDLESS_LOOP)
    return Review(
        data=data,
        problems=tuple(problem for problem in findings if problem not in mild)
        + placed(human_node_problems(every_node(data)))
        + placed(wait_node_problems(every_node(data)))
        + placed(needs_problems([("", data), *_inner_graphs(data)])),
        nested=placed(nested_problems(data, agents, names)),
        warnings=mild + placed(warnings(document.data, queues)),
    )


def _inner_graphs(data: Value) -> Iterator[tuple[str, Value]]:
    return ((f"{place}.graph", node.get("graph")) for place, node in every_node(data))


def _located(spots: Spot | None, problem: Problem) -> Problem:
    """The problem with the line and the column of its place, or of the nearest place around it."""
    if spots is None or problem.line is not None:
        return problem
    line, column = _spot(spots, problem.place.split(".") if problem.place else []).position
    return replace(problem, line=line, column=column)


def _spot(spot: Spot, parts: Sequence[str]) -> Spot:
    """The spot of a dotted place. An id may hold dots itself: the longest key that fits is taken."""
    while parts:
        for count in range(min(len(parts), MAX_ID_PARTS_COUNT), 0, -1):
            child = spot.child(".".join(parts[:count]))
            if child is not None:
                spot, parts = child, parts[count:]
                break
        else:
            return spot
    return spot
