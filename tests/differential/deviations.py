"""Where Perdure differs from GraphAI on purpose: each with its reason, and how a case shows it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from perdure.engine.state import GraphRun, NodeState
from tests.differential.references import PROTOTYPE


@dataclass
class Witness:
    """Watches the engine run a case.

    `alone` means that a node was over at once while nothing else of its graph ran, `stopped` that
    nodes which ran or were queued were abandoned because nothing waited for them any more.
    """

    alone: bool = False
    aborted: bool = False
    queued: set[tuple[int, str]] = field(default_factory=set)

    def __call__(self, run: GraphRun, name: str) -> None:
        state = run.nodes[name].state
        if state in (NodeState.COMPLETED, NodeState.FAILED):
            self.alone |= _is_alone(run, name)
        self.aborted |= state is NodeState.ABORT
        if state is NodeState.QUEUED:
            self.queued.add((run.id, name))
        else:
            self.queued.discard((run.id, name))

    @property
    def stopped(self) -> bool:
        return self.aborted or bool(self.queued)


def _is_alone(run: GraphRun, name: str) -> bool:
    """Whether a node is over while its graph still queues its first ones, and no other has begun."""
    others = (run.nodes[other].state for other in run.plan.computed if other != name)
    return bool(run.holds) and all(state in (NodeState.WAITING, NodeState.SKIPPED) for state in others)


@dataclass(frozen=True)
class Deviation:
    """`explains` says whether a case that differs does so for this reason."""

    name: str
    reason: str
    explains: Callable[[dict[str, Any], Witness], bool]


def explanation(case: dict[str, Any], witness: Witness) -> Deviation | None:
    """The deviation by which a case may differ, if any."""
    return next((deviation for deviation in DEVIATIONS if deviation.explains(case, witness)), None)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _texts(item)


def _rewritten(case: dict[str, Any], witness: Witness) -> bool:
    del witness
    texts = list(_texts(case))
    return any("${" in text for text in texts) and any(
        re.search(r"\$[$&`']|\$\{[:@]", text) for text in texts
    )


def _misplaced(case: dict[str, Any], witness: Witness) -> bool:
    del witness
    return any(re.search(r"\$\{@[^}]+\}.*\$\{:", text, re.DOTALL) for text in _texts(case))


def _prototype(case: dict[str, Any], witness: Witness) -> bool:
    del witness
    words = "|".join(PROTOTYPE)
    return re.search(rf'[.:"]({words})\b', json.dumps(case)) is not None


def _alone(case: dict[str, Any], witness: Witness) -> bool:
    return witness.alone and '"loop"' in json.dumps(case)


def _endless(case: dict[str, Any], witness: Witness) -> bool:
    del witness
    texts = re.findall(r'"while": ("(?:[^"\\]|\\.)*"|\w+)', json.dumps(case))
    return any(not text.startswith('":') for text in texts)


def _graph_is_value(case: dict[str, Any], witness: Witness) -> bool:
    """Whether a node gets its graph by reference, and inputs with names of nodes in such a graph."""
    del witness
    inputs = {
        "row" if key == "rows" else key
        for part in _objects(case)
        if isinstance(part.get("graph"), str) and isinstance(part.get("inputs"), dict)
        for key in part["inputs"]
    }
    graphs = (part["nodes"] for part in _objects(case) if isinstance(part.get("nodes"), dict))
    return any(name in inputs for nodes in graphs for name in nodes)


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from _objects(item)
    elif isinstance(value, list):
        for item in value:
            yield from _objects(item)


DEVIATIONS = (
    Deviation(
        "index of utilities",
        "GraphAI gives `${:ref}` the value of another one where a `${@utility}` precedes it.",
        _misplaced,
    ),
    Deviation(
        "one pass",
        "Templates are filled in one pass; GraphAI expands inserted text again, `$&` and the like too.",
        _rewritten,
    ),
    Deviation(
        "only data",
        "A reference reaches data only; GraphAI reaches the members of JavaScript's prototypes.",
        _prototype,
    ),
    Deviation(
        "over at once",
        "A node that is over at once, alone, makes GraphAI begin the next iteration inside this one.",
        _alone,
    ),
    Deviation(
        "endless loop",
        "A loop whose `while` is a literal is refused before it begins; in GraphAI only an error ends it.",
        _endless,
    ),
    Deviation(
        "rows are stopped",
        "The rows of a map stop when one has failed; in GraphAI they run on, holding slots.",
        lambda case, witness: witness.stopped,
    ),
    Deviation(
        "values stay",
        "A graph that is a value stays as it is; GraphAI writes the inputs of its nodes into it.",
        _graph_is_value,
    ),
)
