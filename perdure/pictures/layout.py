"""How much work a layout may be, and which settings keep it there.

Why
    A careful layout of 300 nodes with two references each takes half a minute, of 40 nodes that all refer to
    each other far more, and a stranger who starts a run makes the page draw it.

Invariants
    The work is estimated from the references alone, before anything is laid out: a line counts once for each
    layer that it leads over. Small graphs get the careful layout with rectangular lines, others straight
    lines that are found in one pass. Beyond MAX_LINE_POINT_COUNT the longest lines are left out: they
    lead past nodes that say the same in most graphs.

Rejected
    A limit of time: the same graph would look otherwise on a busy machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from perdure.pictures.edges import Edge, leads_on

MAX_LINE_POINT_COUNT: Final = 4_000
"""Lines of one graph, and the layers they pass: a second of work."""

_CAREFUL_POINT_COUNT = 400
_CAREFUL_DEGREE_COUNT = 60
_SPACING: Final = {"layer_gap": 40.0, "node_gap": 36.0}
_CAREFUL: Final[Mapping[str, Any]] = {"spacing": _SPACING}
_QUICK: Final[Mapping[str, Any]] = {
    "spacing": _SPACING,
    "effort": "fast",
    "routing": {"style": "diagonal"},
    "tuning": {
        "routing": {"port_relax_rounds": 0, "overlap_repair_rounds": 0},
        "order": {"seeds": 1, "sweeps": 2, "kick_rounds": 0, "sifting_rounds": 0},
        "coords": {"simplex_max_nodes": 100},
    },
}


def within_budget(names: Sequence[str], lines: Sequence[Edge]) -> list[Edge]:
    """The lines that are drawn, in their order: all, or the shortest ones."""
    points = _points(names, lines)
    if sum(points) <= MAX_LINE_POINT_COUNT:
        return list(lines)
    left = MAX_LINE_POINT_COUNT
    drawn: set[int] = set()
    for index in sorted(range(len(lines)), key=points.__getitem__):
        left -= points[index]
        if left < 0:
            break
        drawn.add(index)
    return [line for index, line in enumerate(lines) if index in drawn]


def settings(names: Sequence[str], lines: Sequence[Edge]) -> dict[str, Any]:
    """What to pass to the layout library for these lines."""
    degrees = Counter(end for line in lines for end in (line[0], line[1]))
    is_small = sum(_points(names, lines)) <= _CAREFUL_POINT_COUNT
    is_careful = is_small and max(degrees.values(), default=0) <= _CAREFUL_DEGREE_COUNT
    return {"preset": "process_map", "options": _CAREFUL if is_careful else _QUICK}


def _points(names: Sequence[str], lines: Sequence[Edge]) -> list[int]:
    """For each line the layers that it leads over, by the longest path to each node; 1 for an update."""
    layers = _layers(names, [line for line in lines if leads_on(line)])
    return [max(1, abs(layers[line[1]] - layers[line[0]])) if leads_on(line) else 1 for line in lines]


def _layers(names: Sequence[str], lines: Sequence[Edge]) -> dict[str, int]:
    """Nodes of a circle, and what depends on them, count by their place in the document."""
    layers = dict.fromkeys(names, 0)
    targets: dict[str, list[str]] = {}
    missing = Counter(line[1] for line in lines)
    for line in lines:
        targets.setdefault(line[0], []).append(line[1])
    ready = [name for name in names if not missing[name]]
    for name in ready:  # grows while it is read
        for target in targets.get(name, ()):
            layers[target] = max(layers[target], layers[name] + 1)
            missing[target] -= 1
            if not missing[target]:
                ready.append(target)
    left = set(names).difference(ready)
    return layers | {name: place for place, name in enumerate(names) if name in left}
