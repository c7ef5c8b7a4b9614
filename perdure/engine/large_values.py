"""The large values of a run, each with a way to put the place where it is stored in its stead.

Why
    A run that continues as new hands on its whole state in one payload, for which the server has a
    limit. What the run holds by value is brought to the store first.

Invariants
    The order follows from the run alone: an activity stores the values as one list, and its answer is
    matched by position, in a replay too.
    What is put reads as the value did. A result that is also the node's initial value stays one object,
    since snapshot.py writes it once. Row 0 of a map stays here member by member, because the columns of
    a compositeResult are named by its keys.
    What a call depends on that people approve, or may be asked about, stays here as well: the digest of the
    call is computed again, and a value that is in the store has another one.

Rejected: to replace values in the snapshot, which is plain data, on its way out. If something happens
meanwhile, the run continues as it is; then nothing would be gained, and the next try would store all
of it again. In the run's own state it is replaced for good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from math import inf

from perdure.engine.live_bytes import row_bytes
from perdure.engine.maps.opened_graphs import Nested
from perdure.engine.maps.starts import Rows
from perdure.engine.messages import RunAgent
from perdure.engine.scheduler import Scheduler
from perdure.engine.state import GraphRun, NodeRun
from perdure.graph.human_input import APPROVAL
from perdure.graph.values import UNDEFINED, Value


@dataclass(frozen=True, slots=True)
class LargeValue:
    """A value of the run, and how another form of it takes its place."""

    value: Value
    put: Callable[[Value], None]


def large_values(scheduler: Scheduler, portion: float = inf) -> Iterator[LargeValue]:
    """Every value that may be large, in an order that only the run decides.

    The rows of a map are together as far as they have `portion` bytes. A value may be put before the next one
    is taken.
    """
    runs, staying = scheduler.board.runs, _staying(scheduler)
    for run in runs.values():
        yield from _of_run(run, portion, staying.get(run.id, frozenset()))
        for kept in run.late_rows.values():
            for late in kept.values():
                yield from _of_ended(runs[late.graph])
    for flight in scheduler.board.calls.values():
        if not isinstance(flight.command, RunAgent):
            continue
        if flight.command.agent == APPROVAL:
            yield from _of_question(flight.command.inputs)
        elif not scheduler.nodes.approvals.depends_on(runs[flight.run], flight.node):
            yield LargeValue(flight.command.inputs, _putter(flight.command, "inputs"))


def _of_question(facts: dict[str, Value]) -> Iterator[LargeValue]:
    """What a question shows; what its answer is compared with stays."""
    for key in ("inputs", "params", "graph"):
        if key in facts:
            yield LargeValue(facts[key], partial(facts.__setitem__, key))


def _staying(scheduler: Scheduler) -> dict[int, frozenset[str]]:
    """The nodes, by graph, whose values an approval depends on."""
    approvals, staying = scheduler.nodes.approvals, dict[int, frozenset[str]]()
    if approvals.asks:
        for run in scheduler.board.runs.values():
            names = [name for name in run.plan.computed if approvals.depends_on(run, name)]
            staying[run.id] = frozenset[str]().union(*(run.plan.computed[name].needs for name in names))
    return staying


def _of_run(run: GraphRun, portion: float, staying: frozenset[str]) -> Iterator[LargeValue]:
    for name, value in run.values.items():
        if name not in staying:
            yield LargeValue(value, lambda new, name=name: run.values.__setitem__(name, new))
    for name, node in run.nodes.items():
        if name in staying:
            continue
        if node.result is not UNDEFINED:
            yield LargeValue(node.result, _of_node(node, node.result is node.value))
        if node.value is not UNDEFINED and node.value is not node.result:
            yield LargeValue(node.value, _putter(node, "value"))
        if node.nested is not None:
            yield from _of_nested(node.nested, portion)


def _of_ended(run: GraphRun) -> Iterator[LargeValue]:
    results: dict[str, Value] = {} if run.outcome is None else run.outcome.value
    for name, value in results.items():
        yield LargeValue(value, lambda new, name=name: results.__setitem__(name, new))


def _of_node(node: NodeRun, also_value: bool) -> Callable[[Value], None]:
    def put(new: Value) -> None:
        node.result = new
        if also_value:
            node.value = new

    return put


def _of_nested(nested: Nested, portion: float) -> Iterator[LargeValue]:
    first = nested.results.get(0, {})  # stays: its members name the columns of a compositeResult
    rows = sorted(row for row in nested.results if row)

    def put(rows: list[int], new: Value) -> None:
        nested.kept.append((rows, new))
        for row in rows:
            del nested.results[row]

    def put_first(name: str, new: Value) -> None:
        nested.results[0] = {**nested.results[0], name: new}

    for name, value in first.items():
        yield LargeValue(value, partial(put_first, name))
    for some in _portions(nested, rows, portion):
        yield LargeValue([nested.results[row] for row in some], partial(put, some))
    starts = nested.starts
    if isinstance(starts, Rows):
        yield LargeValue(starts.rows, lambda new: setattr(nested, "starts", replace(starts, rows=new)))


def _portions(nested: Nested, rows: list[int], portion: float) -> Iterator[list[int]]:
    some: list[int] = []
    size = 0
    for row in rows:
        some.append(row)
        size += 0 if portion == inf else row_bytes(nested.results[row])
        if size > portion:
            yield some
            some, size = [], 0
    if some:
        yield some


def _putter(owner: object, name: str) -> Callable[[Value], None]:
    return lambda new: setattr(owner, name, new)
