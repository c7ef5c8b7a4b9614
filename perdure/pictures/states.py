"""How each state of a node looks: colours for light and dark, one table for drawings and the live page.

A state is never shown by its colour alone: its mark and its name are next to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from perdure.graph.mermaid import STATE_STYLES


class Look(NamedTuple):
    """Fill, border and text in light, then in dark."""

    fill: str
    border: str
    text: str
    dark_fill: str
    dark_border: str
    dark_text: str


_DARK: Final[Mapping[str, tuple[str, str, str]]] = {
    "waiting": ("#23262b", "#6b7280", "#c7ccd4"),
    "queued": ("#3a2f10", "#d97706", "#fde9b8"),
    "executing": ("#12304d", "#60a5fa", "#dbeafe"),
    "completed": ("#143222", "#4ade80", "#d6f5e0"),
    "fell-back": ("#1f3222", "#fb923c", "#d6f5e0"),
    "failed": ("#451a1c", "#f87171", "#fde2e2"),
    "timed-out": ("#432611", "#fb923c", "#ffe6d1"),
    "skipped": ("#1d1f23", "#4b5563", "#9aa1ac"),
    "injected": ("#33203d", "#c084fc", "#f0e0fb"),
    "abort": ("#33261f", "#a8826f", "#e6d8d0"),
}


def _look(state: str) -> Look:
    parts = dict(part.split(":", 1) for part in STATE_STYLES[state].split(","))
    return Look(parts["fill"], parts["stroke"], parts["color"], *_DARK[state])


_SAME: Final = {
    "running": "executing",
    "queued-here": "queued",
    "queued-there": "queued",
    "backoff": "timed-out",
    "asks": "injected",
    "paused": "queued",
    "lost": "failed",
    "canceled": "abort",
    "terminated": "abort",
    "continued-as-new": "skipped",
}
"""What a phase of a node, or the state of a run, looks like."""

LOOKS: Final[Mapping[str, Look]] = {
    **{state: _look(state) for state in STATE_STYLES},
    **{name: _look(state) for name, state in _SAME.items()},
}
"""The looks by state: those of Mermaid text in light."""


def stylesheet() -> str:
    """CSS: a class `state-NAME` for each state that sets --fill, --border and --text."""
    rules = [
        f".state-{state}{{--fill:light-dark({look.fill},{look.dark_fill});"
        f"--border:light-dark({look.border},{look.dark_border});"
        f"--text:light-dark({look.text},{look.dark_text})}}"
        for state, look in LOOKS.items()
    ]
    return "\n".join(rules) + "\n"
