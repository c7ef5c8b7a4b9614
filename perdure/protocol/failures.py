"""Which nodes of a run have failed, and for which of them the run did.

A failure ends each graph around its node in turn, with the same message. So the place of a run's failure is
found from the end: from the node of its own graph that has the message, inwards as long as the node that
failed before it is inside it. To take the first node with the message would name another, where a failure
like it was tolerated before. What a run returns, its status and every command take the place from here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from perdure.engine.state import GraphRun, NodeRun, NodeState
from perdure.errors import without_hint

MAX_FAILED_COUNT = 20
"""Failed nodes that a run remembers: the first ones."""

FAILED_STATES = (NodeState.FAILED, NodeState.TIMED_OUT)


@dataclass(frozen=True, slots=True)
class NodeFailure:
    """A failure in three parts, as programs read it.

    `place` is the path of the node, such as ``chapters[3].summarize``; "" for a failure of no node, such as
    a quota that is used up. `hint` is "" if there is none.
    """

    place: str
    finding: str
    hint: str = ""

    @classmethod
    def of(cls, place: str, message: str) -> Self:
        """The failure of the node at `place` with this message."""
        return cls(place, *without_hint(message))


@dataclass(slots=True)
class FailureLog:
    """Nodes that have failed: the first ones, to be shown, and the latest, of which the last ended the run.

    `earlier` are paths and messages of the executions that this one continues. A node is held and not its
    message, which comes after the state, and goes again where the node is retried.
    """

    earlier: Sequence[tuple[str, str]] = ()
    _first: list[tuple[str, NodeRun]] = field(default_factory=list[tuple[str, NodeRun]])
    _latest: deque[tuple[str, NodeRun]] = field(
        default_factory=lambda: deque[tuple[str, NodeRun]](maxlen=MAX_FAILED_COUNT)
    )

    def observe(self, run: GraphRun, name: str) -> None:
        """A node is in another state."""
        node = run.nodes[name]
        if node.state in FAILED_STATES:
            failed = run.key_of(name), node
            self._latest.append(failed)
            if len(self._first) == MAX_FAILED_COUNT:  # those that were retried make room
                self._first = [first for first in self._first if first[1].error is not None]
            if len(self._first) < MAX_FAILED_COUNT:
                self._first.append(failed)

    def entries(self) -> list[tuple[str, str]]:
        """The paths and messages of the first ones: inner nodes before those around them."""
        return [*self.earlier, *_messages(self._first)][:MAX_FAILED_COUNT]

    def place_of(self, failure: str, errors: Mapping[str, str]) -> str:
        """The path of the node for which a run ended with `failure`: the innermost one, "" for none.

        `errors` are the messages of the nodes of its own graph.
        """
        place = next((name for name, message in errors.items() if message == failure), "")
        for path, message in reversed([*self.earlier, *_messages(self._latest)]) if place else ():
            if message == failure and path.startswith(place) and path[len(place) : len(place) + 1] in _INSIDE:
                place = path
        return place


_INSIDE = frozenset(".[@")


def _messages(failed: Iterable[tuple[str, NodeRun]]) -> list[tuple[str, str]]:
    return [(path, node.error) for path, node in failed if node.error is not None]
