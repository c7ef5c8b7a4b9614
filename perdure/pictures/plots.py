"""Plots as SVG: steps and lines over a common scale, and bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from perdure.graph.text.shown import line

_WIDTH_PX: Final = 640
_HEIGHT_PX: Final = 200
_MARGIN_PX: Final = 48
_ROW_PX: Final = 24
_LABEL_PX: Final = 180
MAX_PLOT_ROW_COUNT: Final = 40
"""Bars of one plot: the first ones."""

COLORS: Final = ("#2f7d4f", "#3273a8", "#c98a1b", "#7a5cc4", "#8b93a1")
"""Of parts, in their order; the first ones also of lines."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Series:
    """Points joined by a line, with a band from `low` to `high` where these are known."""

    name: str
    points: Sequence[Point]
    low: Sequence[Point] = ()
    high: Sequence[Point] = ()


def lines_plot(title: str, x: str, y: str, series: Sequence[Series]) -> str:
    """Lines in one frame, which begins at zero; "" without points. `x` and `y` say what the axes are."""
    points = [
        point
        for drawn_series in series
        for point in (*drawn_series.points, *drawn_series.low, *drawn_series.high)
    ]
    if not points:
        return ""
    right, top = (max(values) or 1.0 for values in zip(*points, strict=True))
    left = min(0.0, *(point[0] for point in points))

    def at(point: Point) -> str:
        across = (point[0] - left) / ((right - left) or 1.0)
        return f"{_MARGIN_PX + across * _WIDTH_PX:.1f},{_MARGIN_PX + (1 - point[1] / top) * _HEIGHT_PX:.1f}"

    drawn = ""
    for color, drawn_series in zip(COLORS, series, strict=False):
        name = escape(line(drawn_series.name))
        if drawn_series.low:
            around = " ".join(map(at, (*drawn_series.high, *reversed(drawn_series.low))))
            drawn += f'<polygon points="{around}" fill="{color}" opacity=".2"/>'
        drawn += (
            f'<polyline points="{" ".join(map(at, drawn_series.points))}" fill="none" stroke="{color}" '
            f'stroke-width="2"><title>{name}</title></polyline>'
        )
    below = _MARGIN_PX + _HEIGHT_PX
    axes = (
        f'<path d="M{_MARGIN_PX} {_MARGIN_PX}V{below}H{_MARGIN_PX + _WIDTH_PX}" fill="none" '
        f'stroke="currentColor"/>'
        + _text(_MARGIN_PX, _MARGIN_PX - 8, f"{y}, up to {top:.3g}")
        + _text(_MARGIN_PX, below + 18, f"{x}: {left:.3g} to {right:.3g}")
    )
    return _figure(title, _WIDTH_PX + 2 * _MARGIN_PX, _HEIGHT_PX + 2 * _MARGIN_PX, axes + drawn)


def bars_plot(title: str, parts: Sequence[str], rows: Sequence[tuple[str, Sequence[float]]]) -> str:
    """A bar for each row, made of its parts, all to one scale; "" where all are zero."""
    longest = max((sum(sizes) for _, sizes in rows), default=0.0)
    if not longest:
        return ""
    drawn = ""
    for number, (name, sizes) in enumerate(rows[:MAX_PLOT_ROW_COUNT]):
        across, down = float(_LABEL_PX), number * _ROW_PX
        drawn += _text(0, down + 16, name)
        for color, part, size in zip(COLORS, parts, sizes, strict=False):
            width = _WIDTH_PX * size / longest
            drawn += (
                f'<rect x="{across:.1f}" y="{down + 2}" width="{width:.1f}" height="{_ROW_PX - 6}" '
                f'fill="{color}"><title>{escape(line(f"{part}: {size:.3g}"))}</title></rect>'
            )
            across += width
    height = _ROW_PX * min(len(rows), MAX_PLOT_ROW_COUNT)
    return _figure(title, _LABEL_PX + _WIDTH_PX, height, drawn) + legend(parts)


def legend(parts: Sequence[str]) -> str:
    """What the colors are."""
    marks = (
        f'<span class="part"><span style="color:{color}">■</span> {escape(line(name))}</span>'
        for color, name in zip(COLORS, parts, strict=False)
    )
    return f"<p>{''.join(marks)}</p>\n"


def _text(x: float, y: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="currentColor" font-size="12">{escape(line(text))}</text>'


def _figure(title: str, width: int, height: int, body: str) -> str:
    frame = f'xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" role="img"'
    return f"<h2>{escape(line(title))}</h2>\n<svg {frame}>{body}</svg>\n"
