"""The agents for Anthropic, Google and Groq, through the OpenAI-compatible interface that each offers."""

from __future__ import annotations

from collections.abc import Mapping

from perdure.agents.agent import AgentContext, Sample, agent
from perdure.agents.llm.agents import ANSWER, ASKED, CONNECTION, DEFAULT_TEMPERATURE, answer, ask, named_model
from perdure.agents.llm.messages import ChatRequest, json_object
from perdure.agents.schema import fields
from perdure.errors import FinalError
from perdure.graph.javascript import stringify, to_string
from perdure.graph.values import Value, is_dict, is_list, js_truthy

ANTHROPIC_MODEL = "claude-sonnet-4-5"
ANTHROPIC_MAX_TOKENS = 8192
GEMINI_MODEL = "gemini-2.5-flash"

_INPUTS = fields(**ASKED)
_PARAMS = fields(**ASKED, **CONNECTION)
_ANTHROPIC_CHOICES = {"any": "required", "auto": "auto", "none": "none"}
_GEMINI_CHOICES = {"any": "required", "validated": "auto", "auto": "auto", "none": "none"}


@agent(
    "anthropicAgent",
    description="Asks a model of Anthropic",
    category="llm",
    inputs=_INPUTS,
    params=_PARAMS,
    output=ANSWER,
    samples=[
        Sample(
            inputs={"prompt": "Name a prime number."},
            result={"text": "7", "message": {"role": "assistant", "content": "7"}},
        )
    ],
)
async def anthropic(inputs: Value, params: Mapping[str, Value], context: AgentContext) -> Value:
    """Asks a model of Anthropic; `config` goes over params, and `messages` leaves the answer out.

    `response_format` becomes part of the system prompt, since the interface ignores it; the object is
    extracted from the answer, and `responseFormat` is null if the answer has none.
    """
    options = {**params, **context.config}
    chat = ChatRequest.of(inputs, params)
    messages = chat.history()
    if js_truthy(chat.prompt):
        messages.append({"role": "user", "content": chat.prompt})
    response_format = chat.option("response_format")
    system = _anthropic_system(chat, messages)
    others = [message for message in messages if not (is_dict(message) and message.get("role") == "system")]
    tools = chat.option("tools")
    body: dict[str, Value] = {
        "model": named_model(options, ANTHROPIC_MODEL),
        "messages": [*([{"role": "system", "content": system}] if js_truthy(system) else []), *others],
        "tools": tools or None,
        "tool_choice": _anthropic_choice(chat.option("tool_choice")) if tools else None,
        "temperature": chat.option("temperature", default=DEFAULT_TEMPERATURE),
        "max_tokens": chat.option("max_tokens", default=ANTHROPIC_MAX_TOKENS),
    }
    completion, clock = await ask("anthropic", body, options, context, chat)
    result = answer(completion, messages, clock)
    result["messages"] = messages
    result["responseFormat"] = json_object(result["text"]) if js_truthy(response_format) else None
    _also_named(result, {"input_tokens": "prompt_tokens", "output_tokens": "completion_tokens"})
    return result


def _anthropic_system(chat: ChatRequest, messages: list[Value]) -> Value:
    """The request's system prompt with its response format, else the one that opens the history."""
    response_format, system = chat.option("response_format"), chat.system
    if js_truthy(response_format):
        form = f"Answer with nothing but a JSON object of this form:\n{stringify(response_format, 2)}"
        return f"{form}\n\n{to_string(system)}" if js_truthy(system) else form
    if js_truthy(system) or not messages:
        return system
    first = messages[0]
    return first.get("content", "") if is_dict(first) and first.get("role") == "system" else ""


def _anthropic_choice(choice: Value) -> Value:
    """`tool_choice` in OpenAI's form, from Anthropic's ({type: any}, {type: tool, name}) too."""
    if not is_dict(choice):
        return choice
    if choice.get("type") == "tool":
        return {"type": "function", "function": {"name": choice.get("name")}}
    return _ANTHROPIC_CHOICES.get(to_string(choice.get("type")), choice)


@agent(
    "geminiAgent",
    description="Asks a model of Google",
    category="llm",
    inputs=_INPUTS,
    params=_PARAMS,
    output=ANSWER,
    samples=[
        Sample(
            inputs={"prompt": "Name a planet."},
            result={"text": "Mars", "message": {"role": "assistant", "content": "Mars"}},
        )
    ],
)
async def gemini(inputs: Value, params: Mapping[str, Value], context: AgentContext) -> Value:
    """Asks a model of Google; `config` overrides params, system prompts are sent as the user's.

    Without any message the result is an empty list. Tool calls have the id "dummy".
    """
    options = {**params, **context.config}
    chat = ChatRequest.of(inputs, params)
    messages = chat.messages()
    if not messages:
        return []
    tools = chat.option("tools")
    choice = chat.option("tool_choice")
    body: dict[str, Value] = {
        "model": named_model(options, GEMINI_MODEL),
        "messages": [*map(_to_gemini, messages[:-1]), _with_ids(messages[-1])],
        "tools": tools or None,
        "tool_choice": _GEMINI_CHOICES.get(choice, choice) if tools and isinstance(choice, str) else None,
        "temperature": chat.option("temperature"),
        "max_tokens": chat.option("max_tokens"),
        "response_format": _gemini_format(chat.option("response_format")),
    }
    completion, clock = await ask("gemini", body, options, context, chat)
    result = answer(completion, messages, clock)
    _dummy_ids(result)
    _also_named(
        result,
        {
            "promptTokenCount": "prompt_tokens",
            "candidatesTokenCount": "completion_tokens",
            "totalTokenCount": "total_tokens",
        },
    )
    return result


def _to_gemini(message: Value) -> Value:
    if is_dict(message) and message.get("role") == "system":
        return {"role": "user", "content": f"System Message: {to_string(message.get('content'))}"}
    return _with_ids(message)


def _with_ids(message: Value) -> Value:
    """`message` with the ids and types of tool calls that GraphAI's form leaves out."""
    if not is_dict(message) or not is_list(message.get("tool_calls")):
        return message
    calls = [{"id": "dummy", "type": "function", **call} for call in message["tool_calls"] if is_dict(call)]
    return {**message, "tool_calls": calls}


def _gemini_format(response_format: Value) -> Value:
    """`response_format` as the interface takes it: GraphAI's type "schema" is a JSON schema too."""
    if not is_dict(response_format) or response_format.get("type") not in ("schema", "json_schema"):
        return None
    schema = response_format.get("json_schema")
    return {"type": "json_schema", "json_schema": {"name": "answer", **(schema if is_dict(schema) else {})}}


def _dummy_ids(result: dict[str, Value]) -> None:
    result["tool_calls"] = [{**call, "id": "dummy"} for call in result["tool_calls"]]
    if result["tool_calls"]:
        result["tool"] = result["tool_calls"][0]


@agent(
    "groqAgent",
    description="Asks a model at Groq",
    category="llm",
    inputs=_INPUTS,
    params=fields("model", **ASKED, **CONNECTION),
    output=ANSWER,
    samples=[
        Sample(
            inputs={"prompt": "Name a river."},
            params={"model": "llama-3.3-70b-versatile"},
            result={"text": "The Nile", "message": {"role": "assistant", "content": "The Nile"}},
        )
    ],
)
async def groq(inputs: Value, params: Mapping[str, Value], context: AgentContext) -> Value:
    """Asks a model at Groq; `config` goes over params. Raises FinalError without `model`.

    GraphAI's agent loses the calls of tools when it streams; this one keeps them.
    """
    options = {**params, **context.config}
    if not js_truthy(options.get("model")):
        raise FinalError("groqAgent: params.model is UNDEFINED!", hint="name a model that Groq serves")
    chat = ChatRequest.of(inputs, params)
    messages = chat.messages()
    tools = chat.option("tools")
    body: dict[str, Value] = {
        "model": named_model(options, ""),
        "messages": messages,
        "temperature": chat.option("temperature", default=DEFAULT_TEMPERATURE),
        "max_tokens": chat.option("max_tokens") or None,
        "tools": tools or None,
        "tool_choice": chat.option("tool_choice", default="auto") if tools else None,
    }
    completion, clock = await ask("groq", body, options, context, chat)
    return answer(completion, messages, clock, raw=True)


def _also_named(result: dict[str, Value], names: Mapping[str, str]) -> None:
    """Adds the provider's own names of the counts in `usage`."""
    usage = result.get("usage")
    if is_dict(usage):
        result["usage"] = {**usage, **{own: usage[name] for own, name in names.items() if name in usage}}
