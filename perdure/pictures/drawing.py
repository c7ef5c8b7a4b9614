"""A picture as SVG, alone or in a page of HTML that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Final

from perdure.engine.state import STATE_MARKS
from perdure.graph.text.shown import line
from perdure.pictures.picture import Box, Line, Picture
from perdure.pictures.states import LOOKS, stylesheet

_MARGIN_PX: Final = 16
_STYLE: Final = """\
svg{color-scheme:light dark;font:13px system-ui,sans-serif;background:light-dark(#fff,#16181c)}
rect{fill:var(--fill);stroke:var(--border)}
text{fill:var(--text)}
.agent{font-size:11px;opacity:.75}
path{fill:none;stroke:light-dark(#9aa1ac,#6b7280)}
path.condition{stroke-dasharray:5 4}
path.update{stroke-dasharray:2 3}
g{--fill:light-dark(#f8f9fb,#23262b);--border:light-dark(#b6bcc6,#5b6370);--text:light-dark(#1f2328,#dfe3e8)}
"""
HTML_STYLE: Final = """\
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;margin:2rem}
body{background:light-dark(#fff,#16181c);color:light-dark(#1f2328,#dfe3e8)}
figure{margin:0;overflow:auto}
td,th{text-align:left;padding:.15rem 1.5rem .15rem 0}
"""


def svg(drawn: Picture, states: Mapping[str, str] | None = None) -> str:
    """The drawing, with the states of nodes by address, such as ``{"chapters.summarize": "executing"}``.

    Light or dark is the viewer's choice. Ids and names are text, whatever they contain.
    """
    width, height = drawn.width + 2 * _MARGIN_PX, drawn.height + 2 * _MARGIN_PX
    shown = states or {}
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{-_MARGIN_PX} {-_MARGIN_PX} {width:g} {height:g}"'
        f' width="{width:g}" height="{height:g}" role="img">',
        f"<style>{_STYLE}{stylesheet()}</style>",
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8"'
        ' orient="auto"><path d="M1 1 8 4 1 7"/></marker></defs>',
        *(text for box in drawn.boxes for text in _box(box, shown.get(box.address, ""))),
        *map(_line, drawn.lines),
        *([_note(drawn)] if drawn.hidden_lines else []),
        "</svg>",
    ]
    return "\n".join(lines)


def html(drawn: Picture, title: str, states: Mapping[str, str] | None = None) -> str:
    """A page with the drawing, and the states as a table; it loads nothing."""
    rows = "".join(
        f"<tr><td>{escape(line(address))}<td>{_mark(state)} {escape(line(state))}"
        for address, state in (states or {}).items()
    )
    table = f"<table><tr><th>node<th>state{rows}</table>\n" if rows else ""
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{escape(line(title))}</title>\n'
        f"<style>{HTML_STYLE}</style>\n<h1>{escape(line(title))}</h1>\n"
        f"<figure>{svg(drawn, states)}</figure>\n{table}</html>"
    )


def _mark(state: str) -> str:
    return STATE_MARKS.get(state, "")


def _box(box: Box, state: str) -> Iterator[str]:
    state_class = f' class="state-{state}"' if state in LOOKS else ""
    names = [box.address, box.agent, state]
    tooltip = escape(", ".join(line(name) for name in names if name))
    dash = ' rx="7"' if box.kind != "static" else ' rx="20"'
    yield f"<g{state_class}><title>{tooltip}</title>"
    yield f'<rect x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}"{dash}/>'
    title = f"{_mark(state)} {box.title}" if _mark(state) else box.title
    agent = f"{box.agent}: {box.hidden} nodes" if box.hidden else box.agent
    yield f'<text x="{box.x + 12:g}" y="{box.y + (18 if agent else 27):g}">{escape(title)}</text>'
    if agent:
        yield f'<text class="agent" x="{box.x + 12:g}" y="{box.y + 34:g}">{escape(agent)}</text>'
    yield "</g>"


def _note(drawn: Picture) -> str:
    return f'<text x="0" y="{drawn.height + _MARGIN_PX - 4:g}">{drawn.hidden_lines} more references</text>'


def _line(drawn: Line) -> str:
    path = "M" + " L".join(f"{x:g} {y:g}" for x, y in drawn.points)
    return f'<path class="{drawn.kind}" d="{path}" marker-end="url(#arrow)"/>'
