"""Agents that wait for a person: what they ask, which answers are valid, and what their result is.

No function runs for them: a shell shows the question (perdure.engine.questions) and passes the result
back as the node's completion. A durable run waits as long as it takes, without using a worker.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from perdure.engine.messages import RunAgent
from perdure.errors import FinalError
from perdure.graph.deferred import BlobRef, Deferred, described
from perdure.graph.forms import form_refusal
from perdure.graph.human_input import (
    APPROVAL,
    DEFAULT_CHANNEL,
    HUMAN_INPUT,
    channels_of,
    form_of,
    human_input_problems,
)
from perdure.graph.javascript import parse, to_string
from perdure.graph.params.durations import duration_ms
from perdure.graph.sizes import size_of
from perdure.graph.text.json_dump import dump
from perdure.graph.values import Value, is_dict, is_number, js_truthy

MAX_MESSAGE_TEXT_CHARS: Final = 16_000
"""Characters of a message in which inputs are filled in."""

MAX_FORM_ANSWER_BYTES: Final = 64_000
"""Bytes of an answer that is not a string: it is in the history and is validated there."""

MAX_QUOTED_CHARS: Final = 100
"""Characters of an answer that a message quotes."""

APPROVED_CHOICE: Final = "approve"
APPROVAL_CHOICES: Final = (APPROVED_CHOICE, "refuse")
"""The answers to a question whether a call may be made."""

_MARK = re.compile(r"\$\{([^${}]{1,100})\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a person answers to the question at `path` (or of the one node of this id that asks).

    `who` is recorded. `id` is unique for each submission and the same for its retries; clients of older
    versions send neither.
    """

    path: str
    value: Value
    who: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanPrompt:
    """What a person is asked. `path` is the position of the asking node in the run, `node` its id.

    The answer is an object that fills `schema`, or a string where it is None. `who` should answer; `quorum`
    has need, same and against; `remind`, `escalate` and `timeout` have times in milliseconds after `asked`,
    itself in milliseconds since the epoch. `answers` are those so far: who, at, answer. `notify` are channels
    of the worker.
    """

    path: str
    message: str = ""
    role: str = "user"
    required: bool = False
    node: str = ""
    agent: str = "textInputAgent"
    schema: Mapping[str, Value] | None = None
    prefill: Value = None
    who: Sequence[str] = field(default_factory=list[str])
    quorum: Mapping[str, Value] = field(default_factory=dict[str, Value])
    remind: Sequence[float] = field(default_factory=list[float])
    escalate: Mapping[str, Value] = field(default_factory=dict[str, Value])
    timeout: Mapping[str, Value] = field(default_factory=dict[str, Value])
    asked: int = 0
    answers: Sequence[Mapping[str, Value]] = field(default_factory=list[Mapping[str, Value]])
    notify: Sequence[str] = field(default_factory=lambda: [DEFAULT_CHANNEL])

    @property
    def need(self) -> int:
        """The number of answers that close the question."""
        return int(self.quorum.get("need", 1))

    def read(self, answer: Value) -> Value:
        """The answer as the question means it: a string that holds JSON, or the only field, fills a form."""
        if self.schema is None or not isinstance(answer, str):
            return answer
        try:
            value = parse(answer)
        except ValueError:
            value = answer
        if is_dict(value):
            return value
        fields: Mapping[str, Value] = self.schema.get("properties") or {}
        if len(fields) != 1:
            return answer
        ((name, form),) = fields.items()
        is_text = form.get("type") == "string" or any(
            isinstance(choice, str) for choice in form.get("enum") or ()
        )
        return {name: answer if is_text else value}

    def refusal(self, answer: Value, who: str | None = None) -> str | None:
        """Why this answer is not valid, or None; `who` gives it, None where that is not known yet."""
        if self.agent == APPROVAL and who is not None:
            if self.who and who not in self.who:
                person = who or "a person without a name"
                return f"{self.path}: {person} may not approve it, but {', '.join(self.who)}"
            if self.need > 1 and not who:
                return f"{self.path}: say who approves it"
        if self.schema is not None:
            if isinstance(answer, Deferred) or size_of(answer) > MAX_FORM_ANSWER_BYTES:
                return f"{self.path} takes an answer of at most {MAX_FORM_ANSWER_BYTES:,} bytes"
            wrong = form_refusal(self.schema, self.read(answer))
            return None if wrong is None else f"{self.path}: {wrong}"
        if isinstance(answer, BlobRef) and answer.kind == "string":
            return None
        if not isinstance(answer, str):
            return f"{self.path} takes a string"
        return f"{self.path} requires a string that is not empty" if self.required and not answer else None

    def result(self, answer: Value, by: Sequence[Mapping[str, Value]] = (), how: str = "answer") -> Value:
        """The node's result: for a string, the text and a chat message that holds it.

        That of humanInputAgent also has the answer, `by` whom, and `how` the question was closed: answer,
        quorum or timeout.
        """
        value = self.read(answer)
        as_text = {"text": value, "message": {"role": self.role, "content": value}}
        if self.agent not in (HUMAN_INPUT, APPROVAL):
            return as_text
        result: dict[str, Value] = {"answer": value, "by": [dict(answer) for answer in by], "how": how}
        return result | as_text if self.schema is None else result


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that people should hear of: a question was asked, reminded of, escalated or closed.

    `call` is the one that asks, `number` counts the reminders, `how` says how it was closed, and `at` is in
    milliseconds since the epoch.
    """

    event: str
    call: int
    prompt: HumanPrompt
    at: int
    number: int = 0
    how: str = ""


def human_prompt(command: RunAgent) -> HumanPrompt:
    """The question of a call of an agent that waits for a person. Raises FinalError for wrong params."""
    params: Mapping[str, Value] = described(dict(command.params))
    limit = command.options.timeout
    prompt = HumanPrompt(
        path=command.path,
        message=to_string(params["message"]) if js_truthy(params.get("message")) else "Enter",
        role=to_string(params["role"]) if js_truthy(params.get("role")) else "user",
        required=js_truthy(params.get("required")),
        node=command.node,
        timeout={} if limit is None else {"after": limit},
    )
    if command.agent == APPROVAL:  # its message shows inputs, and fills none in
        form = _form_prompt(replace(prompt, message=""), params, {})
        return replace(form, message=prompt.message, agent=APPROVAL, node=command.path)
    return prompt if command.agent != HUMAN_INPUT else _form_prompt(prompt, params, command.inputs)


def _form_prompt(prompt: HumanPrompt, params: Mapping[str, Value], inputs: Value) -> HumanPrompt:
    for problem in human_input_problems(params, "params"):
        raise FinalError(f"{problem.place}: {problem.finding}", hint=problem.hint)
    timeout = _in_ms(params.get("timeout"))
    if prompt.timeout and (not timeout or prompt.timeout["after"] < timeout["after"]):
        timeout = prompt.timeout
    return replace(
        prompt,
        message=_filled(prompt.message, inputs) if "${" in prompt.message else prompt.message,
        agent=HUMAN_INPUT,
        schema=form_of(params),
        prefill=params.get("prefill"),
        who=params.get("who") or [],
        quorum=params.get("quorum") or {},
        remind=sorted(duration_ms(interval) or 0 for interval in params.get("remind") or ()),
        escalate=_in_ms(params.get("escalate")),
        timeout=timeout,
        notify=channels_of(params.get("notify")),
    )


def _in_ms(value: Value) -> Mapping[str, Value]:
    return {**value, "after": duration_ms(value["after"])} if is_dict(value) else {}


def _filled(message: str, inputs: Value) -> str:
    """The message with inputs in the places of ``${name}`` and ``${name.part}``; others are left."""
    inputs = described(inputs)

    def value(mark: re.Match[str]) -> str:
        part = inputs
        for name in mark[1].split("."):
            if not is_dict(part) or name not in part:
                return mark[0]
            part = part[name]
        return to_string(part)[:MAX_MESSAGE_TEXT_CHARS]

    return _MARK.sub(value, message[:MAX_MESSAGE_TEXT_CHARS])[:MAX_MESSAGE_TEXT_CHARS]


def escalated(prompt: HumanPrompt) -> HumanPrompt:
    """The question, asked of more people, who may have channels of their own."""
    more: Mapping[str, Value] = prompt.escalate
    channels = [] if more.get("notify") is None else channels_of(more["notify"])
    return replace(
        prompt,
        who=list(dict.fromkeys((*prompt.who, *more["who"]))),
        notify=list(dict.fromkeys((*prompt.notify, *channels))),
    )


def answer_digest(value: Value) -> str:
    """A hash by which two answers can be compared without keeping them."""
    try:
        data = dump([value], ordered=True)
    except (TypeError, ValueError):
        data = repr(value).encode()
    return hashlib.sha256(data).hexdigest()[:32]


def shown_answer(value: Value) -> str:
    """An answer in the form in which messages quote it."""
    text = to_string(value) if isinstance(value, str) or is_number(value) else _as_json(value)
    return text if len(text) <= MAX_QUOTED_CHARS else f"{text[:MAX_QUOTED_CHARS]}…"


def _as_json(value: Value) -> str:
    try:
        return dump(value).decode()
    except (TypeError, ValueError):
        return str(value)
