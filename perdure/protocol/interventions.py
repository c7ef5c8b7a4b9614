"""What people have changed in a run while it ran, as the run remembers it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervention:
    """A change that was made: when, in milliseconds since the epoch, by whom, why, and what it was.

    `hash` is that of the graph afterwards.
    """

    at: int = 0
    who: str = ""
    why: str = ""
    what: str = ""
    hash: str = ""
