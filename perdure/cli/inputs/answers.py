"""A question on the terminal: its message, the fields of its form one after the other, and the answer."""

from __future__ import annotations

import getpass
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from perdure.cli import output
from perdure.engine.human_tasks import HumanPrompt, shown_answer
from perdure.errors import UsageError
from perdure.graph.forms import same_value
from perdure.graph.javascript import parse
from perdure.graph.values import Value, is_dict, is_list


def asked_for(prompt: HumanPrompt) -> Value:
    """What the person types. Raises UsageError at the end of the input."""
    output.note(prompt.message)
    while True:
        value = _line(f"{prompt.path}: ") if prompt.schema is None else _filled(prompt)
        refusal = prompt.refusal(value)
        if refusal is None:
            return value
        output.note(refusal)


def _filled(prompt: HumanPrompt) -> Value:
    schema: Mapping[str, Any] = prompt.schema or {}
    fields: Mapping[str, Any] = schema.get("properties") or {}
    if not fields:
        return _line("JSON: ")
    prefill: Mapping[str, Value] = prompt.prefill if is_dict(prompt.prefill) else {}
    answer: dict[str, Value] = {}
    for name, field in fields.items():
        usual = prefill.get(name, field.get("default"))
        text = _line(_label(name, field, usual))
        if text:
            answer[name] = _value(field, text)
        elif usual is not None:
            answer[name] = usual
    return answer


def _label(name: str, field: Mapping[str, Any], usual: Value) -> str:
    items: Mapping[str, Any] = field.get("items") or {}
    choices = field.get("enum") or items.get("enum")
    kind = "/".join(map(str, choices)) if choices else field.get("format") or field.get("type", "")
    shown = f" ({kind})" if kind and kind != "string" else ""
    usually = "" if usual is None else f" [{shown_answer(usual)}]"
    return output.plain(f"{field.get('title') or name}{shown}{usually}: ")


def _value(field: Mapping[str, Any], text: str) -> Value:
    """The text as a value of the field: the choice of this name, a list of choices, or a scalar."""
    if field.get("type") == "array":
        choices: list[Value] = field["items"]["enum"]
        return [_choice(choices, part.strip()) for part in text.split(",")]
    if is_list(field.get("enum")):
        return _choice(field["enum"], text)
    if field.get("type") == "boolean":
        return {"y": True, "yes": True, "true": True, "n": False, "no": False, "false": False}.get(
            text.lower(), text
        )
    if field.get("type") in ("number", "integer") or "const" in field:
        try:
            value = parse(text)
        except ValueError:
            return text
        return field["const"] if "const" in field and same_value(value, field["const"]) else value
    return text


def _choice(choices: list[Value], text: str) -> Value:
    return next((choice for choice in choices if str(choice) == text), text)


def _line(label: str) -> str:
    sys.stderr.write(label)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise UsageError("the input has ended without an answer")
    return line.rstrip("\r\n")


def question_line(prompt: HumanPrompt) -> str:
    """The message, with what the form takes: a choice, or an object in JSON."""
    if prompt.schema is None:
        return prompt.message
    fields: Mapping[str, Any] = prompt.schema.get("properties") or {}
    if len(fields) == 1:
        ((name, field),) = fields.items()
        return f"{prompt.message} {_label(name, field, None).removesuffix(': ')}"
    return f"{prompt.message} (JSON with {', '.join(fields) or 'anything'})"


def user() -> str:
    """Who uses this command, as far as the machine knows."""
    name = "user"
    with suppress(KeyError, OSError):
        name = getpass.getuser()
    return f"{name}@{socket.gethostname()}"
