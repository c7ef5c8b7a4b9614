"""The file ``temporal.made`` next to the database: "new" until a server has served from it, then "made"."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Marker = Literal["", "new", "made"]


def path(database: Path) -> Path:
    """Where the marker of the database is."""
    return database.with_suffix(".made")


def read(database: Path) -> Marker:
    """What is known of the database: nothing, that it is being made, or that it holds runs."""
    try:
        text = path(database).read_text()
    except OSError:
        return ""
    return "new" if text == "new" else "made"


def write(database: Path, text: Marker) -> None:
    """Remember that. Raises OSError."""
    if read(database) != text:
        path(database).write_text(text)
