"""A run as the page shows it: boxes of the picture with their states, rows of a map, a node.

Every view is made of the read model (perdure.history.model), and small whatever the size of the run: a map of
ten thousand rows is one box with counts and a strip of STRIP_CELL_COUNT cells.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from perdure.engine.granting.prices import Prices
from perdure.engine.maps.places import covers
from perdure.history.model import NodeModel, Phase, Question, RunModel
from perdure.history.spent import spent_by_node, total

STRIP_CELL_COUNT: Final = 100
"""Cells of the strip that stands for the rows of a map."""

MAX_PAGE_ROW_COUNT: Final = 200
"""Rows of a map that one answer has."""

MAX_CONSOLE_LINE_COUNT: Final = 200
"""Lines of the console that are shown: the newest."""

_WORST_FIRST: Final = (
    Phase.FAILED,
    Phase.TIMED_OUT,
    Phase.ASKS,
    Phase.LOST,
    Phase.PAUSED,
    Phase.BACKOFF,
    Phase.RUNNING,
    Phase.QUEUED_THERE,
    Phase.QUEUED_HERE,
    Phase.ABORTED,
    Phase.WAITING,
    Phase.FELL_BACK,
    Phase.COMPLETED,
    Phase.INJECTED,
    Phase.SKIPPED,
)
_OPEN: Final = frozenset(_WORST_FIRST[_WORST_FIRST.index(Phase.ASKS) : _WORST_FIRST.index(Phase.ABORTED)])
"""Phases of a node that executes, or would if it could."""

_RANK: Final = {phase: rank for rank, phase in enumerate(_WORST_FIRST)}


@dataclass(slots=True)
class _Box:
    """All nodes of a run that one box of the picture stands for."""

    phases: Counter[Phase] = field(default_factory=Counter[Phase])
    nodes: list[NodeModel] = field(default_factory=list[NodeModel])


def state(model: RunModel, prices: Prices | None = None) -> dict[str, Any]:
    """What a page of the run shows at first sight, and follows."""
    lines = model.console[-MAX_CONSOLE_LINE_COUNT:]
    console = [{"address": line.address, "text": line.text, "time": line.time} for line in lines]
    return {"run": summary(model, prices), "boxes": boxes(model), "console": console, "trouble": None}


def summary(model: RunModel, prices: Prices | None = None) -> dict[str, Any]:
    """The run itself: its state, times, counts, questions, failure, and what it used and cost."""
    return {
        "id": model.id,
        "name": model.name,
        "state": model.state,
        "started": model.started,
        "ended": model.ended,
        "queue": model.queue,
        "executions": len(model.chain),
        "attempt": model.attempt,
        "whole": model.is_whole,
        "counts": dict(model.counts),
        "failure": model.failure,
        "cause": None if model.cause is None else asdict(model.cause),
        "errors": dict(model.errors),
        "problem": model.problem,
        "spent": asdict(total(spent_by_node(model, prices or Prices()))),
        "questions": [question_view(question) for question in model.questions],
        "paused": list(model.paused) if model.is_open else [],
        "changes": [asdict(change) for change in model.interventions],
    }


def question_view(question: Question) -> dict[str, Any]:
    """One question, with what its form is made of."""
    prompt = question.prompt
    return {
        "address": question.address,
        "path": prompt.path,
        "message": prompt.message,
        "required": prompt.required,
        "schema": prompt.schema,
        "prefill": prompt.prefill,
        "who": prompt.who,
        "quorum": prompt.quorum,
        "asked": prompt.asked,
        "answers": prompt.answers,
    }


def boxes(model: RunModel) -> dict[str, dict[str, Any]]:
    """What each box of the picture shows, by its address in the document: the last pass of every graph."""
    places = _places(model)
    latest: dict[tuple[str | None, int | None, str], NodeModel] = {}
    for node in model.nodes.values():
        latest[node.parent, node.row, node.node] = node  # passes come in their order
    grouped: dict[str, _Box] = {}
    for node in latest.values():
        box = grouped.setdefault(places[node.address], _Box())
        box.phases[node.phase] += 1
        box.nodes.append(node)
    strips = _strips(model)
    shown = {place: _box_view(box, strips) for place, box in grouped.items()}
    for place in _held(model, grouped):
        shown[place]["held"] = True
    return shown


def _held(model: RunModel, grouped: Mapping[str, _Box]) -> Iterator[str]:
    """The boxes with a node that a person has paused before it began."""
    if model.paused and model.is_open:
        for place, box in grouped.items():
            waiting = (node for node in box.nodes if node.phase in (Phase.WAITING, Phase.QUEUED_HERE))
            if any(covers(paused, node.address) for node in waiting for paused in model.paused):
                yield place


def _places(model: RunModel) -> dict[str, str]:
    """The address in the document for each address in the run: without rows and passes."""
    places: dict[str, str] = {}
    for address, node in model.nodes.items():
        outer = places.get(node.parent) if node.parent is not None else None
        places[address] = node.node if outer is None else f"{outer}.{node.node}"
    return places


def _box_view(box: _Box, strips: Mapping[str, str]) -> dict[str, Any]:
    worst = min(box.phases, key=_RANK.__getitem__)
    view: dict[str, Any] = {"phase": str(worst), "count": len(box.nodes)}
    if len(box.nodes) > 1:
        view["phases"] = {str(phase): count for phase, count in box.phases.items()}
        return view
    (node,) = box.nodes
    view |= {"address": node.address, "pass": node.iteration, "started": node.started, "ended": node.ended}
    if node.failure is not None:
        view["failure"] = node.failure
    if node.rows is not None and node.agent == "mapAgent":
        rows = node.rows
        view["rows"] = {"total": rows.total, "opened": rows.opened, "done": rows.done, "failed": rows.failed}
        view["strip"] = strips.get(node.address, "")
    return view


def _row_phases(model: RunModel) -> dict[str, dict[int, Phase]]:
    """The worst phase of each row, by the address of its map. Rows that are not open yet have none."""
    by_map: dict[str, dict[int, Phase]] = {}
    maps: dict[str, tuple[str, int]] = {}
    for node in model.nodes.values():
        if node.parent is None:
            continue
        own = (node.parent, node.row) if node.row is not None else maps.get(node.parent)
        if own is None:
            continue
        maps[node.address] = own
        rows = by_map.setdefault(own[0], {})
        before = rows.get(own[1])
        if before is None or _RANK[node.phase] < _RANK[before]:
            rows[own[1]] = node.phase
    return by_map


def _strips(model: RunModel) -> dict[str, str]:
    """For each map one letter a cell: the worst state of its rows (see LETTERS)."""
    strips: dict[str, str] = {}
    for address, rows in _row_phases(model).items():
        counts = model.nodes[address].rows
        total = max(counts.total if counts is not None else 0, len(rows))
        cells = min(total, STRIP_CELL_COUNT)
        worst = [len(_WORST_FIRST)] * cells
        for row, phase in rows.items():
            cell = min(row * cells // total, cells - 1)
            worst[cell] = min(worst[cell], _RANK[phase])
        strips[address] = "".join(
            LETTERS[_WORST_FIRST[rank]] if rank < len(_WORST_FIRST) else " " for rank in worst
        )
    return strips


LETTERS: Final[Mapping[Phase, str]] = dict(zip(_WORST_FIRST, "ftalpbrqhxwvcis", strict=True))
"""The letter of each phase in a strip; a space is a row that is not open yet."""


def rows_page(model: RunModel, address: str, offset: int, limit: int, phase: str = "") -> dict[str, Any]:
    """Rows of a map from `offset` on, at most MAX_PAGE_ROW_COUNT: of one `phase`, or of all.

    Raises UsageError where no node is at `address`.
    """
    node = model.node(address)
    states = _row_phases(model).get(node.address, {})
    total = node.rows.total if node.rows is not None else 0
    chosen = [row for row in range(total) if not phase or states.get(row, Phase.WAITING) == phase]
    shown = chosen[offset : offset + min(limit, MAX_PAGE_ROW_COUNT)]
    inner: dict[int, list[NodeModel]] = {row: [] for row in shown}
    for item in model.inside(node.address):
        if item.row in inner:
            inner[item.row].append(item)
    return {
        "address": node.address,
        "total": len(chosen),
        "offset": offset,
        "rows": [_row_view(row, states.get(row, Phase.WAITING), inner[row]) for row in shown],
    }


def _row_view(row: int, phase: Phase, nodes: Iterable[NodeModel]) -> dict[str, Any]:
    items = list(nodes)
    starts = [node.started for node in items if node.started is not None]
    is_open = any(node.phase in _OPEN for node in items)
    ends = [node.ended for node in items if node.ended is not None and not is_open]
    return {
        "row": row,
        "phase": str(phase),
        "seconds": (max(ends) - min(starts)) / 1000 if starts and ends else None,
        "failure": next((node.failure for node in items if node.failure is not None), None),
        "nodes": [
            {"address": node.address, "node": node.node, "phase": str(node.phase)}
            for node in items
            if node.agent is not None
        ],
    }
