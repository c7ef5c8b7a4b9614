"""A run as its watchers see it: durable or in memory, on this machine or on a cluster.

What follows a run, asks people, draws its progress or shows it on a page is written on this protocol, once
for both shells.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from perdure.engine.closed_questions import Receipt
from perdure.engine.human_tasks import HumanPrompt
from perdure.graph.values import Value
from perdure.monitoring.report import RunReport
from perdure.protocol.payloads import RunResult, RunStatus


@dataclass(frozen=True, slots=True)
class StreamPiece:
    """A piece of what the call at `path` streams: the text from character `offset` on is now `text`.

    `path` differs for each pass of a loop. `offset` is the length of what was delivered before, with two
    exceptions: it is larger where something was missed, and smaller where another `attempt` streams another
    text than the one before it. So the whole is always ``whole[:offset] + text``.
    """

    path: str
    attempt: int
    offset: int
    text: str


class RunView(Protocol):
    """A run: perdure.runs.Run and perdure.memory.run.MemoryRun are ones."""

    @property
    def id(self) -> str:
        """Its id."""
        ...

    async def status(self, console_from: int = 0) -> RunStatus | None:
        """What the run itself says: nodes, open questions, and its console from a line on.

        None when no worker answers for it in time.
        """
        ...

    async def report(self, console_from: int = 0) -> RunReport:
        """How it is, and what it waits for."""
        ...

    async def questions(self) -> tuple[HumanPrompt, ...]:
        """What people are asked now."""
        ...

    async def answer(self, path: str, value: Value, *, who: str = "", id: str = "") -> Receipt | None:
        """Answers the question of a node, also before it is asked. Raises UsageError when it is refused.

        None when no worker replies: then the server keeps the answer until there is one.
        """
        ...

    def stream(self, interval: float = 0.15, *, from_now: bool = False) -> AsyncIterator[StreamPiece]:
        """What agents stream while they run, until the run ends."""
        ...

    async def result(self) -> RunResult:
        """Waits for the end. Raises RunFailed when a node failed, RunCancelled when it was stopped."""
        ...

    async def cancel(self) -> None:
        """Asks the run to stop."""
        ...
