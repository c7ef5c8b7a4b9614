"""What a person asks of a run that is under way, and what becomes of each node because of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from perdure.errors import UsageError
from perdure.graph.values import Value

STEERING_CHOICES: Final = {
    "running": ("refuse", "cancel", "keep"),
    "done": ("refuse", "rerun"),
    "rows": ("refuse", "new", "rerun"),
}
"""What may be said of nodes that have begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Steering:
    """One change of a running graph. Nodes are named by their place, ``chapters[3].summarize``, in this pass.

    `graph` replaces the document. `values` are values of static nodes, and results of nodes with an agent,
    which is not called then. `retries` are failed nodes to execute again, `skips` nodes to skip. Nodes that
    `pauses` names do not start before `resumes` names them: "" is the whole run, ``chapters`` or
    ``chapters.summarize`` are all rows. What is executing ends as usual.

    The rest decides about nodes that have begun. `running` is for nodes that are executing and that the
    change affects: ``cancel`` calls them again, ``keep`` lets the result of their call count. `done` is for
    nodes with results: ``rerun`` executes them again, except those that `keeps` names, whose results stay.
    `rows` is for a map whose graph changes: ``new`` gives the new graph to the rows that have not begun, and
    ``rerun`` begins the map again. With `now`, a call whose options change is cancelled and made again.
    """

    graph: Mapping[str, Value] | None = None
    values: Mapping[str, Value] = field(default_factory=dict[str, Value])
    retries: Sequence[str] = ()
    skips: Sequence[str] = ()
    pauses: Sequence[str] = ()
    resumes: Sequence[str] = ()
    running: str = "refuse"
    done: str = "refuse"
    rows: str = "refuse"
    keeps: Sequence[str] = ()
    now: bool = False

    def checked(self) -> Steering:
        """This. Raises UsageError for a choice that there is not."""
        for name, choices in STEERING_CHOICES.items():
            if getattr(self, name) not in choices:
                raise UsageError(
                    f"{name}: {getattr(self, name)!r} is not a choice", hint=f"one of {', '.join(choices)}"
                )
        return self


@dataclass(frozen=True, slots=True)
class NodeChange:
    """What becomes of one node that a change concerns.

    `change` is added, removed, definition, options, source, value, retry, skip, pause or resume; `state` the
    state that the node has. `action` says what happens to it. One with a `finding` is refused; `hint` says
    what to choose.
    """

    place: str
    change: str
    state: str
    action: str
    finding: str = ""
    hint: str = ""
