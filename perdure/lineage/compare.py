"""What is different between two graphs, or two runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from perdure.engine.messages import RunAgent
from perdure.engine.steering.difference import OPTION_KEYS
from perdure.graph.fields import is_computed
from perdure.graph.values import UNDEFINED, Value, is_dict, is_list
from perdure.lineage.documents import PlacedNode, placed_nodes
from perdure.lineage.fingerprint import address_of


@dataclass(frozen=True, slots=True)
class GraphDifference:
    """A node that two graphs do not have in the same form.

    `kind` is added, removed, value (of a static node), how (it is executed), or what (it computes); `keys`
    are those that differ.
    """

    address: str
    kind: str
    keys: tuple[str, ...] = ()


def graph_differences(old: Mapping[str, Value], new: Mapping[str, Value]) -> list[GraphDifference]:
    """The nodes that differ, in the order of the new graph, then those that it does not have."""
    before, after = placed_nodes(old), placed_nodes(new)
    changed = [_changed(before[address], place) for address, place in after.items() if address in before]
    added = [GraphDifference(address, "added") for address in after if address not in before]
    removed = [GraphDifference(address, "removed") for address in before if address not in after]
    return [*(difference for difference in changed if difference.kind), *added, *removed]


def _changed(before: PlacedNode, after: PlacedNode) -> GraphDifference:
    keys = tuple(sorted(_differing(before.node, after.node)))
    if not keys:
        return GraphDifference(after.address, "")
    if not is_computed(before.node) and not is_computed(after.node):
        return GraphDifference(after.address, "value", keys)
    return GraphDifference(after.address, "how" if OPTION_KEYS.issuperset(keys) else "what", keys)


def _differing(before: Mapping[str, Value], after: Mapping[str, Value]) -> Iterator[str]:
    for key in {**before, **after}:
        old, new = before.get(key, UNDEFINED), after.get(key, UNDEFINED)
        has_nodes = key == "graph" and is_dict(old) and is_dict(new)
        if not has_nodes and repr(old) != repr(new):
            yield key


@dataclass(frozen=True, slots=True)
class ComparedCall:
    """A call of a run: what was asked, its result, and what that took and used, if it was not reused."""

    command: RunAgent
    result: Value
    seconds: float = 0.0
    tokens: float = 0.0
    money: float = 0.0
    is_reused: bool = False


DIFFERENCE_TEXTS: Final = {
    "own": "the result differs, with the same inputs",
    "inputs": "the result differs, and so do the inputs or params",
    "absorbed": "the inputs or params differ, and the result does not",
    "first": "only in the first run",
    "second": "only in the second run",
}
"""How calls differ; those that are equal are only counted."""


@dataclass(frozen=True, slots=True)
class CallDifference:
    """A position with a call in one of two runs, or in both.

    `kind` is equal; inputs (they differ, and so does the result), absorbed (they differ, and the result does
    not), own (only the result differs), first or second (only that run has it). `at` is where the results
    begin to differ. `partner` is the position in the first run, where it is another. The call of the second
    run `is_reused` if an earlier run has given its result. `seconds`, `tokens` and `money` are of both runs.
    """

    position: str
    kind: str
    at: str = ""
    partner: str = ""
    is_reused: bool = False
    seconds: tuple[float, float] = (0.0, 0.0)
    tokens: tuple[float, float] = (0.0, 0.0)
    money: tuple[float, float] = (0.0, 0.0)


def call_differences(
    first: Mapping[str, ComparedCall], second: Mapping[str, ComparedCall]
) -> list[CallDifference]:
    """The calls of two runs by position, in the order of the second, then those of the first alone.

    Rows that have moved are compared with what they were: a call is compared with one of the same node that
    was asked the same, at the same position if it can be, else with the one at its position.
    """
    partners = _partners(first, second)
    taken = set(partners.values())
    left = [position for position in first if position not in taken]
    pairs = [(position, partners.get(position)) for position in second]
    compared = [
        _compared(position, None if partner is None else first[partner], second[position], partner)
        for position, partner in pairs
    ]
    return [*compared, *(_compared(position, first[position], None) for position in left)]


@dataclass(frozen=True, slots=True)
class NodeDifference:
    """The calls of one node in two runs, over all rows and passes, counted by how they differ.

    `reused` are those of the second run whose results an earlier run has given, and that are equal.
    """

    address: str
    kinds: Mapping[str, int]
    reused: int


def by_node(differences: Sequence[CallDifference]) -> list[NodeDifference]:
    """The differences of calls, node by node, in the order of the first call of each."""
    nodes: dict[str, list[CallDifference]] = {}
    for difference in differences:
        nodes.setdefault(address_of(difference.position), []).append(difference)
    return [
        NodeDifference(
            address,
            Counter(call.kind for call in calls),
            sum(call.is_reused for call in calls if call.kind == "equal"),
        )
        for address, calls in nodes.items()
    ]


def _partners(first: Mapping[str, ComparedCall], second: Mapping[str, ComparedCall]) -> dict[str, str]:
    """The positions of the second run with those in the first that they are compared with."""
    partners = {
        position: position
        for position, call in second.items()
        if position in first and _work(first[position].command) == _work(call.command)
    }
    alike: dict[tuple[str, str], list[str]] = {}
    for position in reversed([*first]):
        if position not in partners:
            alike.setdefault((address_of(position), _work(first[position].command)), []).append(position)
    for position, call in second.items():
        same = alike.get((address_of(position), _work(call.command)))
        if position not in partners and same:
            partners[position] = same.pop()
    taken = set(partners.values())
    for position in second:
        if position not in partners and position in first and position not in taken:
            partners[position] = position
    return partners


def _compared(
    position: str, first: ComparedCall | None, second: ComparedCall | None, partner: str | None = None
) -> CallDifference:
    kind, at = _kind(first, second)
    return CallDifference(
        position,
        kind,
        at,
        "" if partner is None or partner == position else partner,
        is_reused=second is not None and second.is_reused,
        seconds=(0.0 if first is None else first.seconds, 0.0 if second is None else second.seconds),
        tokens=(0.0 if first is None else first.tokens, 0.0 if second is None else second.tokens),
        money=(0.0 if first is None else first.money, 0.0 if second is None else second.money),
    )


def _kind(first: ComparedCall | None, second: ComparedCall | None) -> tuple[str, str]:
    """How two calls differ, and where their results begin to."""
    if first is None or second is None:
        return "second" if first is None else "first", ""
    is_same_work = _work(first.command) == _work(second.command)
    at = first_difference(first.result, second.result)
    if at is None:
        return "equal" if is_same_work else "absorbed", ""
    return "own" if is_same_work else "inputs", at


def _work(command: RunAgent) -> str:
    return repr([command.agent, command.inputs, command.params])


def first_difference(old: Value, new: Value, path: str = "") -> str | None:
    """Where two values begin to differ, such as ``.items[2].text``; None if they are equal."""
    if is_dict(old) and is_dict(new):
        for key in {**old, **new}:
            at = first_difference(old.get(key, UNDEFINED), new.get(key, UNDEFINED), f"{path}.{key}")
            if at is not None:
                return at
        return None
    if is_list(old) and is_list(new):
        for index, (one, other) in enumerate(zip(old, new, strict=False)):
            at = first_difference(one, other, f"{path}[{index}]")
            if at is not None:
                return at
        return None if len(old) == len(new) else f"{path}[{min(len(old), len(new))}]"
    return None if repr(old) == repr(new) else path or "."
