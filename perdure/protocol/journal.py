"""What a run reports of itself while it executes, for those who replay its history."""

from __future__ import annotations

from typing import Protocol

from perdure.engine.messages import Event, RunAgent
from perdure.engine.scheduler import Scheduler
from perdure.engine.state import GraphRun


class RunJournal(Protocol):
    """Hears of everything in its order. It must not change what it is passed; a run that a worker
    executes has none.
    """

    def begun(self, scheduler: Scheduler) -> None:
        """The run is played by this scheduler from now on."""
        ...

    def moved(self, run: GraphRun, name: str) -> None:
        """A node is in another state."""
        ...

    def called(self, command: RunAgent) -> None:
        """An agent is called."""
        ...

    def sent(self, path: str, activity: str) -> None:
        """The call at `path` is on its way, in the activity that is named after the path `activity`."""
        ...

    def recalled(self, path: str, entry: int) -> None:
        """The call at `path` is answered by this entry of the record of an earlier run; -1: by a person."""
        ...

    def answered(self, event: Event) -> None:
        """An answer is handed on."""
        ...

    def shown(self, path: str, text: str) -> None:
        """A console line; `path` is "" where that is not known."""
        ...
