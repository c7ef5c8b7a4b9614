"""Puts the chunks of a streamed chat completion together to the completion that they are parts of.

A server may stream for as long as it likes, so the parts are bounded, and what is appended is joined once,
at the end: to append to a string copies it each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from perdure.agents.llm.messages import MAX_TOOL_CALL_COUNT
from perdure.errors import AgentError, TransientError
from perdure.graph.values import Value, is_dict, is_list

MAX_COMPLETION_CHARS = 5_000_000
"""Characters of one answer."""

MAX_CHUNK_COUNT = 200_000
"""Chunks of one answer; most models send one for each token."""

MAX_CHOICE_COUNT = 128
"""Choices of one answer, as with OpenAI."""

MAX_CHUNK_FIELD_COUNT = 100
"""Fields of an answer, and of each of its messages."""


class _Text(list[str]):
    """The pieces of a string."""


@dataclass
class _Choice:
    message: dict[str, Value] = field(default_factory=lambda: {"role": "assistant", "content": None})
    calls: list[dict[str, Value]] = field(default_factory=list[dict[str, Value]])
    finish: Value = None

    def value(self, index: int) -> Value:
        message = {"refusal": None, **{key: _clean(value) for key, value in self.message.items()}}
        if self.calls:
            message["tool_calls"] = [_clean(call) for call in self.calls]
        return {"index": index, "message": message, "logprobs": None, "finish_reason": self.finish}


@dataclass
class Assembly:
    """The completion so far. Tolerates what servers other than OpenAI's leave out."""

    head: dict[str, Value] = field(default_factory=dict[str, Value])
    usage: Value = None
    choices: dict[int, _Choice] = field(default_factory=dict[int, _Choice])
    size: int = 0
    chunks: int = 0

    def add(self, chunk: Mapping[str, Value]) -> Mapping[str, Value] | None:
        """Adds a chunk; returns the first choice's delta. Raises AgentError if it is not a valid chunk."""
        self.chunks += 1
        if self.chunks > MAX_CHUNK_COUNT:
            raise AgentError(f"the answer has more than {MAX_CHUNK_COUNT:,} chunks")
        for key, value in chunk.items():
            if key not in ("choices", "usage", "object") and value is not None:
                _set(self.head, key, value)
        self.usage = chunk.get("usage") or self.usage
        shown: Mapping[str, Value] | None = None
        choices = chunk.get("choices")
        for choice in choices if is_list(choices) else []:
            if not is_dict(choice):
                raise AgentError("the stream is malformed: a choice must be an object")
            index = choice.get("index", 0)
            if not isinstance(index, int):
                raise AgentError("the stream is malformed: the index of a choice must be a number")
            if not 0 <= index < MAX_CHOICE_COUNT:
                raise AgentError(f"the stream is malformed: a choice has index {index}")
            target = self.choices.setdefault(index, _Choice())
            target.finish = choice.get("finish_reason") or target.finish
            delta = choice.get("delta")
            if is_dict(delta):
                self._extend(target, delta)
                shown = delta if index == 0 else shown
        return shown

    def completion(self) -> dict[str, Value]:
        """The whole. Raises TransientError where the stream broke off before the model had finished."""
        if not any(choice.finish for choice in self.choices.values()):
            raise TransientError("the stream broke off before the answer was complete")
        usage = {"usage": self.usage} if self.usage else {}
        choices = [self.choices[index].value(index) for index in sorted(self.choices)]
        return {"object": "chat.completion", **self.head, "choices": choices, **usage}

    def _extend(self, choice: _Choice, delta: Mapping[str, Value]) -> None:
        for key, value in delta.items():
            if key == "tool_calls":
                for call in value if is_list(value) else []:
                    self._extend_call(choice.calls, call)
            elif isinstance(value, str) and key != "role":
                _set(choice.message, key, self._grown(choice.message.get(key), value))
            elif value is not None:
                _set(choice.message, key, value)

    def _extend_call(self, calls: list[dict[str, Value]], call: Value) -> None:
        if not is_dict(call):
            raise AgentError("the stream is malformed: a tool call must be an object")
        target = _place(calls, call)
        target.update({key: call[key] for key in ("id", "type") if call.get(key)})
        function = call.get("function")
        function = function if is_dict(function) else {}
        # The name comes whole, the arguments in pieces.
        target["function"]["name"] = function.get("name") or target["function"]["name"]
        arguments = function.get("arguments")
        if isinstance(arguments, str):
            target["function"]["arguments"] = self._grown(target["function"]["arguments"], arguments)

    def _grown(self, text: Value, piece: str) -> _Text:
        self.size += len(piece)
        if self.size > MAX_COMPLETION_CHARS:
            raise AgentError(f"the answer is longer than {MAX_COMPLETION_CHARS:,} characters")
        text = text if isinstance(text, _Text) else _Text()
        text.append(piece)
        return text


def _set(fields: dict[str, Value], key: str, value: Value) -> None:
    if key not in fields and len(fields) >= MAX_CHUNK_FIELD_COUNT:
        raise AgentError(f"the stream is malformed: there are more than {MAX_CHUNK_FIELD_COUNT} fields")
    fields[key] = value


def _place(calls: list[dict[str, Value]], call: Mapping[str, Value]) -> dict[str, Value]:
    """The call that a piece belongs to: by index, or where that is left out by a new id."""
    index = call.get("index")
    if not isinstance(index, int):
        index = len(calls) if call.get("id") or not calls else len(calls) - 1
    if not 0 <= index < MAX_TOOL_CALL_COUNT:
        raise AgentError(f"the stream is malformed: a tool call has index {index}")
    while len(calls) <= index:
        calls.append({"id": "", "type": "function", "function": {"name": "", "arguments": ""}})
    return calls[index]


def _clean(value: Value) -> Value:
    """Strings with the surrogate pairs that chunks cut joined again; a lone half becomes U+FFFD."""
    if isinstance(value, _Text):
        value = "".join(value)
    if isinstance(value, str):
        if value.isascii():
            return value
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if is_dict(value):
        return {key: _clean(item) for key, item in value.items()}
    if is_list(value):
        return [_clean(item) for item in value]
    return value
