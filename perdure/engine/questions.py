"""The questions of a run: open, answered early, closed; and what an answer means for them.

Invariants
    A question is closed once. Which answer closed it, by whom and when, is known afterwards, so that a late
    answer is refused with a reason, and a repeat of the one that counted is reported as accepted.
    A submission counts once, whatever the number of its deliveries: by its id, and for clients
    without ids by person and value.
    An answer that comes before its question waits for it. It names the exact path, pass included: by a
    node's id alone, a late answer would reach the question of the next pass.

Rejected: to identify an answer by a hash of its content. A person who answers A, B and A again before a
quorum means A.

All times are in milliseconds since the epoch and come from the shell, which also owns the timers: it asks
`next_due` and calls `fire`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from math import inf
from typing import Any, Final

from perdure.engine.closed_questions import Closed, ClosedQuestions, Receipt
from perdure.engine.human_tasks import (
    Answer,
    HumanPrompt,
    Notice,
    answer_digest,
    escalated,
    human_prompt,
)
from perdure.engine.messages import AgentCompleted, AgentFailed, RunAgent
from perdure.errors import FinalError
from perdure.graph.forms import same_value
from perdure.graph.sizes import size_of
from perdure.graph.values import Value, is_dict

MAX_EARLY_ANSWER_COUNT: Final = 100
"""Answers that a run keeps for questions to come."""

MAX_EARLY_ANSWER_BYTES: Final = 64_000
"""Bytes of such an answer."""

ANYBODY: Final = "anybody"
"""Stands for all people, in the list of those who are asked."""


@dataclass(slots=True)
class _Open:
    """A question that is open, with the reminders that were sent."""

    prompt: HumanPrompt
    reminded: int = 0
    escalated: bool = False

    def next_due(self, *, reminds: bool) -> float:
        prompt = self.prompt
        times: list[float] = [prompt.timeout.get("after", inf)]
        if prompt.escalate and not self.escalated:
            times.append(prompt.escalate["after"])
        if reminds:
            times += islice(prompt.remind, self.reminded, self.reminded + 1)
        return prompt.asked + min(times)


@dataclass(slots=True)
class Questions:
    """All questions of one run. `notices` collects what people should hear of, if the run `notifies` them."""

    notifies: bool = False
    notices: list[Notice] = field(default_factory=list[Notice])
    _open: dict[int, _Open] = field(default_factory=dict[int, _Open])
    _early: dict[str, tuple[Answer, int]] = field(default_factory=dict[str, tuple[Answer, int]])
    _closed: ClosedQuestions = field(default_factory=ClosedQuestions)
    _resumed: dict[int, Sequence[Value]] = field(default_factory=dict[int, Sequence[Value]])

    def ask(self, command: RunAgent, now_ms: int) -> AgentCompleted | AgentFailed | None:
        """A node asks; an event if that closes the question at once: by an early answer, or wrong params."""
        try:
            prompt = replace(human_prompt(command), asked=now_ms)
        except FinalError as error:
            return AgentFailed(command.call, str(error), final=True)
        if command.call in self._resumed:
            asked, answers, who, reminded, is_escalated = self._resumed.pop(command.call)
            prompt = escalated(prompt) if is_escalated else prompt
            prompt = replace(prompt, asked=asked, answers=answers, who=who)
            self._open[command.call] = _Open(prompt, reminded, is_escalated)
        else:
            self._open[command.call] = _Open(prompt)
            self._notice("asked", command.call, prompt, now_ms)
        early, at = self._early.pop(command.path, (None, 0))
        if early is None or prompt.refusal(early.value, early.who) is not None:
            return None
        return self._count(command.call, early, at)[1]

    def close(self, call: int, now_ms: int) -> None:
        """The question was abandoned: its call was cancelled."""
        item = self._open.pop(call, None)
        if item is not None:
            self._end(call, item.prompt, "cancelled", now_ms)

    def close_all(self, now_ms: int) -> None:
        """The run is over."""
        for call in [*self._open]:
            self.close(call, now_ms)

    def prompts(self) -> list[HumanPrompt]:
        """The open questions, in the order in which they were asked."""
        return [item.prompt for item in self._open.values()]

    def prompt(self, call: int) -> HumanPrompt | None:
        """The question of this call, None if it is not open."""
        item = self._open.get(call)
        return None if item is None else item.prompt

    def early(self) -> list[Answer]:
        """The answers to questions to come."""
        return [answer for answer, _ in self._early.values()]

    def audience(self) -> list[str]:
        """Who is asked by open questions: names, and ANYBODY for a question to no one in particular."""
        return sorted({name for prompt in self.prompts() for name in prompt.who or (ANYBODY,)})

    # Answers

    def refusal(self, answer: Answer, not_to_come: Callable[[str], bool]) -> str | None:
        """Why the answer is not accepted; None if `take` may be called.

        `not_to_come` says whether no question can be asked at a path any more.
        """
        call = self._find(answer.path)
        if self._repeated(answer, call) is not None:
            return None
        refusal = self._closed.refusal(_for(call, answer))
        if refusal is None and call is not None:
            refusal = self._open[call].prompt.refusal(answer.value, answer.who)
        elif refusal is None:
            path = answer.path
            refusal = self._no_question(path) if not_to_come(path) else self._not_kept(answer)
        return refusal

    def _not_kept(self, answer: Answer) -> str | None:
        path = answer.path
        if size_of(answer.value) > MAX_EARLY_ANSWER_BYTES:
            return f"{path}: an answer before its question has at most {MAX_EARLY_ANSWER_BYTES:,} bytes"
        early = self._early.get(path)
        if early is not None:
            by = early[0].who or "a person without a name"
            return None if early[0].who == answer.who else f"{path} has an answer of {by} already"
        if len(self._early) < MAX_EARLY_ANSWER_COUNT:
            return None
        return f"{path}: the run keeps at most {MAX_EARLY_ANSWER_COUNT} answers to questions to come"

    def take(self, answer: Answer, now_ms: int) -> tuple[Receipt, AgentCompleted | None]:
        """Counts an answer that `refusal` accepts; the event is there if that closes its question."""
        call = self._find(answer.path)
        repeated = self._repeated(answer, call)
        if repeated is not None:
            return repeated, None
        if call is not None:
            return self._count(call, answer, now_ms)
        self._early[answer.path] = answer, now_ms
        return self._receipt(answer, answer.path, now_ms, early=True), None

    def _find(self, path: str) -> int | None:
        """The question at this path; else the one of the only asking node with this id."""
        for call, item in self._open.items():
            if item.prompt.path == path:
                return call
        named = [call for call, item in self._open.items() if item.prompt.node == path]
        return named[0] if len(named) == 1 else None

    def _repeated(self, answer: Answer, call: int | None) -> Receipt | None:
        """The receipt of an answer that has counted; without an id, only if no open question takes it."""
        return self._closed.receipt(_for(call, answer))

    def _no_question(self, path: str) -> str:
        paths = ", ".join(prompt.path for prompt in self.prompts()) or "no node"
        last = self._closed.last_of(path)
        was = "" if last is None else f"; the last question of {path}: {last.ending()}"
        return f"no single question is open at {path!r}; waiting for an answer: {paths}{was}"

    def _receipt(self, answer: Answer, path: str, at: int, **more: Value) -> Receipt:
        fields: dict[str, Any] = {"path": path, "who": answer.who, "at": at, **more}
        receipt = Receipt(digest=answer_digest(answer.value), **fields)
        self._closed.count(answer, receipt)
        return receipt

    def _count(self, call: int, answer: Answer, at: int) -> tuple[Receipt, AgentCompleted | None]:
        """Counts an answer for an open question: for a quorum, the last one of each person."""
        item = self._open[call]
        prompt, value = item.prompt, item.prompt.read(answer.value)
        others = [other for other in prompt.answers if not answer.who or other["who"] != answer.who]
        by = [*others, {"who": answer.who, "at": at, "answer": value}]
        item.prompt = replace(prompt, answers=by)
        count = min(_agreeing(prompt, by, value), prompt.need)
        if _is_against(prompt, value):
            count = prompt.need
        receipt = self._receipt(answer, prompt.path, at, count=count, need=prompt.need)
        if count < prompt.need:
            return receipt, None
        del self._open[call]
        how = "quorum" if prompt.quorum else "answer"
        self._end(call, item.prompt, how, at, answer)
        return receipt, AgentCompleted(call, prompt.result(value, by, how))

    def _end(self, call: int, prompt: HumanPrompt, how: str, at: int, answer: Answer | None = None) -> None:
        self._closed.close(prompt, how, at, answer)
        self._notice("closed", call, prompt, at, how=how)

    # Time

    def next_due(self, call: int) -> float:
        """When `fire` is to be called for this question; infinity for never."""
        item = self._open.get(call)
        return inf if item is None else item.next_due(reminds=self.notifies)

    def fire(self, call: int, now_ms: float) -> AgentCompleted | AgentFailed | None:
        """Does what is due for the question: reminds, escalates, or closes it, which gives an event."""
        item = self._open.get(call)
        if item is None:
            return None
        prompt, passed = item.prompt, now_ms - item.prompt.asked
        while item.reminded < len(prompt.remind) and prompt.remind[item.reminded] <= passed:
            item.reminded += 1
            self._notice("reminded", call, prompt, int(now_ms), item.reminded)
        if prompt.escalate and not item.escalated and prompt.escalate["after"] <= passed:
            item.escalated = True
            item.prompt = prompt = escalated(prompt)
            self._notice("escalated", call, prompt, int(now_ms))
        if not prompt.timeout or passed < prompt.timeout["after"]:
            return None
        del self._open[call]
        self._end(call, prompt, "timeout", int(now_ms))
        if "result" not in prompt.timeout:
            return AgentFailed(call, "Timeout", "timed-out")
        return AgentCompleted(call, prompt.result(prompt.timeout["result"], prompt.answers, "timeout"))

    def _notice(
        self, event: str, call: int, prompt: HumanPrompt, at: int, number: int = 0, how: str = ""
    ) -> None:
        if self.notifies:
            self.notices.append(Notice(event, call, prompt, at, number, how))

    def closed(self) -> tuple[Closed, ...]:
        """The latest questions that are over, in their order."""
        return self._closed.all()

    # Continue-as-new

    def state(self) -> dict[str, Value]:
        """What the next run of a chain continues with; empty if nothing was asked or answered."""
        state = self._closed.state()
        if self._open:
            state["open"] = [[call, *_open_state(item)] for call, item in self._open.items()]
        if self._early:
            state["early"] = [
                [answer.path, answer.value, answer.who, answer.id, at] for answer, at in self._early.values()
            ]
        return state

    def resume(self, state: Mapping[str, Value]) -> None:
        """Continues with what the previous run has left; open questions are asked again by their calls."""
        self._closed.resume(state)
        self._resumed = {call: fields for call, *fields in state.get("open", ())}
        for path, value, who, id, at in state.get("early", ()):
            self._early[path] = Answer(path=path, value=value, who=who, id=id), at


def _for(call: int | None, answer: Answer) -> Answer:
    """The answer; without its path if that is the id of a node that asks again."""
    return answer if call is None else replace(answer, path="")


def _open_state(item: _Open) -> list[Value]:
    prompt = item.prompt
    return [prompt.asked, list(prompt.answers), list(prompt.who), item.reminded, item.escalated]


def _agreeing(prompt: HumanPrompt, by: Sequence[Mapping[str, Value]], value: Value) -> int:
    """The number of answers that count together with `value`: those with the same field, if one is named."""
    same = prompt.quorum.get("same")
    field_value = _field(value, same)
    return sum(same is None or same_value(_field(other["answer"], same), field_value) for other in by)


def _is_against(prompt: HumanPrompt, value: Value) -> bool:
    against = prompt.quorum.get("against")
    return against is not None and same_value(_field(value, prompt.quorum.get("same")), against)


def _field(answer: Value, name: Value) -> Value:
    return answer.get(name) if is_dict(answer) else None
