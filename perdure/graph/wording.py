"""How checks word what they find."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

from perdure.errors import Problem

NAMES_COUNT: Final = 30
"""Names that a hint lists. All keys of a node fit."""


def validation(code: str, place: str, finding: str, hint: str, text: str) -> Problem:
    """A Problem that GraphAI reports as a ValidationError, which colours its text."""
    return Problem(code, place, finding, hint, graphai=f"\x1b[41m{text}\x1b[0m")


def suggestion(name: str, names: Iterable[str]) -> str:
    """The hint for a wrong name: "did you mean 'x'?" when one of `names` is near, else what there is."""
    known = sorted(names)
    near = get_close_matches(name, known, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    more = f" and {len(known) - NAMES_COUNT} more" if len(known) > NAMES_COUNT else ""
    return f"there is: {', '.join(known[:NAMES_COUNT])}{more}" if known else ""
