"""The agents of a worker before an update."""

from __future__ import annotations

from perdure import agent


@agent("oldAgent")
def old() -> str:
    return "old"
