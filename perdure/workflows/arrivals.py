"""What has arrived as an event and waits for its turn: results of activities, ends of timers.

Why
    While a local activity is on its way, its run hands nothing on. When a workflow task takes so long that
    the SDK begins another one for it, its result and the events of that other task are handed over one after
    the other in a live run, in either order, and together in a replay. A run that began its next local
    activity in between would begin another one in the replay, with other answers.

Invariants
    An event is let in when nothing else can be done: what local activities led to is handed on and sent, and
    the next local activity is over. So a run decides the same, whichever came first.
    What came with one workflow task is let in together, as it came together. What the run knows of the length
    of its history changes with that, and with nothing else.

Rejected
    To let in all that is there: after a local activity that took several workflow tasks, a replay has the
    events of all of them, and the live run had those of some.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class HistorySize:
    """The history up to a workflow task."""

    events: int
    bytes: int
    suggests_continuing: bool


@dataclass(slots=True)
class Arrivals:
    """The events of one run that wait, oldest first; `notify` is called when one comes or is let in."""

    notify: Callable[[], None]
    _waiting: deque[tuple[HistorySize, Callable[[], None]]] = field(
        default_factory=deque[tuple[HistorySize, Callable[[], None]]]
    )

    def add(self, history: HistorySize, then: Callable[[], None]) -> None:
        """An event has come, with a workflow task before which the history was this long."""
        self._waiting.append((history, then))
        self.notify()

    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    def admit(self) -> HistorySize | None:
        """Lets in the events of the oldest workflow task; None if there are none."""
        if not self._waiting:
            return None
        history = self._waiting[0][0]
        while self._waiting and self._waiting[0][0].events == history.events:
            self._waiting.popleft()[1]()
        self.notify()
        return history
