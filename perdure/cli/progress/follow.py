"""Follows a run to its end: shows its progress and its console, and passes questions on to people."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from perdure import server
from perdure.agents.catalog import catalog
from perdure.cli import output
from perdure.cli.connection import revived
from perdure.cli.inputs.answers import question_line, user
from perdure.cli.inputs.piped_answers import PipedAnswers
from perdure.cli.progress.progress_table import ProgressTable
from perdure.cli.progress.views import View
from perdure.errors import ConnectionFailed, RunFailed, UsageError
from perdure.graph.values import Value, is_dict
from perdure.monitoring.report import RunReport
from perdure.monitoring.view import RunView
from perdure.protocol.payloads import RunResult, RunStatus
from perdure.temporal.unserved import awaited

if TYPE_CHECKING:
    from perdure.client import GraphClient

FIRST, SLOWEST, GROWTH = 0.15, 1.0, 1.2
"""Seconds between two looks at a run: at first, at most, and by what they grow."""

REPORT_INTERVAL_S = 2.0
"""Seconds between two looks at what a run waits for."""

PATIENT_ATTEMPT_COUNT = 2
"""A step that was tried more often is not just unlucky."""

SERVER_OUTAGE_TIMEOUT_S = 60.0
"""Seconds for which a server need not answer, nor have room on its disk, before a command gives up."""

FINAL_STATUS_TIMEOUT_S = 1.0
"""Seconds that the console of an ended run may take."""


@dataclass(slots=True)
class Follower:
    """One run and what was seen of it.

    `answers` says whether a person can be asked here, `piped` holds answers that were piped in beforehand.
    `client` is that of a durable run: its embedded server is kept up, and others may answer too.
    """

    run: RunView
    view: View
    document: Mapping[str, Value]
    answers: bool = False
    client: GraphClient | None = None
    piped: PipedAnswers | None = None
    _board: ProgressTable = field(init=False)
    _console: int = 0
    _reported: float = field(default_factory=time.monotonic)
    _shown_notices: set[str] = field(default_factory=set[str])
    _asked: set[str] = field(default_factory=set[str])

    def __post_init__(self) -> None:
        self._board = ProgressTable.of(self.document)

    async def follow(self) -> RunResult:
        """The result. Raises RunFailed with what there is, or ConnectionFailed."""
        ended = asyncio.ensure_future(self.run.result())
        watching = asyncio.ensure_future(self._watch())
        streaming = asyncio.ensure_future(self._stream())
        try:
            await asyncio.wait({ended, watching}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                await watching  # it ends by itself only to raise
            result = await ended
            await self._end(result)
            return result
        except RunFailed as error:
            await self._end(error.result)
            raise
        except ConnectionFailed as error:
            raise ConnectionFailed(
                f"{error}\n  nothing is lost; when there is a server: perdure result {self.run.id}"
            ) from error
        finally:
            self.view.close()
            tasks = (ended, watching, streaming)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self) -> None:
        delay, answered = FIRST, time.monotonic()
        while True:
            await asyncio.sleep(delay)
            try:
                if self.client is not None:
                    await revived(self.client)
                await self._look()
                answered = time.monotonic()
            except ConnectionFailed as error:
                if time.monotonic() - answered > SERVER_OUTAGE_TIMEOUT_S or self._is_stopped():
                    raise
                self._tell(
                    f"{error}\n  the run continues when it does; this command waits "
                    f"{SERVER_OUTAGE_TIMEOUT_S:g} s for it"
                )
            delay = min(delay * GROWTH, SLOWEST)

    def _is_stopped(self) -> bool:
        client = self._embedded()
        return client is not None and server.was_stopped(client.settings)

    def _embedded(self) -> GraphClient | None:
        """The client, where its server is the embedded one."""
        return self.client if self.client is not None and self.client.embedded is not None else None

    async def _look(self) -> None:
        status = await self._status()
        if status is None:
            return
        self._hear(status)
        for question in status.questions:
            if self.piped is None or self.piped.is_over:
                self._ask(question.path, question_line(question))
                continue
            line = self.piped.take()
            if line is None:
                break  # it comes before the next look, or never
            self.view.lines([f"{question.message}: {line}"])
            await self._give(question.path, line)

    async def _status(self) -> RunStatus | None:
        if time.monotonic() - self._reported < REPORT_INTERVAL_S:
            return await self.run.status(self._console)
        self._reported = time.monotonic()
        client = self._embedded()
        if client is not None:
            server.check_space(client.settings.home)
        report = await self.run.report(self._console)
        self._explain(report)
        return report.status

    def _hear(self, status: RunStatus) -> None:
        self.view.lines(status.console)
        self._console = status.console_offset
        self._board.hear(status)
        if not (self.answers and self._asked):  # then a person types where the table would be
            self.view.show(self._board)

    def _explain(self, report: RunReport) -> None:
        for call in report.pending:
            if call.paused is not None:
                self._board.say(call.path, f"paused at the server {call.paused}".rstrip())
            elif call.last_failure:
                account = f" ({call.account})" if call.account else ""
                self._board.say(call.path, f"attempt {call.attempt}{account} follows: {call.last_failure}")
        if report.paused is not None:
            self._tell(f"{self.run.id} is paused at the server: temporal workflow unpause -w {self.run.id}")
        if report.attempt > PATIENT_ATTEMPT_COUNT:
            self._tell(
                f"{self.run.id} is stuck: workers fail to take its next step, and keep trying; "
                "their logs say why (here: -v)"
            )
        for queue in report.unserved:
            self._tell("{} waits for {}: {}".format(self.run.id, *awaited(queue)))

    def _tell(self, text: str) -> None:
        if text not in self._shown_notices:
            self._shown_notices.add(text)
            self.view.lines([text])

    async def _stream(self) -> None:
        """Shows the end of what agents stream, where it is seen."""
        if not self.answers:
            return
        await asyncio.sleep(FIRST)
        texts: dict[str, str] = {}
        async for piece in self.run.stream(2 * FIRST):
            texts[piece.path] = (texts.get(piece.path, "") + piece.text)[-200:]
            self._board.say(piece.path, texts[piece.path][-50:])

    def _ask(self, path: str, message: str) -> None:
        if path in self._asked or (self.answers and self._asked):
            return
        self._asked.add(path)
        if not self.answers:
            self._tell(f"{path} waits for an answer to {message!r}: perdure answer {self.run.id} {path} TEXT")
            return
        loop = asyncio.get_running_loop()
        self.view.pause()
        sys.stderr.write(f"{output.plain(message)}: ")
        sys.stderr.flush()

        def wait() -> None:  # a thread of its own, which the end of the process does not wait for
            line = sys.stdin.readline()
            loop.call_soon_threadsafe(lambda: asyncio.ensure_future(self._answer(path, line)))

        threading.Thread(target=wait, daemon=True).start()

    async def _answer(self, path: str, line: str) -> None:
        if not line:  # the end of the input
            self.answers = False
            self._asked.discard(path)
            if self.client is None:
                self._tell("the input has ended, and no one else can answer: the run is stopped")
                await self.run.cancel()
            return
        await self._give(path, line.rstrip("\r\n"))
        self._asked.discard(path)

    async def _give(self, path: str, answer: str) -> None:
        try:
            await self.run.answer(path, answer, who=user())
        except UsageError as error:
            self.view.lines([str(error)])

    async def _end(self, result: RunResult | None) -> None:
        if self._console or self.client is None or may_print(self.document):
            try:
                status = await asyncio.wait_for(self.run.status(self._console), FINAL_STATUS_TIMEOUT_S)
            except TimeoutError:
                status = None
            if status is not None:
                self.view.lines(status.console)
        if result is not None:
            self._board.finish(result.states, result.errors, time.time())
            self.view.show(self._board)


def can_ask() -> bool:
    """Whether a person at this terminal can answer."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr is not None and sys.stderr.isatty()


def may_print(document: Value) -> bool:
    """Whether a run of this graph can have console output: asking for it costs time at the end."""
    quiet = catalog()
    levels: list[Value] = [document]
    while levels:
        graph = levels.pop()
        nodes = graph.get("nodes") if is_dict(graph) else None
        for node in nodes.values() if is_dict(nodes) else ():
            if not is_dict(node):
                continue
            agent = node.get("agent")
            if node.get("console") or agent == "consoleAgent" or _is_verbose(node):
                return True
            if isinstance(agent, str) and agent not in quiet and "graph" not in node:
                return True
            levels.append(node.get("graph"))
    return False


def _is_verbose(node: Mapping[str, Value]) -> bool:
    places = [node.get("params"), node.get("inputs")]
    return any(is_dict(place) and bool(place.get("verbose")) for place in places)
