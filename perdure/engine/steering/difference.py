"""What two documents do not have in common, as far as it matters to a node that has begun.

A node says what it computes (its agent, inputs, params, conditions) and how (its queue, limits of time,
priority). A result stays right when only the latter changes. Of a graph inside a node, `isResult` belongs to
the former: it decides what the node around it returns.

Values are compared by their written form: 1, 1.0 and true are different things to an agent.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import IntEnum
from typing import Final

from perdure.graph.fields import PERDURE_COMPUTED_KEYS, is_computed
from perdure.graph.values import Value, is_dict

OPTION_KEYS: Final = frozenset(
    (*PERDURE_COMPUTED_KEYS, "timeout", "retry", "priority", "label", "console", "isResult")
).difference(("allow", "fallback", "session"))
"""Keys of a node that say how it is executed or shown, and not what its result is."""

_RESULTS: Final = frozenset(("nodes", "loop", "agentId"))
"""The keys of a graph on which its results depend."""


class Difference(IntEnum):
    """How far two definitions are from each other."""

    NONE = 0
    OPTIONS = 1
    DEFINITION = 2


def node_difference(old: Value, new: Value, inside: bool = False) -> Difference:
    """Of two nodes, without the graphs inside them; `inside` a node that has a result, `isResult` counts."""
    if not (is_dict(old) and is_dict(new)):
        return Difference.NONE if repr(old) == repr(new) else Difference.DEFINITION
    keys = _differing(old, new, frozenset(("graph",)) if _has_graph(old) and _has_graph(new) else ())
    options = OPTION_KEYS - {"isResult"} if inside else OPTION_KEYS
    if not options.issuperset(keys):
        return Difference.DEFINITION
    return Difference.OPTIONS if keys else Difference.NONE


def graph_difference(old: Value, new: Value) -> Difference:
    """Of the graphs inside two nodes, with all that is inside these."""
    if not (is_dict(old) and is_dict(new)) or old is new:
        return Difference.NONE if old is new or repr(old) == repr(new) else Difference.DEFINITION
    before, after = old.get("nodes"), new.get("nodes")
    if not (is_dict(before) and is_dict(after)) or before.keys() != after.keys():
        return Difference.DEFINITION if repr(before) != repr(after) else _rest(old, new)
    worst = _rest(old, new)
    for name in after:
        worst = max(worst, node_difference(before[name], after[name], inside=True))
        if _has_graph(before[name]) and _has_graph(after[name]):
            worst = max(worst, graph_difference(before[name]["graph"], after[name]["graph"]))
    return worst


def inner_graph(node: Value) -> Value:
    """The graph that a node has in the document, None where it has none or refers to one."""
    return node["graph"] if _has_graph(node) else None


def _rest(old: Mapping[str, Value], new: Mapping[str, Value]) -> Difference:
    keys = _differing(old, new, ("nodes",))
    if _RESULTS.intersection(keys):
        return Difference.DEFINITION
    return Difference.OPTIONS if keys else Difference.NONE


def _has_graph(node: Value) -> bool:
    return is_computed(node) and is_dict(node.get("graph"))


def _differing(old: Mapping[str, Value], new: Mapping[str, Value], without: Collection[str]) -> set[str]:
    keys = {**old, **new}.keys() - {*without}
    return {key for key in keys if (key in old) != (key in new) or repr(old.get(key)) != repr(new.get(key))}
