"""The questions of a run in this process: asked of a function, or open until they are answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from math import inf
from typing import TypeAlias

from perdure.engine.closed_questions import Receipt
from perdure.engine.human_tasks import Answer, HumanPrompt
from perdure.engine.messages import Event, RunAgent
from perdure.engine.outcomes import failure_of
from perdure.engine.questions import Questions
from perdure.errors import UsageError
from perdure.graph.values import Value

Ask: TypeAlias = Callable[[HumanPrompt], Awaitable[Value]]


@dataclass(slots=True)
class MemoryHumanTasks:
    """`put` answers questions; without it they wait for `answer`. `arrive` is handed the events."""

    put: Ask | None
    arrive: Callable[[Event], None]
    is_never_asked: Callable[[str], bool]
    questions: Questions = field(default_factory=Questions)
    _asking: dict[int, asyncio.Task[None]] = field(default_factory=dict[int, asyncio.Task[None]])
    _timers: dict[int, asyncio.TimerHandle] = field(default_factory=dict[int, asyncio.TimerHandle])

    def ask(self, command: RunAgent) -> None:
        """A node waits for a person."""
        event = self.questions.ask(command, _now_ms())
        if event is not None:
            self.arrive(event)
            return
        self._keep_time(command.call)
        if self.put is not None:
            self._asking[command.call] = asyncio.create_task(self._put(command, self.put))

    def answer(self, answer: Answer) -> Receipt:
        """A person answers. Raises UsageError."""
        refusal = self.questions.refusal(answer, self.is_never_asked)
        if refusal is not None:
            raise UsageError(refusal)
        receipt, event = self.questions.take(answer, _now_ms())
        if event is not None:
            self._forget(event.call)
            self.arrive(event)
        return receipt

    def close(self, call: int) -> None:
        """The question was abandoned."""
        self.questions.close(call, _now_ms())
        self._forget(call)

    def end(self) -> None:
        """The run is over."""
        for call in [*self._asking, *self._timers]:
            self._forget(call)

    async def _put(self, command: RunAgent, put: Ask) -> None:
        """Asks until the question is closed: an answer may be refused, and a quorum needs several."""
        try:
            while (prompt := self.questions.prompt(command.call)) is not None:
                value = await put(prompt)
                if prompt.refusal(value) is None:
                    self.answer(Answer(path=prompt.path, value=value))
        except Exception as error:
            self.close(command.call)
            self.arrive(failure_of(error).answer(command.call))

    def _keep_time(self, call: int) -> None:
        due = self.questions.next_due(call)
        if due < inf:
            seconds = max(0.0, (due - _now_ms()) / 1000)
            self._timers[call] = asyncio.get_running_loop().call_later(seconds, self._fire, call, due)

    def _fire(self, call: int, due: float) -> None:
        event = self.questions.fire(call, max(due, _now_ms()))
        if event is None:
            self._keep_time(call)
            return
        self._forget(call)
        self.arrive(event)

    def _forget(self, call: int) -> None:
        timer, asking = self._timers.pop(call, None), self._asking.pop(call, None)
        if timer is not None:
            timer.cancel()
        if asking is not None and asking is not asyncio.current_task():
            asking.cancel()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
