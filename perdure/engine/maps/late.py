"""Rows of a map that are late and remain under way, for a later pass of the loop around it.

Why. Where rows are hosts that train for minutes, what is late is not useless: it is older. A map with
`late: carry` therefore ends without its late rows, and lets them continue.

Invariant. Of the rows with one identity at most one is under way: as long as it is, the next pass does not
begin its row with that identity, but waits for the one that there is, which then has an age. So the rows of a
pass keep their places, and quorum, deadline and grace mean for them what they mean for all others.

Rejected: to append late rows to the rows of the pass in which they end. A slow host would get a second call
while it still works at the first, and the queue in front of it would grow with each pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perdure.engine.maps.quorum import row_id
from perdure.engine.maps.starts import Start
from perdure.graph.javascript import to_string


@dataclass(frozen=True, slots=True)
class LateRow:
    """A row between two passes: the number of its graph, which may have ended, and the pass that began it."""

    graph: int
    iteration: int


def identity(starts: Sequence[Start], row: int) -> str:
    """What a row has in common with that of another pass: its `id`, or its number where it has none."""
    own = row_id(starts, row).get("id")
    return f"row {row}" if own is None else f"id {to_string(own)}"
