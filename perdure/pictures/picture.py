"""Where each node of a graph is drawn: one layout for the live page, `perdure show` and reports.

Why
    A layout costs a browser much and a server little, `show --format svg` has no browser, and one
    picture that is computed once per graph looks the same wherever it is shown.

Invariants
    The same document gives the same picture. Graphs inside nodes have no edges across their
    border, so each is laid out alone and becomes the size of its node.
    No picture has more than MAX_PICTURE_NODE_COUNT nodes: a larger graph is drawn as the
    neighbourhood of one node, and graphs inside nodes beyond that stay folded.

Rejected
    Layout in the browser: libraries of hundreds of kilobytes, seconds for a thousand nodes, and a
    second picture for the command line.
    A layout of our own: fewer lines to install, and many more crossings.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Final, Literal, TypeAlias

from perdure.errors import UsageError
from perdure.graph.javascript import to_string
from perdure.graph.nested import has_graph
from perdure.graph.text.shown import line
from perdure.graph.values import Value, is_dict, ordered_keys
from perdure.pictures.edges import Edge, LineKind, edges_of, leads_on
from perdure.pictures.layout import settings, within_budget
from perdure.version import installation

MAX_PICTURE_NODE_COUNT: Final = 300
"""Nodes that one picture shows, those of graphs inside nodes included."""

MAX_TITLE_CHARS: Final = 32
"""Characters of an id or of an agent's name that are drawn; the whole is in the tooltip."""

_NEIGHBOUR_STEP_COUNT = 2
_CHAR_PX, _SMALL_CHAR_PX = 7.6, 6.4
_COUNT_CHARS, _MAP_COUNT_CHARS = 8, 22  # room for "3/20", "18/20 rows, 2 failed"
_NODE_HEIGHT_PX, _MIN_NODE_WIDTH_PX, _PADDING_PX = 44.0, 96.0, 12.0
_STRIP_HEIGHT_PX = 14.0

BoxKind: TypeAlias = Literal["static", "computed", "nested", "map"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A node, in pixels from the top left of the whole picture.

    `address` is its place in the document, such as ``chapters.summarize``. `hidden` counts the nodes of
    its graph that are not drawn. A map has room for a strip above its graph.
    """

    address: str
    title: str
    agent: str
    kind: BoxKind
    x: float
    y: float
    width: float
    height: float
    hidden: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What flows from one node to another: data, the value of a condition, or an update for the next pass."""

    source: str
    target: str
    kind: LineKind
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """The boxes of all levels, outer ones first, and the lines between them. Sizes are in pixels.

    `total` counts the nodes of the document's top level: more than are drawn where it is large.
    `hidden_lines` counts the references between drawn nodes, at all levels, that have no line.
    """

    width: float
    height: float
    total: int
    boxes: tuple[Box, ...] = ()
    lines: tuple[Line, ...] = ()
    hidden_lines: int = 0


@dataclass(slots=True)
class _Budget:
    """How many nodes may still be drawn."""

    left: int = MAX_PICTURE_NODE_COUNT


@dataclass(slots=True, kw_only=True)
class _Drawn:
    """A node with its size, before it has a place; `inner` is the picture of its graph."""

    name: str
    node: Mapping[str, Value]
    kind: BoxKind
    width: float
    height: float
    agent: str = ""
    hidden: int = 0
    inner: Picture | None = None


@dataclass(slots=True)
class _Canvas:
    """What is laid out for one graph."""

    boxes: list[Box] = field(default_factory=list[Box])
    lines: list[Line] = field(default_factory=list[Line])


def picture(document: Value, around: str | None = None) -> Picture:
    """The picture of a graph, valid or not; only what can be drawn is drawn.

    Args:
        document: A graph as perdure.graph.text.load reads it.
        around: A node of its top level, for graphs of more than MAX_PICTURE_NODE_COUNT nodes: it is
            drawn with what is at most two references away. The first node where it is None or unknown.

    Raises UsageError where the layout library is not installed.
    """
    return _picture(document, "", _layout_library(), _Budget(), around)


def _layout_library() -> ModuleType:
    try:
        return importlib.import_module("graphlay")
    except ImportError:
        raise UsageError("pictures need the package graphlay", hint=installation("ui")) from None


def _picture(
    document: Value, prefix: str, library: ModuleType, budget: _Budget, around: str | None = None
) -> Picture:
    nodes = document.get("nodes") if is_dict(document) else None
    if not is_dict(nodes) or not nodes:
        return Picture(width=_MIN_NODE_WIDTH_PX, height=_NODE_HEIGHT_PX, total=0)
    edges = list(dict.fromkeys(edges_of(nodes)))
    names = _chosen(ordered_keys(nodes), edges, budget.left, around)
    budget.left -= len(names)
    drawn = [_measured(name, nodes[name], prefix, library, budget) for name in names]
    shown = set(names)
    kept = [edge for edge in edges if edge[0] in shown and edge[1] in shown]
    lines = within_budget(names, kept)
    width, height, canvas = _placed(drawn, lines, prefix, library)
    return Picture(
        width=width,
        height=height,
        total=len(nodes),
        boxes=tuple(canvas.boxes),
        lines=tuple(canvas.lines),
        hidden_lines=len(kept) - len(lines) + sum(item.inner.hidden_lines for item in drawn if item.inner),
    )


def _chosen(names: list[str], edges: list[Edge], limit: int, around: str | None) -> list[str]:
    """The names that are drawn, in document order: all, or the neighbourhood of one."""
    if len(names) <= limit:
        return names
    neighbours: dict[str, list[str]] = {}
    for source, target, _ in edges:
        neighbours.setdefault(source, []).append(target)
        neighbours.setdefault(target, []).append(source)
    centre = around if around in set(names) else names[0]
    nearest = wave = dict.fromkeys([centre])
    for _ in range(_NEIGHBOUR_STEP_COUNT):
        adjacent = (other for name in wave for other in neighbours.get(name, ()))
        wave = dict.fromkeys(other for other in adjacent if other not in nearest)
        nearest = dict.fromkeys([*nearest, *wave][:limit])
    return [name for name in names if name in nearest]


def _measured(name: str, node: Value, prefix: str, library: ModuleType, budget: _Budget) -> _Drawn:
    """The node with the size of what is drawn in it."""
    body: Mapping[str, Value] = node if is_dict(node) else {}
    agent = line(to_string(body["agent"])) if body.get("agent") is not None else ""
    counts = _MAP_COUNT_CHARS if agent == "mapAgent" else _COUNT_CHARS if prefix else 0
    longest = max(_CHAR_PX * (len(_short(name)) + 2), _SMALL_CHAR_PX * (len(_short(agent)) + counts))
    width = max(_MIN_NODE_WIDTH_PX, longest + 2 * _PADDING_PX)
    kind: BoxKind = "computed" if "agent" in body else "static"
    drawn = _Drawn(name=name, node=body, kind=kind, width=width, height=_NODE_HEIGHT_PX, agent=agent)
    if not has_graph(dict(body)):
        return drawn
    drawn.kind = "map" if agent == "mapAgent" else "nested"
    drawn.height += _STRIP_HEIGHT_PX if drawn.kind == "map" else 0
    graph = body["graph"]
    inner_nodes = graph.get("nodes") if is_dict(graph) else None
    count = len(inner_nodes) if is_dict(inner_nodes) else 0
    if count > budget.left:
        drawn.hidden = count
        return drawn
    inner = _picture(graph, f"{prefix}{name}.", library, budget)
    drawn.inner = inner
    drawn.width = max(width, inner.width + 2 * _PADDING_PX)
    drawn.height += inner.height + _PADDING_PX
    return drawn


def _placed(
    drawn: list[_Drawn], edges: list[Edge], prefix: str, library: ModuleType
) -> tuple[float, float, _Canvas]:
    """Lays out one graph. Updates do not take part in the ranks: they lead back up."""
    forward = library.Graph()
    for item in drawn:
        forward.node(item.name, width=item.width, height=item.height)
    onward = [edge for edge in edges if leads_on(edge)]
    for source, target, _ in onward:
        forward.edge(source, target)
    back = [edge for edge in edges if edge[2] == "update"]
    chosen = settings([item.name for item in drawn], edges)
    layout = library.layout(forward, **chosen)
    if back:
        for item, place in zip(forward.nodes, layout.nodes, strict=True):
            item["position"] = place["center"]
        for source, target, _ in back:
            forward.edge(source, target)
        layout = library.reroute(forward, **chosen)
    corner, far = layout.bounds["min"], layout.bounds["max"]
    canvas = _Canvas()
    for item, place in zip(drawn, layout.nodes, strict=True):
        left = place["center"]["x"] - item.width / 2 - corner["x"]
        top = place["center"]["y"] - item.height / 2 - corner["y"]
        _put(canvas, item, prefix, left, top)
    for (source, target, kind), path in zip([*onward, *back], layout.edges, strict=True):
        points = tuple(_at(point, corner) for point in path["points"])
        canvas.lines.append(Line(source=prefix + source, target=prefix + target, kind=kind, points=points))
    return round(far["x"] - corner["x"], 1), round(far["y"] - corner["y"], 1), canvas


def _at(point: Mapping[str, float], corner: Mapping[str, float]) -> tuple[float, float]:
    return round(point["x"] - corner["x"], 1), round(point["y"] - corner["y"], 1)


def _put(canvas: _Canvas, item: _Drawn, prefix: str, left: float, top: float) -> None:
    """Puts a node at its place, and what is drawn inside it."""
    canvas.boxes.append(
        Box(
            address=prefix + item.name,
            title=_short(item.name),
            agent=_short(item.agent),
            kind=item.kind,
            x=round(left, 1),
            y=round(top, 1),
            width=round(item.width, 1),
            height=round(item.height, 1),
            hidden=item.hidden,
        )
    )
    if item.inner is None:
        return
    right = left + (item.width - item.inner.width) / 2
    down = top + item.height - item.inner.height - _PADDING_PX
    for box in item.inner.boxes:
        canvas.boxes.append(replace(box, x=round(box.x + right, 1), y=round(box.y + down, 1)))
    for inner in item.inner.lines:
        points = tuple((round(x + right, 1), round(y + down, 1)) for x, y in inner.points)
        canvas.lines.append(replace(inner, points=points))


def _short(text: str) -> str:
    shown = line(text)
    return shown if len(shown) <= MAX_TITLE_CHARS else shown[: MAX_TITLE_CHARS - 1] + "…"
