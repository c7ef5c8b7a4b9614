"""All that can be said of a document before it runs: problems, and what is only worth a warning."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from perdure.errors import Problem
from perdure.graph.check import modernized, problems
from perdure.graph.document import Document, Spot
from perdure.graph.nested import every_node, nested_problems
from perdure.graph.values import Value

OLD_AGENT_ID = "old-agent-id"


@dataclass(frozen=True, slots=True)
class Review:
    """A document as it will run, and what was found: `problems` stop it, those of `nested` graphs stop
    the node that holds the graph, `warnings` stop nothing.
    """

    data: Value
    problems: tuple[Problem, ...] = ()
    nested: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


def review(document: Document, agents: Collection[str] | None = None) -> Review:
    """Checks the whole document; `agents` are the names it may use, None for any."""
    data = modernized(document.data)

    def placed(found: Iterator[Problem]) -> tuple[Problem, ...]:
        return tuple(_located(document.spots, problem) for problem in found)

    return Review(
        data=data,
        problems=placed(problems(data, agents)),
        nested=placed(nested_problems(data, agents)),
        warnings=placed(_old_spellings(document.data)),
    )


def _located(spots: Spot | None, problem: Problem) -> Problem:
    """The problem with the line and the column of its place, or of the nearest place around it."""
    if spots is None or problem.line is not None:
        return problem
    line, column = _spot(spots, problem.place.split(".") if problem.place else []).position
    return replace(problem, line=line, column=column)


def _spot(spot: Spot, parts: Sequence[str]) -> Spot:
    """The spot of a dotted place. An id may hold dots itself: the longest key that fits is taken."""
    while parts:
        for count in range(len(parts), 0, -1):
            child = spot.child(".".join(parts[:count]))
            if child is not None:
                spot, parts = child, parts[count:]
                break
        else:
            return spot
    return spot


def _old_spellings(data: Value) -> Iterator[Problem]:
    for place, node in every_node(data):
        if "agentId" in node and "agent" not in node:
            yield Problem(OLD_AGENT_ID, f"{place}.agentId", "agentId is the old spelling", "write agent")
