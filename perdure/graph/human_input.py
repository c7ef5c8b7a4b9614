"""The params of humanInputAgent: what is wrong with them, and what they say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from perdure.errors import Problem
from perdure.graph.forms import form_problems
from perdure.graph.params.durations import DURATION_HINT, duration_ms
from perdure.graph.values import Value, is_dict, is_list, is_number, js_truthy

HUMAN_INPUT: Final = "humanInputAgent"
"""The agent that asks with a form."""

APPROVAL: Final = "perdure.approval"
"""What asks whether a call may be made that was refused; no graph can name it."""

CHOICE_FIELD: Final = "decision"
"""The field of the form that `choices` makes."""

MAX_REMINDER_COUNT: Final = 20
"""Reminders of one question."""

MAX_QUORUM_COUNT: Final = 100
"""Answers that a quorum may need."""

CHANNEL_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,63}", re.ASCII)
"""The name of a channel for notices, which the operator of a worker configures."""

DEFAULT_CHANNEL: Final = "default"
"""The channel for questions that name none."""

MAX_CHANNEL_COUNT: Final = 10
"""Channels that one question may use."""

HUMAN_INPUT_PARAMS: Final = (
    *("message", "role", "required", "schema", "choices", "prefill", "who"),
    *("quorum", "remind", "escalate", "timeout", "notify"),
)


def form_of(params: Mapping[str, Value]) -> Value:
    """The schema of the answer: its own, or that of `choices`; None for a string."""
    if params.get("choices") is not None:
        return {
            "type": "object",
            "required": [CHOICE_FIELD],
            "properties": {CHOICE_FIELD: {"enum": params["choices"]}},
        }
    return params.get("schema")


def human_node_problems(nodes: Iterable[tuple[str, Value]]) -> Iterator[Problem]:
    """What is wrong with the params of those nodes that ask with a form; `nodes` have their places.

    Not among the checks of GraphAI's keys, which decide whether a run starts: an agent of a user may have the
    same name, and params of its own.
    """
    for place, node in nodes:
        if node.get("agent") == HUMAN_INPUT and is_dict(node.get("params")):
            yield from human_input_problems(node["params"], f"{place}.params")


def human_input_problems(params: Mapping[str, Value], place: str) -> Iterator[Problem]:
    """What is wrong with the params at `place`."""

    def problem(key: str, finding: str, hint: str = "") -> Problem:
        return Problem("human-input", f"{place}.{key}", finding, hint)

    for key in params:
        if key not in HUMAN_INPUT_PARAMS:
            hint = f"there is {', '.join(HUMAN_INPUT_PARAMS)}"
            yield problem(key, f"humanInputAgent has no parameter {key!r}", hint)
    choices = params.get("choices")
    if choices is not None:
        if params.get("schema") is not None:
            yield problem("choices", "choices is a form already: it cannot be used together with schema")
        if not (is_list(choices) and choices and all(isinstance(choice, str) for choice in choices)):
            yield problem("choices", "choices is a list of strings", "choices: [approve, reject]")
    elif params.get("schema") is not None:
        yield from form_problems(params["schema"], f"{place}.schema")
    if params.get("prefill") is not None and not (is_dict(params["prefill"]) or form_of(params) is None):
        yield problem("prefill", "prefill is an object with values for fields of the form")
    yield from _audience_problems(params, place)
    yield from _quorum_problems(params, place)
    yield from _time_problems(params, place)


def _audience_problems(params: Mapping[str, Value], place: str) -> Iterator[Problem]:
    if not _is_names(params.get("who")):
        finding, hint = "who is a list of people or groups", 'who: [anna@example.org, "group:editors"]'
        yield Problem("human-input", f"{place}.who", finding, hint)
    if not is_channels(params.get("notify")):
        finding, hint = (
            "notify names channels of the worker",
            "notify: leads, with its address in PERDURE_NOTIFY",
        )
        yield Problem("human-input", f"{place}.notify", finding, hint)


def _is_names(value: Value) -> bool:
    return value is None or (is_list(value) and all(isinstance(name, str) and name for name in value))


def channels_of(value: Value) -> list[str]:
    """The channels that `notify` names; the default one where it is missing."""
    names = value if is_list(value) else [DEFAULT_CHANNEL if value is None else value]
    return list(dict.fromkeys(names))


def is_channels(value: Value) -> bool:
    """Whether it is the name of a channel for notices, a list of such names, or nothing."""
    names = value if is_list(value) else [] if value is None else [value]
    return len(names) <= MAX_CHANNEL_COUNT and all(
        isinstance(name, str) and CHANNEL_NAME.fullmatch(name) is not None for name in names
    )


def _quorum_problems(params: Mapping[str, Value], place: str) -> Iterator[Problem]:
    quorum = params.get("quorum")
    if quorum is None:
        return
    place = f"{place}.quorum"
    if not is_dict(quorum) or not set(quorum) <= {"need", "same", "against"}:
        yield Problem("human-input", place, "quorum is an object with need, same and against")
        return
    need: Value = quorum.get("need")
    if not (is_number(need) and float(need).is_integer() and 1 <= need <= MAX_QUORUM_COUNT):
        finding = f"need is a number of people from 1 to {MAX_QUORUM_COUNT}"
        yield Problem("human-input", f"{place}.need", finding, "need: 2")
    same = quorum.get("same")
    if same is not None:
        form = form_of(params)
        fields = form.get("properties") if is_dict(form) else None
        if not is_dict(fields) or same not in fields:
            finding = "same names the field of the form that has to be equal"
            yield Problem("human-input", f"{place}.same", finding, f"same: {CHOICE_FIELD}")
    elif quorum.get("against") is not None:
        finding = "against is a value of the field that `same` names, and there is no `same`"
        yield Problem("human-input", f"{place}.against", finding, f"same: {CHOICE_FIELD}")


def _time_problems(params: Mapping[str, Value], place: str) -> Iterator[Problem]:
    remind = params.get("remind")
    if remind is not None and not (
        is_list(remind) and len(remind) <= MAX_REMINDER_COUNT and all(map(duration_ms, remind))
    ):
        finding = f"remind is a list of at most {MAX_REMINDER_COUNT} times after the question was asked"
        yield Problem("human-input", f"{place}.remind", finding, DURATION_HINT)
    for key, others in (("escalate", {"who", "notify"}), ("timeout", {"result"})):
        value = params.get(key)
        if value is None:
            continue
        if not is_dict(value) or not set(value) <= {"after", *others}:
            finding = f"{key} is an object with after and {' and '.join(sorted(others))}"
            yield Problem("human-input", f"{place}.{key}", finding)
        elif duration_ms(value.get("after")) is None:
            finding = "after is a time after the question was asked"
            yield Problem("human-input", f"{place}.{key}.after", finding, DURATION_HINT)
        elif key == "escalate" and not (_is_names(value.get("who")) and js_truthy(value.get("who"))):
            finding = "escalate names the people or groups that are asked then"
            yield Problem("human-input", f"{place}.escalate.who", finding, 'who: ["group:leads"]')
        elif not is_channels(value.get("notify")):
            yield Problem("human-input", f"{place}.{key}.notify", "notify names channels of the worker")
