"""What goes to a model and what comes back, in the shapes of GraphAI's model agents. Pure data.

Source: npm @graphai/llm_utils 2.0.3 and the agents of its family.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from perdure.errors import AgentError
from perdure.graph.javascript import parse, to_string
from perdure.graph.values import UNDEFINED, Value, is_dict, is_list, js_truthy

MAX_TOOL_CALL_COUNT = 1_000
"""Tools that one answer of a model may call; each becomes a graph of its own."""

_FENCE = "```"
_WORD = re.compile(r"\w*")


def first(*values: Value, default: Value = None) -> Value:
    """The first of `values` that is neither null nor undefined (JavaScript's ``??``)."""
    return next((value for value in values if value is not None and value is not UNDEFINED), default)


def flat(value: Value) -> Value:
    """A prompt as one text: the lines of a list that are not empty; "" for none."""
    if is_list(value):
        return "\n".join(to_string(line) for line in value if js_truthy(line))
    return first(value, default="")


def merged(inputs: Mapping[str, Value], params: Mapping[str, Value], key: str, other: Value) -> Value:
    """The prompts under `key` of inputs and params, joined by a line break; `other` if both lack it."""
    parts = [inputs.get(key, UNDEFINED), params.get(key, UNDEFINED)]
    if not any(map(js_truthy, parts)):
        return flat(other)
    return "\n".join(to_string(flat(part)) for part in parts if js_truthy(flat(part)))


@dataclass(frozen=True, kw_only=True)
class ChatRequest:
    """What an agent was asked: all options (inputs over params), the system text, the prompt."""

    options: Mapping[str, Value]
    system: Value
    prompt: Value

    @classmethod
    def of(cls, inputs: Value, params: Mapping[str, Value]) -> ChatRequest:
        """The request that a call's inputs and params describe."""
        options = {**params, **inputs}
        return cls(
            options=options,
            system=merged(inputs, params, "mergeableSystem", options.get("system", UNDEFINED)),
            prompt=merged(inputs, params, "mergeablePrompts", options.get("prompt", UNDEFINED)),
        )

    def option(self, *keys: str, default: Value = None) -> Value:
        """The first option of `keys` that is set."""
        return first(*(self.options.get(key, UNDEFINED) for key in keys), default=default)

    def history(self) -> list[Value]:
        """The earlier messages, unchanged."""
        messages = self.option("messages", default=[])
        return list(messages) if is_list(messages) else [messages]

    def messages(self, *, message: bool = False, images: bool = False) -> list[Value]:
        """System text, history, then `message` (where the agent takes one) or the prompt, then an image."""
        system = [{"role": "system", "content": self.system}] if js_truthy(self.system) else []
        listed = [*system, *self.history()]
        options = self.options.get("message", UNDEFINED)
        if message and js_truthy(options):
            listed.append(options)
        elif js_truthy(self.prompt):
            listed.append({"role": "user", "content": self.prompt})
        pictures = self.options.get("images", UNDEFINED)
        if images and is_list(pictures) and pictures:
            url = {"url": pictures[0], "detail": "high"}
            listed.append({"role": "user", "content": [{"type": "image_url", "image_url": url}]})
        return listed


def plain(value: Value) -> Value:
    """`value` without what JSON cannot hold: members that are UNDEFINED go, elements become null."""
    if is_dict(value):
        return {key: plain(item) for key, item in value.items() if item is not UNDEFINED}
    if is_list(value):
        return [plain(item) for item in value]
    return None if value is UNDEFINED else value


def reply(completion: Mapping[str, Any]) -> dict[str, Value] | None:
    """The message of a completion's first choice, or None."""
    choices = completion.get("choices")
    message = choices[0].get("message") if is_list(choices) and choices and is_dict(choices[0]) else None
    return message if is_dict(message) else None


def text_of(message: Mapping[str, Value] | None) -> Value:
    """The text of a message, None for an empty one."""
    content = (message or {}).get("content")
    return content if js_truthy(content) else None


def tool_calls(message: Mapping[str, Value] | None) -> list[Value]:
    """The tools that a message calls: [{id, name, arguments}], arguments UNDEFINED where unreadable.

    Raises AgentError for more than MAX_TOOL_CALL_COUNT.
    """
    calls = (message or {}).get("tool_calls")
    if not is_list(calls):
        return []
    if len(calls) > MAX_TOOL_CALL_COUNT:
        raise AgentError(f"the answer calls {len(calls):,} tools, and it may call {MAX_TOOL_CALL_COUNT}")
    return [_tool_call(call) for call in calls if is_dict(call)]


def _tool_call(call: Mapping[str, Value]) -> Value:
    function = call.get("function")
    function = function if is_dict(function) else {}
    try:
        arguments = parse(to_string(function.get("arguments", "")))
    except (ValueError, RecursionError):
        arguments = UNDEFINED
    return {"id": call.get("id", ""), "name": function.get("name", ""), "arguments": arguments}


def parsed(text: Value, finish: Value) -> Value:
    """The object that `text` is as JSON, None for none. Raises AgentError for what is not JSON."""
    if not isinstance(text, str):
        return None
    try:
        value = parse(text)
    except (ValueError, RecursionError) as error:
        cut = " (it was cut at the limit of tokens: raise max_tokens)" if finish == "length" else ""
        raise AgentError(
            f"the model's answer is not the JSON that response_format asks for{cut}: {error}"
        ) from None
    return value if is_dict(value) or is_list(value) else None


def json_object(text: Value) -> Value:
    """The object in `text`, alone or in a fenced block; None if it holds none."""
    if not isinstance(text, str):
        return None
    try:
        return parsed(_unfenced(text.strip()), None)
    except AgentError:
        return None


def _unfenced(text: str) -> str:
    """The content of the first code block of `text`, without blanks around it; `text` if it has none.

    Searched step by step: one pattern for it all would need cubic time for a block that is never closed.
    """
    first = text.find(_FENCE)
    inside = _WORD.match(text, first + len(_FENCE)) if first >= 0 else None
    closing = text.find(_FENCE, inside.end()) if inside else -1
    return text[inside.end() : closing].strip() if inside and closing >= 0 else text


@dataclass
class CompletionTimer:
    """When a call began, gave its first token, and ended: milliseconds since 1970."""

    start: float
    first: float | None = None
    end: float = 0.0

    def metadata(self) -> Value:
        """GraphAI's `metadata`: times in ISO 8601, spans in milliseconds."""
        timing: dict[str, Value] = {"start": _iso(self.start)}
        if self.first is not None:
            timing["firstToken"] = _iso(self.first)
        timing["end"] = _iso(self.end)
        if self.first is not None:
            timing["latencyToFirstToken"] = round(self.first - self.start)
            timing["duration"] = round(self.end - self.first)
        timing["totalElapsed"] = round(self.end - self.start)
        return {"timing": timing}


def _iso(milliseconds: float) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
