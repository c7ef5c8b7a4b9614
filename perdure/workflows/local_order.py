"""The order in which a run takes what its local activities return.

Why
    A live run is handed each result when it is there. A replay is handed those of a workflow task in the
    order in which the activities began, several at once. What the run sends next, how many calls share an
    activity and what the next segment starts from would then differ, and the replay would fail.

Invariant
    Results are taken in the order in which the activities began, one at a time: before the next one the run
    has handed on, sent and begun all that the last one led to. A replay therefore decides the same.

Rejected
    To take nothing until all local activities are over: a slow one would hold back what others led to.
    To order the answers only (perdure.engine.turn_order): a result also frees room in a window, counts in
    the budget of the workflow task, and sends a call whose inputs were brought to the store.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Handler: TypeAlias = Callable[[asyncio.Task[Any]], None]


@dataclass(slots=True)
class LocalOrder:
    """Local activities of one run, oldest first; `wake` is called when one is over."""

    wake: Callable[[], None]
    _begun: deque[tuple[asyncio.Task[Any], Handler]] = field(
        default_factory=deque[tuple[asyncio.Task[Any], Handler]]
    )

    def add(self, task: asyncio.Task[Any], done: Handler) -> None:
        """An activity has begun; `done` is called once its turn to be taken has come."""
        self._begun.append((task, done))
        task.add_done_callback(lambda _: self.wake())

    def take(self) -> bool:
        """Takes the result of the oldest one; False if it is not there yet."""
        if not self._begun or not self._begun[0][0].done():
            return False
        task, done = self._begun.popleft()
        done(task)
        return True
