"""What becomes of the late rows of a map: they are kept, take their place in a later pass, or are dropped."""

from __future__ import annotations

from collections.abc import Collection

from perdure.engine.board import Board
from perdure.engine.maps.late import LateRow, identity
from perdure.engine.maps.opened_graphs import Nested
from perdure.engine.state import GraphRun


def keep(board: Board, run: GraphRun, name: str, nested: Nested) -> None:
    """A map has its result: takes its late rows out of it. Those that have failed remain, to be discarded."""
    kept = run.late_rows.setdefault(name, {})
    for number in list(nested.children):
        child = board.runs[number]
        row = nested.row_of(number, child.map_index)
        key = identity(nested.starts, row)
        has_failed = child.outcome is not None and child.outcome.failure is not None
        if not has_failed and key not in kept:
            kept[key] = LateRow(number, nested.passes.get(row, run.iteration))
            nested.children.remove(number)
    if not kept:
        del run.late_rows[name]


def take(board: Board, run: GraphRun, name: str, nested: Nested, row: int) -> bool:
    """Puts the late row that row `row` of this pass is into its place; False if there is none.

    Raises QuotaExceeded.
    """
    kept = run.late_rows.get(name, {})
    late = kept.pop(identity(nested.starts, row), None)
    if late is None:
        return False
    if not kept:
        del run.late_rows[name]
    nested.children.append(late.graph)
    nested.places[late.graph], nested.passes[row] = row, late.iteration
    child = board.runs[late.graph]
    if child.outcome is not None:
        board.collect_row(run, nested, child, child.outcome.value)
    return True


def is_ended(board: Board, run: GraphRun, name: str, child: GraphRun) -> bool:
    """Whether the graph that has ended is of a row without a place. One that failed is begun again later."""
    kept = run.late_rows.get(name, {})
    key = next((key for key, late in kept.items() if late.graph == child.id), None)
    if key is None:
        return False
    if child.outcome is not None and child.outcome.failure is not None:
        del kept[key]
        board.forget([*child.walk(board.runs)])
    return True


def drop(board: Board, run: GraphRun, names: Collection[str] | None = None) -> None:
    """Cancels the late rows of these nodes, of all without names."""
    for name in [name for name in run.late_rows if names is None or name in names]:
        for late in run.late_rows.pop(name).values():
            board.forget([*board.runs[late.graph].walk(board.runs)])
