"""The questions of a run, with what they need of Temporal: timers, and the search attribute of who is asked.

What an answer means is decided in perdure.engine.questions. Runs that began under a worker that knew neither
(`AgentRegistry.times_questions`) do without: their histories hold no such commands.

An answer comes as an update, which is refused without an event, or as a signal. An update is durable only
once a worker has accepted it, so an answer that is sent while no worker is up comes as a signal: the server
keeps that at once. Both carry the same id if a client has tried both, and count once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf

from perdure.engine.closed_questions import Receipt
from perdure.engine.human_tasks import Answer
from perdure.engine.messages import Event, RunAgent
from perdure.engine.questions import Questions
from perdure.errors import UsageError
from perdure.graph.values import Value
from perdure.protocol.agents import AgentRegistry
from perdure.protocol.payloads import RunRequest
from perdure.protocol.progress import RunProgress
from perdure.workflows.activity_options import MAX_SUMMARY_CHARS
from perdure.workflows.host import Host
from perdure.workflows.notices import Notices
from perdure.workflows.timers import Timers


@dataclass(slots=True)
class HumanTasks:
    """The questions of one run.

    `arrive` is handed the events of those that are closed; `is_never_asked` says whether no question can be
    asked at a path any more.
    """

    host: Host
    request: RunRequest
    directory: AgentRegistry
    timers: Timers
    progress: RunProgress
    arrive: Callable[[Event], None]
    is_never_asked: Callable[[str], bool]
    notices: Notices
    questions: Questions = field(default_factory=Questions)
    _audience: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        state: Mapping[str, Value] = (self.request.state or {}).get("people", {})
        self.questions.resume(state)
        self.questions.notifies = self.directory.times_questions and bool(self.directory.channels)
        self._audience = list(state.get("audience", ()))

    def ask(self, command: RunAgent) -> None:
        """A node waits for a person."""
        event = self.questions.ask(command, self._now_ms())
        self._send_notices()
        if event is not None:
            self.arrive(event)
        else:
            self._keep_time(command.call, f"{command.path} asks a person")

    def close(self, call: int) -> None:
        """The question was abandoned; its timer is the caller's."""
        self.questions.close(call, self._now_ms())
        self._send_notices()

    async def end(self) -> None:
        """The run is over: waits until its notices are handed over."""
        self.questions.close_all(self._now_ms())
        self._send_notices()
        await self.notices.begun()

    def refusal(self, answer: Answer) -> str | None:
        """Why an answer is not accepted, None if it is."""
        return self.questions.refusal(answer, self.is_never_asked)

    def answer(self, answer: Answer) -> Receipt:
        """Counts an answer. Raises UsageError if it is not accepted."""
        refusal = self.refusal(answer)
        if refusal is not None:
            raise UsageError(refusal)
        receipt, event = self.questions.take(answer, self._now_ms())
        self._send_notices()
        if event is not None:
            self.timers.drop(event.call)
            self.arrive(event)
        return receipt

    def answer_later(self, answer: Answer) -> None:
        """Counts an answer by signal. No client waits for the outcome, so the console shows a refusal."""
        if not self.directory.times_questions:
            return
        try:
            self.answer(answer)
        except UsageError as error:
            who = f" of {answer.who}" if answer.who else ""
            self.progress.add_console(f"an answer{who} was refused: {error}")

    def index(self) -> None:
        """Brings the search attribute up to date; to be called when the run waits."""
        if not (self.request.indexes_questions and self.directory.times_questions):
            return
        audience = self.questions.audience()
        if audience != self._audience:
            self._audience = audience
            self.host.index_audience(audience)

    def state(self) -> dict[str, Value]:
        """What the next run of a chain continues with; empty for nothing."""
        state = self.questions.state()
        if self._audience:
            state["audience"] = self._audience
        return {"people": state} if state else {}

    def _keep_time(self, call: int, summary: str) -> None:
        due = self.questions.next_due(call)
        if due == inf or not self.directory.times_questions:
            return

        def fired() -> None:
            event = self.questions.fire(call, max(due, self._now_ms()))
            self._send_notices()
            if event is not None:
                self.arrive(event)
            self._keep_time(call, summary)

        wait_ms = max(0.0, due - self._now_ms())
        self.timers.call_later(call, wait_ms, summary[:MAX_SUMMARY_CHARS], fired)

    def _send_notices(self) -> None:
        for notice in self.questions.notices:
            self.notices.send(notice)
        self.questions.notices.clear()

    def _now_ms(self) -> int:
        return int(self.host.now_s() * 1000)
