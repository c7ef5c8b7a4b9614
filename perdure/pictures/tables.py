"""Tables and bars as a page of HTML that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from perdure.graph.text.shown import line
from perdure.pictures.drawing import HTML_STYLE
from perdure.pictures.plots import COLORS, legend

_BAR_WIDTH_PX = 640
_BAR_HEIGHT_PX = 22

Table = tuple[str, Sequence[str], Sequence[Sequence[str]]]
"""Its title, the titles of its columns, its rows."""


def tables_page(
    title: str, parts: Mapping[str, float], tables: Sequence[Table], plots: Sequence[str] = ()
) -> str:
    """A page with a bar of `parts`, each as long as its share, then plots, and the tables under them."""
    head = escape(line(title))
    style = f"{HTML_STYLE}.part{{display:inline-block;margin-right:1.5rem}}h2{{margin-top:2rem}}\n"
    body = "".join(plots) + "".join(_table(*table) for table in tables)
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{head}</title>\n'
        f"<style>{style}</style>\n<h1>{head}</h1>\n{_bar(parts)}{body}</html>"
    )


def _bar(parts: Mapping[str, float]) -> str:
    total = sum(parts.values())
    if not total:
        return ""
    pieces, at = "", 0.0
    names = [f"{name}: {size / total:.1%}" for name, size in parts.items()]
    for color, name, size in zip(COLORS, names, parts.values(), strict=False):
        width = _BAR_WIDTH_PX * size / total
        pieces += (
            f'<rect x="{at:.1f}" width="{width:.1f}" height="{_BAR_HEIGHT_PX}" fill="{color}">'
            f"<title>{escape(line(name))}</title></rect>"
        )
        at += width
    size = f'width="{_BAR_WIDTH_PX}" height="{_BAR_HEIGHT_PX}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">{pieces}</svg>\n{legend(names)}'


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = "".join("<tr>" + "".join(f"<td>{escape(line(cell))}" for cell in row) for row in rows)
    titles = "".join(f"<th>{escape(line(head))}" for head in heads)
    return f"<h2>{escape(line(title))}</h2>\n<table><tr>{titles}{cells}</table>\n"
