"""The timers of a run: timeouts of nodes with a graph, deadlines, pauses, and the times of questions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from perdure.engine.board import Board
from perdure.engine.messages import Event, TimerFired
from perdure.workflows.activity_options import MAX_SUMMARY_CHARS
from perdure.workflows.host import Host


@dataclass(slots=True)
class Timers:
    """Timers by the call that asked for them; `arrive` receives the events of those that fire."""

    host: Host
    arrive: Callable[[Event], None]
    _open: dict[int, asyncio.Task[None]] = field(default_factory=dict[int, asyncio.Task[None]])

    def start(self, call: int, milliseconds: float, summary: str) -> None:
        """Starts a timer of the scheduler, which is notified with TimerFired."""
        self.call_later(call, milliseconds, summary, lambda: self.arrive(TimerFired(call)))

    def call_later(self, call: int, milliseconds: float, summary: str, fired: Callable[[], None]) -> None:
        """Starts a timer that calls `fired`; the timer of this call that runs already is cancelled."""
        self.drop(call)
        self._open[call] = asyncio.create_task(self._run(call, milliseconds, summary, fired))

    def drop(self, call: int) -> None:
        """Cancels a timer, if there is one of this call."""
        timer = self._open.pop(call, None)
        if timer is not None:
            timer.cancel()

    def close(self) -> None:
        """The run is over."""
        for timer in self._open.values():
            timer.cancel()

    async def _run(self, call: int, milliseconds: float, summary: str, fired: Callable[[], None]) -> None:
        await self.host.sleep(milliseconds / 1000, summary[:MAX_SUMMARY_CHARS])
        self._open.pop(call, None)
        fired()


def timer_summary(board: Board, call: int) -> str:
    """What a timer is for, as Temporal's UI shows it."""
    flight = board.calls.get(call)
    if flight is None or not flight.node:
        return "a pause in long work"
    run = board.runs[flight.run]
    node = run.nodes[flight.node]
    kinds = {node.deadline: "deadline", node.timer: "timeout", node.hedge_timer: "second call"}
    return f"{kinds.get(call, 'end of the rows')} of {run.path_of(flight.node)}"
