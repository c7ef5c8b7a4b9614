"""How checks word what they find."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import Final

from perdure.errors import Problem

NAMES_COUNT: Final = 30
"""Names that a hint lists. All keys of a node fit."""

SUGGESTIONS_COUNT: Final = 20
"""Findings of one review that a near name is searched for."""

SUGGESTED_CHARS: Final = 100
"""A longer name is not compared: that takes the product of both lengths."""


def validation(code: str, place: str, finding: str, hint: str, text: str) -> Problem:
    """A Problem that GraphAI reports as a ValidationError, which colours its text."""
    return Problem(code, place, finding, hint, graphai=f"\x1b[41m{text}\x1b[0m")


class Suggestions:
    """What the hints for wrong names suggest: near names, for the first SUGGESTIONS_COUNT findings.

    A near name is searched for among all names, so a document with thousands of wrong ones would take
    minutes: the later findings only say what there is, where that is short.
    """

    def __init__(self) -> None:
        self._left = SUGGESTIONS_COUNT

    def near(self, name: str, names: Iterable[str]) -> str | None:
        """The one of `names` that `name` is most like, None for none, or where the search is used up."""
        if not self._left or len(name) > SUGGESTED_CHARS:
            return None
        self._left -= 1
        short = [short_name for short_name in names if len(short_name) <= SUGGESTED_CHARS]
        return next(iter(get_close_matches(name, short, n=1)), None)

    def hint(self, name: str, names: Collection[str]) -> str:
        """The one of `names` that is meant, where one is near, else all there are."""
        match = self.near(name, sorted(names)) if self._left else None
        if match is not None:
            return f"did you mean {match!r}?"
        if not self._left and len(names) > NAMES_COUNT:
            return ""
        ordered = sorted(names)
        more = f" and {len(ordered) - NAMES_COUNT} more" if len(ordered) > NAMES_COUNT else ""
        return f"there is: {', '.join(ordered[:NAMES_COUNT])}{more}" if ordered else ""


def suggestion(name: str, names: Iterable[str]) -> str:
    """The hint for the one wrong name of a command."""
    return Suggestions().hint(name, [*names])
