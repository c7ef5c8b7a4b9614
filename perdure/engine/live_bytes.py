"""How many bytes a run holds at a time: its quota `live`.

Why. Each value has a bound of its own (perdure.graph.sizes), but a graph may have as many as it likes: a
map of a map collects a million small ones, a map of long strings a gigabyte of them, before any of it is one
value; a graph that maps itself opens graphs by the hundred thousand. All of it is in the memory of the
worker that the run is on, and in that of the next one.

Invariant. A graph's `live` are the bytes of itself, of the results of its nodes, of the rows that its maps
have collected, and of what its loop carries over. Those of the board are the sum over its graphs. What is in
the store counts next to nothing. All of it follows from the state, so snapshots are without (`recount`): a
segment that counted more than its run would stop where the run does not, again and again.

Rejected: to measure the process, which holds many runs, and would decide differently in a replay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Final

from perdure.engine.maps.version_gates import Gates
from perdure.engine.state import GraphRun, NodeState
from perdure.graph.sizes import CONTAINER_BYTES, ENCODED_TEXT_CHARS, SCALAR_BYTES, size_of
from perdure.graph.values import UNDEFINED, Value, is_object

_SCALARS: Final = frozenset({int, float, bool, type(None)})

ROW_OVERHEAD_BYTES: Final = 300
"""What a row takes that is collected, in addition to its values."""

_ONE_MEMBER_BYTES: Final = CONTAINER_BYTES + SCALAR_BYTES
_ONE_ROW_BYTES: Final = ROW_OVERHEAD_BYTES + _ONE_MEMBER_BYTES

GRAPH_OVERHEAD_BYTES: Final = 1_000
"""What an open graph takes, in addition to its nodes ..."""

NODE_OVERHEAD_BYTES: Final = 250
"""... and what each of those takes, with a small result."""

MAX_INLINE_INPUT_BYTES: Final = 32_000_000
"""Bytes of the inputs of a call without what is in the store: a worker makes several copies of them."""


def input_limit(gates: Gates) -> float:
    """Bytes that the inputs of a call may have without what is in the store."""
    return MAX_INLINE_INPUT_BYTES if gates.bounds_inputs else inf


def open_bytes(run: GraphRun) -> int:
    """What a graph counts that has just begun; its paths grow with its depth."""
    return GRAPH_OVERHEAD_BYTES + NODE_OVERHEAD_BYTES * len(run.plan.order) + len(run.path) + len(run.key)


def result_bytes(value: Value) -> int:
    """What the result of a node counts; nothing where it is a small one, for it is counted with its node."""
    size = _size(value)
    return size if size > NODE_OVERHEAD_BYTES else 0


def row_bytes(value: Value) -> int:
    """What the collected results of a row count."""
    return ROW_OVERHEAD_BYTES + _size(value)


@dataclass(slots=True)
class Measure:
    """Measures results and rows. It keeps the last result: the row that ends with it is not walked again."""

    _last: Value = None
    _size: int = 0

    def note(self, value: Value, size: int) -> None:
        """A value that was measured elsewhere, and will be the next result."""
        self._last, self._size = value, size

    def result(self, value: Value) -> int:
        """As result_bytes."""
        if value is self._last and is_object(value):
            size = self._size
        elif value.__class__ is dict and len(value) == 1:  # as _size, without the call
            ((name, item),) = value.items()
            kind = item.__class__
            if kind in _SCALARS:
                size = _ONE_MEMBER_BYTES + len(name)
            elif kind is str and len(item) < ENCODED_TEXT_CHARS:
                size = _ONE_MEMBER_BYTES + len(name) + len(item)
            else:
                size = _size(value)
        else:
            size = _size(value)
        self._last, self._size = value, size
        return size if size > NODE_OVERHEAD_BYTES else 0

    def row(self, value: Mapping[str, Value]) -> int:
        """As row_bytes."""
        last = self._last
        if len(value) == 1 and last.__class__ is dict:
            ((name, item),) = value.items()
            if item is last:
                self._last = None
                return _ONE_ROW_BYTES + len(name) + self._size
        return ROW_OVERHEAD_BYTES + _size(value)


def _size(value: Value) -> int:
    """As size_of, and in a moment for small values, which most are."""
    if value.__class__ is not dict:
        return size_of(value, stored=False)
    total = CONTAINER_BYTES + SCALAR_BYTES * len(value)
    for name, item in value.items():
        kind = item.__class__
        total += len(name)
        if kind in _SCALARS:
            continue
        if kind is str and len(item) < ENCODED_TEXT_CHARS:
            total += len(item)
        elif kind is dict and len(item) == 1:
            ((inner, part),) = item.items()
            if part.__class__ not in _SCALARS:
                return size_of(value, stored=False)
            total += CONTAINER_BYTES + SCALAR_BYTES + len(inner)
        else:
            return size_of(value, stored=False)
    return total


def carried_bytes(run: GraphRun) -> int:
    """What a graph counts whose iteration begins, with what its static nodes have from the one before."""
    size, nodes = run.own_bytes, run.nodes
    for name in run.plan.updated if run.iteration else ():
        value = nodes[name].value
        if value.__class__ not in _SCALARS:
            size += result_bytes(value)
    return size


def recount(run: GraphRun) -> None:
    """Counts what `run` holds again, as in a snapshot or once values are in the store."""
    run.own_bytes = open_bytes(run)
    run.live = carried_bytes(run)
    for name in run.plan.computed:
        node = run.nodes[name]
        if node.state in (NodeState.COMPLETED, NodeState.FELL_BACK) and node.result is not UNDEFINED:
            run.live += result_bytes(node.result)
        if node.nested is not None:
            node.nested.live = sum(map(row_bytes, node.nested.results.values()))
            failed = [row for row in node.nested.missing.values() if row.why == "failed"]
            node.nested.live += sum(row_bytes(row.message) for row in failed)
            run.live += node.nested.live
