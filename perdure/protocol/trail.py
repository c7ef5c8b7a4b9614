"""The latest changes of a run, for those who have replayed it once and want to keep up.

Why
    A replay of a large run takes seconds, and says all. What a page shows of it changes several times a
    second, and most of that are moves of nodes. So the run numbers its changes and keeps the last ones. A
    replay of the same history arrives at the same number, because it is the same code; from there on its
    reader asks for the rest with the query `changes`.

Invariants
    A change is a few words, never a value: the trail of any run takes at most some megabytes.
    Numbers are those of one execution; a run that continues as new counts from the beginning.

Rejected
    To send the states of all nodes: ten thousand rows are a megabyte for every look.
    To send the answers that the run has taken, and to have the reader play them: values are large, and the
    run would have to keep those that it needs no longer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from perdure.engine.messages import RunAgent
from perdure.engine.state import Clock, GraphRun, NodeRun, NodeState
from perdure.graph.values import Value
from perdure.protocol.failures import FAILED_STATES

SHOWN_STATES: Final = (*FAILED_STATES, NodeState.FELL_BACK)
"""States that have a message: why the node failed, or fell back."""

_SHOWN: Final = frozenset(SHOWN_STATES)

MAX_TRAIL_COUNT: Final = 20_000
"""Changes that a run keeps; who has missed one of them replays the history."""

MAX_CHANGES_COUNT: Final = 5_000
"""Changes in one answer."""

MOVE: Final = "move"
"""A node is in another state: key, iteration and row of its graph, its name, state, time and failure."""

CALL: Final = "call"
"""A node calls an agent: its address, the path of the call, the agent."""

SENT: Final = "sent"
"""A call is on its way: its path, and that after which its activity is named."""

STEERED: Final = "steered"
"""A person has changed the run."""

LINE: Final = "line"
"""A console line: the path of its call, and its time. The text is among the lines of the console."""


@dataclass(frozen=True, slots=True)
class TrailPosition:
    """Where a replay has arrived: the number of changes, the last one, and the number of console lines."""

    count: int
    last: Sequence[Value] | None
    lines: int


@dataclass(slots=True)
class Trail:
    """The last changes of one execution; `count` are all of them, `clock` is the run's."""

    clock: Clock = field(default_factory=Clock)
    count: int = 0
    _changes: deque[tuple[Any, ...]] = field(
        default_factory=lambda: deque[tuple[Any, ...]](maxlen=MAX_TRAIL_COUNT)
    )

    def moved(self, run: GraphRun, name: str) -> None:
        """A node is in another state."""
        node = run.nodes[name]
        state = node.state
        failed = node if state in _SHOWN else None  # its message is not there yet
        self._changes.append(
            (MOVE, run.key, run.iteration, run.map_index, name, state, run.clock.now_ms, failed)
        )
        self.count += 1

    def steered(self) -> None:
        """A person has changed the run: who follows it replays the history."""
        self._add((STEERED,))

    def called(self, command: RunAgent) -> None:
        """An agent is called."""
        self._changes.append((CALL, command.key, command.path, command.agent))
        self.count += 1

    def sent(self, path: str, activity: str) -> None:
        """A call went out."""
        self._add((SENT, path, activity))

    def shown(self, path: str) -> None:
        """A console line."""
        self._add((LINE, path, self.clock.now_ms))

    @property
    def last(self) -> Sequence[Value] | None:
        """The newest change."""
        return _written(self._changes[-1]) if self._changes else None

    def since(self, number: int, limit: int = MAX_CHANGES_COUNT) -> list[Sequence[Value]] | None:
        """The change before this number, and those from it on; None where they are not kept any more."""
        first = self.count - len(self._changes)
        if not first < number <= self.count:
            return None
        start = number - 1 - first
        return [_written(change) for change in islice(self._changes, start, start + 1 + limit)]

    def _add(self, change: tuple[Any, ...]) -> None:
        self._changes.append(change)
        self.count += 1


def _written(change: tuple[Any, ...]) -> Sequence[Value]:
    written = [str(item) if item.__class__ is NodeState else item for item in change]
    if isinstance(change[-1], NodeRun):
        written[-1] = change[-1].shown_error
    return written
