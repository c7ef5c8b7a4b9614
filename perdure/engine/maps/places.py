"""Places of nodes as people write them: ``chapters[3].summarize``, or ``chapters.summarize`` for all rows."""

from __future__ import annotations

import re
from typing import Final

_PASS: Final = re.compile(r"@\d+")
_ROW: Final = re.compile(r"\[\d+\]")


def place_of(key: str) -> str:
    """The place of a node, without the numbers of passes."""
    return _PASS.sub("", key)


def covers(place: str, key: str) -> bool:
    """Whether a place stands for the node with this key, or for one around it; "" stands for all."""
    if not place:
        return True
    exact, every = place_of(key), place.replace("[]", "")
    return _is_at(every, exact) or ("[" not in every and _is_at(every, _ROW.sub("", exact)))


def _is_at(outer: str, place: str) -> bool:
    return place == outer or place.startswith((f"{outer}.", f"{outer}["))
