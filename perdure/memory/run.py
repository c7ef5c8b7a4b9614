"""A run in this process, watched in the same way as a durable one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from perdure.agents.catalog import Agents
from perdure.engine.closed_questions import Receipt
from perdure.engine.human_tasks import Answer, HumanPrompt
from perdure.engine.inbox.events import EventBatch, EventReceipt, ExternalEvent
from perdure.engine.messages import RunAgent, RunOptions
from perdure.engine.state import GraphRun
from perdure.errors import RunCancelled, RunFailed, UsageError
from perdure.graph.values import Value
from perdure.memory.environment import MemoryEnvironment
from perdure.memory.shell import memory_shell
from perdure.monitoring.report import RunReport
from perdure.monitoring.view import StreamPiece
from perdure.protocol.console import MAX_CONSOLE_LINE_CHARS
from perdure.protocol.payloads import RunResult, RunStatus
from perdure.protocol.progress import RunProgress

MAX_MEMORY_CONSOLE_COUNT = 100_000
"""Console lines that a run keeps."""


class MemoryRun:
    """One run, which begins in the running event loop as it is made: a perdure.monitoring.view.RunView.

    Arguments and errors are those of perdure.memory.shell.memory_shell. Console lines are kept for `status`,
    and shown by ``environment.console`` as well. Nodes that wait for a person wait for `answer`; without
    `answers` they fail, unless the environment has an `ask`.
    """

    def __init__(
        self,
        graph: Mapping[str, Value],
        agents: Agents = (),
        inputs: Mapping[str, Value] | None = None,
        *,
        options: RunOptions | None = None,
        environment: MemoryEnvironment | None = None,
        name: str = "graph",
        id: str = "memory",
        answers: bool = True,
    ) -> None:
        self.id = id
        self._outside = environment or MemoryEnvironment()
        self._progress = RunProgress(
            name,
            max_console=MAX_MEMORY_CONSOLE_COUNT,
            max_sent_console=MAX_MEMORY_CONSOLE_COUNT * MAX_CONSOLE_LINE_CHARS,
        )
        self._started = datetime.now(UTC)
        self._closed: datetime | None = None
        self._cancelled = False
        self._lengths: dict[tuple[str, int], int] = {}
        self._readers: list[asyncio.Queue[StreamPiece | None]] = []
        watched = replace(
            self._outside,
            console=self._show,
            observe=self._observe,
            stream=self._emit,
        )
        self._shell = memory_shell(
            graph, agents, inputs, options=options, environment=watched, answers=answers
        )
        self._task = asyncio.ensure_future(self._run())

    async def status(self, console_from: int = 0) -> RunStatus:
        """What its nodes do, what it asks, and its console from a line on."""
        questions = self._shell.waits.human_tasks.questions
        return self._progress.status(
            self._shell.scheduler, console_from, questions.prompts(), questions.early()
        )

    async def report(self, console_from: int = 0) -> RunReport:
        """How it is."""
        status = await self.status(console_from)
        return RunReport(
            id=self.id,
            state=self._state(),
            name=self._progress.name,
            started=self._started,
            closed=self._closed,
            status=status,
        )

    def _state(self) -> str:
        if self._closed is None:
            return "running"
        if self._cancelled:
            return "cancelled"
        return "failed" if self._task.exception() else "completed"

    async def questions(self) -> tuple[HumanPrompt, ...]:
        """What people are asked now."""
        return tuple(self._shell.waits.human_tasks.questions.prompts())

    async def answer(self, path: str, value: Value, *, who: str = "", id: str = "") -> Receipt:
        """Answers the question at `path`, or the only one of a node with this id. Raises UsageError."""
        return self._shell.waits.human_tasks.answer(Answer(path=path, value=value, who=who, id=id))

    async def send(self, *events: ExternalEvent) -> EventReceipt:
        """Sends events to its nodes. Raises UsageError, TransientError."""
        if self._closed is not None:
            raise UsageError(f"run {self.id!r} has ended")
        return self._shell.waits.events.take(EventBatch(events=events))

    async def stream(self, interval: float = 0.15, *, from_now: bool = False) -> AsyncIterator[StreamPiece]:
        """What agents stream from now on, as it comes, until the run ends."""
        del interval, from_now
        if self._closed is not None:
            return
        queue: asyncio.Queue[StreamPiece | None] = asyncio.Queue()
        self._readers.append(queue)
        try:
            while (piece := await queue.get()) is not None:
                yield piece
        finally:
            self._readers.remove(queue)

    async def result(self) -> RunResult:
        """Waits for the end. Raises RunFailed when a node failed, RunCancelled when it was stopped."""
        return await asyncio.shield(self._task)

    async def cancel(self) -> None:
        """Stops the run; agents that run are cancelled."""
        self._cancelled = True
        self._shell.abort()

    async def _run(self) -> RunResult:
        try:
            result = await self._shell.run()
        except RunFailed as error:
            if self._cancelled:
                raise RunCancelled(f"run {self.id!r} was cancelled", error.result) from None
            raise
        finally:
            self._closed = datetime.now(UTC)
            for queue in self._readers:
                queue.put_nowait(None)
        if self._cancelled:
            raise RunCancelled(f"run {self.id!r} was cancelled", result)
        return result

    async def _emit(self, command: RunAgent, attempt: int, text: str) -> None:
        offset = self._lengths.get((command.path, attempt), 0)
        self._lengths[command.path, attempt] = offset + len(text)
        for queue in self._readers:
            queue.put_nowait(StreamPiece(command.path, attempt, offset, text))

    def _show(self, line: str) -> None:
        self._progress.add_console(line)
        self._outside.console(line)

    def _observe(self, run: GraphRun, node: str) -> None:
        self._progress.observe(run, node)
        if self._outside.observe is not None:
            self._outside.observe(run, node)
