"""Fuel: how much the scheduler does before it lets its shell breathe.

Why. Temporal stops a workflow task whose code runs for two seconds, and then gives the same run to
another worker, which does the same. Without a bound, a graph of a hundred bytes (a loop whose nodes
are all skipped, a map of maps of maps, a graph that maps itself) keeps one worker after another busy
and never ends.

Invariant. Handling one event takes at most `per_event` *steps* and then what it is in the middle of: a
bounded number of calls in a row. A step, some five microseconds, is an attempt to call an agent, a node
that hears of a result, a node of a graph that begins or iterates; to open a graph takes several, and so does
to measure a large value. Steps are counted, not timed, so every replay pauses at the same places. What is
left waits in the queue of nodes, or in `put_off`, until the timer `pause` fires. All steps of a run together,
except those of sizes, are bounded by the quota `steps`. What is known to take more when it begins, a map of
a million rows or a loop of a thousand million passes, is refused then, and not after a minute; so are maps
that are open at the same time, once their rows are too many together.

Rejected: a clock, because a replay on another machine would pause elsewhere and send other commands;
an exception that unwinds and starts over, because half of the event has had its effect by then; and
fuel for each activation instead of each event, because a segment plays in one go the events that the
run hands on in several, and both must pause at the same event.

`per_event` comes from the worker that opened the run, in its recorded registry of agents: runs of older
versions have none, and never pause.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Final

from perdure.errors import QuotaExceeded

MAX_EVENT_STEP_COUNT: Final = 20_000
"""Steps for one event: about a tenth of a second, and less than one where many workers share a processor."""

WEIGHED_STEP_BYTES: Final = 1_000
"""Bytes of lists and objects that are measured in the time of a step: an object of {} has 64."""

MAX_ACTIVATION_EVENT_COUNT: Final = 2
"""Events that use up all of their steps in one activation of a workflow; then the rest waits for another."""

MAX_RERUN_EVENT_COUNT: Final = 3
"""The same for a rerun: most of its nodes have their results, and each pause costs five events."""

MAX_OPEN_GRAPH_COUNT: Final = 4_000
"""Graphs of a run that are open at a time; beyond it each node with graphs has one open ..."""

MIN_OPEN_GRAPH_COUNT: Final = 600
"""... or as many as the run can use, but no fewer than this: each costs time in every segment ..."""

OPEN_GRAPHS_PER_SLOT_COUNT: Final = 8
"""... and this many for each node that may execute at a time."""

GRAPH_STEP_COUNT: Final = 25
"""Steps that it takes to open a graph, besides one for each of its nodes."""

PAUSE_MS: Final = 1
"""Milliseconds of a pause: as short as a timer can be."""


@dataclass(slots=True)
class Fuel:
    """The steps of one run. `limit` is the quota, `earlier` the steps of the events before.

    `left` are the steps of the event in hand. Whatever takes a step counts it down, here and in the
    lifecycles; it is a plain field because that happens several times for every node.

    `pause` is the call of the timer that ends a pause, None if there is none. `put_off` are the
    graphs (with no node) that are to iterate and the nodes that are to open more graphs. `weighed` are the
    steps for the sizes of values since this run was opened or taken over; no `weighs`, no such steps.
    `bound` are the steps that the rows take at least which maps that are open have yet to begin.
    """

    per_event: float = inf
    limit: float = inf
    left: float = inf
    earlier: int = 0
    pause: int | None = None
    weighs: bool = False
    weighed: int = 0
    bound: int = 0
    put_off: dict[tuple[int, str], None] = field(default_factory=dict[tuple[int, str], None])

    @property
    def used(self) -> int:
        """The steps of the run so far; 0 for a run that never pauses."""
        return 0 if self.per_event == inf else self.earlier + int(self.per_event - self.left)

    def activation_end(self, events: int = MAX_ACTIVATION_EVENT_COUNT) -> float:
        """How many steps may be used by the end of the activation that begins now."""
        return self.used + events * self.per_event

    def refill(self) -> None:
        """Another event is in hand. Raises QuotaExceeded where the run has used up its steps."""
        per_event = self.per_event
        if per_event == inf:
            return
        self.earlier += int(per_event - self.left)
        self.left = per_event
        if self.earlier - self.weighed > self.limit:
            self.check(0)

    def weigh(self, size: int) -> None:
        """A value of `size` bytes was measured."""
        if size >= WEIGHED_STEP_BYTES and self.weighs:
            self.left -= size // WEIGHED_STEP_BYTES
            self.weighed += size // WEIGHED_STEP_BYTES

    def check(self, more: float) -> None:
        """Raises QuotaExceeded where `more` steps are too many, with earlier ones and those bound."""
        if self.earlier - self.weighed + self.bound + more > self.limit:
            raise QuotaExceeded("steps", self.limit, "steps of the scheduler")

    def written(self) -> dict[str, object]:
        """What a snapshot holds of this; nothing for a run that never pauses."""
        if self.per_event == inf:
            return {}
        put_off = [list(item) for item in self.put_off]
        return {"steps": self.used - self.weighed, "pause": self.pause, "put_off": put_off}

    def resume(self, steps: int, pause: int | None, put_off: Sequence[Sequence[object]]) -> None:
        """Takes over what `written` gave."""
        self.earlier, self.pause = steps, pause
        self.put_off = {(int(str(run)), str(name)): None for run, name in put_off}


def graph_steps(node_count: int) -> int:
    """Steps that it takes to open a graph of `node_count` nodes."""
    return GRAPH_STEP_COUNT + node_count


def open_graph_limit(concurrency: float, foresees: bool) -> float:
    """How many graphs of a run may be open at a time, of which `concurrency` nodes may execute."""
    if not foresees:
        return MAX_OPEN_GRAPH_COUNT
    useful = OPEN_GRAPHS_PER_SLOT_COUNT * concurrency
    return min(max(MIN_OPEN_GRAPH_COUNT, useful), MAX_OPEN_GRAPH_COUNT)
