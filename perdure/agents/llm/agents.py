"""The agents for OpenAI and the servers that speak its protocol: openAIAgent and its two relatives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from perdure.agents.agent import AgentContext, Sample, agent
from perdure.agents.llm import failures
from perdure.agents.llm.messages import (
    ChatRequest,
    CompletionTimer,
    first,
    parsed,
    plain,
    reply,
    text_of,
    tool_calls,
)
from perdure.agents.schema import anything, array, either, fields, flag, mapping, number, text
from perdure.errors import AgentError, FinalError
from perdure.graph.javascript import normalize_json, to_string
from perdure.graph.values import UNDEFINED, Value, is_dict, js_truthy

if TYPE_CHECKING:
    from perdure.agents.llm.openai_client import Endpoint

DEFAULT_CHAT_MODEL = "gpt-4o"
IMAGE_MODEL = "dall-e-3"
DEFAULT_TEMPERATURE = 0.7

_LINES = either(text(), array(items=text()))
ASKED: dict[str, Any] = {
    "prompt": {**_LINES, "description": "the prompt; a list is joined by line breaks"},
    "system": {**_LINES, "description": "the instructions to the model"},
    "mergeablePrompts": {**_LINES, "description": "a prompt in inputs and params, joined"},
    "mergeableSystem": {**_LINES, "description": "a system prompt in inputs and params, joined"},
    "messages": array("the conversation so far"),
    "message": mapping("the next message, instead of a prompt"),
    "images": array("the URL of an image, in a list"),
    "tools": array("functions that the model may call"),
    "tool_choice": anything("auto, none, required, or one function"),
    "max_tokens": number("the maximum length of the answer, in tokens"),
    "max_completion_tokens": number("the maximum length of the answer, in tokens"),
    "temperature": number("0.7 for gpt-4 models; not sent to others"),
    "response_format": mapping("asks for JSON; see `responseFormat`"),
    "verbose": flag("shows the messages in the console output"),
}
"""Schemas of what goes to a model, in inputs or in params."""

CONNECTION: dict[str, Any] = {
    "model": text("the model to ask"),
    "baseURL": text("another server; graphs must be allowed to reach it"),
    "apiKey": text("a key; better left to the worker's environment"),
    "stream": flag("false: do not stream the answer"),
    "dataStream": flag("streams the answer as events"),
}
"""Schemas of where a model is asked, in params only."""

_DRAWN = {key: ASKED[key] for key in ("prompt", "system", "mergeablePrompts", "mergeableSystem")}

ANSWER = fields(
    text=anything("the answer, or null"),
    message=anything("the answer's message"),
    messages=array("the conversation"),
    tool=mapping("the first tool call: {id, name, arguments}"),
    tool_calls=array("all tool calls"),
    usage=mapping("token counts"),
    choices=array("as the service returned them"),
    metadata=mapping("timing"),
    responseFormat=anything("the answer as JSON, if response_format requested it"),
)
"""Schema of what a model agent gives."""


@agent(
    "openAIAgent",
    description="Asks a model of OpenAI, or of any server that speaks its protocol",
    category="llm",
    inputs=fields(**ASKED),
    params=fields(**ASKED, **CONNECTION, apiVersion=text("Azure only")),
    output=ANSWER,
    samples=[
        Sample(
            inputs={"prompt": "What is the capital of France?"},
            params={"system": "Answer in one word."},
            result={
                "text": "Paris",
                "message": {"role": "assistant", "content": "Paris"},
                "messages": [
                    {"role": "system", "content": "Answer in one word."},
                    {"role": "user", "content": "What is the capital of France?"},
                    {"role": "assistant", "content": "Paris"},
                ],
                "tool_calls": [],
                "responseFormat": None,
            },
        )
    ],
)
async def openai_chat(inputs: Value, params: Mapping[str, Value], context: AgentContext) -> Value:
    """Asks a model; `config` holds defaults for the params that say which and where.

    Gives the completion, plus {text, tool, tool_calls, message, messages, metadata, responseFormat}.
    Raises AgentError where `response_format` asked for JSON and none came, otherwise see `llm_call`.
    """
    options = {**context.config, **params}
    chat = ChatRequest.of(inputs, params)
    messages = chat.messages(message=True, images=True)
    model = named_model(options, DEFAULT_CHAT_MODEL)
    body = _body(chat, messages, model)
    if model.startswith("gpt-4"):
        body["temperature"] = chat.option("temperature", default=DEFAULT_TEMPERATURE)
    completion, clock = await ask("openai", body, options, context, chat)
    result = answer(completion, messages, clock)
    result["responseFormat"] = _response_format(chat, completion, result["text"])
    return result


@agent(
    "openAIFetchAgent",
    description="Asks a model of OpenAI; always sends a temperature",
    category="llm",
    inputs=fields(**ASKED),
    params=fields(**ASKED, **CONNECTION),
    output=ANSWER,
    samples=[
        Sample(
            inputs={"prompt": "What is the capital of Italy?"},
            params={"model": "gpt-4o-mini"},
            result={"text": "Rome", "message": {"role": "assistant", "content": "Rome"}},
        )
    ],
)
async def openai_fetch(inputs: Value, params: Mapping[str, Value], context: AgentContext) -> Value:
    """Asks a model like openAIAgent; here `config` goes over params, and a temperature is always sent.

    GraphAI's agent wants the key in the graph; here the worker's key serves where the graph has none.
    """
    options = {**params, **context.config}
    chat = ChatRequest.of(inputs, params)
    messages = chat.messages(images=True)
    model = named_model(params, DEFAULT_CHAT_MODEL)
    body = _body(chat, messages, model)
    body["temperature"] = chat.option("temperature", default=DEFAULT_TEMPERATURE)
    completion, clock = await ask("openai", body, options, context, chat)
    return answer(completion, messages, clock, raw=True)


@agent(
    "openAIImageAgent",
    description="Generates an image with a model of OpenAI",
    category="llm",
    inputs=fields(**_DRAWN),
    params=fields(**_DRAWN, **{key: CONNECTION[key] for key in ("model", "baseURL", "apiKey")}),
    output=fields(data=array("[{url}]"), created=number("seconds since 1970")),
    samples=[
        Sample(
            inputs={"prompt": "a red kite over the sea"},
            result={"created": 1700000000, "data": [{"url": "https://images.example.com/1.png"}]},
        )
    ],
)
async def openai_image(inputs: Value, params: Mapping[str, Value], context: AgentContext) -> Value:
    """Draws an image of a prompt: the service's own answer, {created, data: [{url}]}."""
    from perdure.agents.llm import openai_client  # noqa: PLC0415 -- httpx2 takes 0.2 s to import

    chat = ChatRequest.of(inputs, params)
    prompt = "\n".join(to_string(part) for part in (chat.system, chat.prompt) if js_truthy(part))
    body: dict[str, Any] = {"model": named_model(params, IMAGE_MODEL), "prompt": prompt, "n": 1}
    if body["model"].startswith("dall-e"):
        body["response_format"] = "url"  # newer models know no other than their own, and refuse the word
    to = await _place("openai", {**params, **context.config}, context, local=False)
    headers = {"Idempotency-Key": context.idempotency_key} if context.idempotency_key else {}
    try:
        async with openai_client.client(to, context) as client:
            create: Any = client.images.generate
            response = normalize_json((await create(**body, extra_headers=headers)).to_dict(warnings=False))
        if not is_dict(response) or not response.get("data"):
            raise AgentError("answered without an image")
    except Exception as error:
        raise failures.explain(error, to, context) from None
    return response


def named_model(options: Mapping[str, Value], default: str) -> str:
    """The model that `options` name, or `default`. Raises FinalError if that is not a string."""
    model = options.get("model", UNDEFINED)
    model = model if js_truthy(model) else default
    if not isinstance(model, str):
        raise FinalError(f"params.model must be the name of a model, not {to_string(model)[:80]}")
    return model


async def ask(
    provider: str,
    body: dict[str, Value],
    options: Mapping[str, Value],
    context: AgentContext,
    chat: ChatRequest,
) -> tuple[dict[str, Value], CompletionTimer]:
    """The completion of `body`, from where `options` and the settings lead to; see `llm_call.chat`."""
    from perdure.agents.llm import call  # noqa: PLC0415 -- httpx2 takes 0.2 s to import

    to = await _place(provider, options, context, local=provider == "openai")
    if js_truthy(chat.option("verbose")):
        for message in body["messages"]:
            is_message = is_dict(message)
            context.log(f"{message.get('role')}: {message.get('content')}" if is_message else str(message))
    return await call.chat(to, body, context, options)


async def _place(
    provider: str, options: Mapping[str, Value], context: AgentContext, *, local: bool
) -> Endpoint:
    from perdure.agents.llm import openai_client  # noqa: PLC0415 -- httpx2 takes 0.2 s to import

    url = _text(options.get("baseURL"))
    return await openai_client.endpoint(
        provider,
        context,
        key=openai_client.key_of(provider, options, context, url),
        url=url,
        azure_version=_text(options.get("apiVersion")),
        local=local,
    )


def answer(
    completion: dict[str, Value], messages: list[Value], clock: CompletionTimer, *, raw: bool = False
) -> dict[str, Value]:
    """The completion with what graphs refer to; with `raw` the message keeps the service's own members."""
    said = reply(completion)
    calls = tool_calls(said)
    message = said
    if said is not None and not raw:
        kept = ("content", "role", "tool_calls") if said.get("tool_calls") else ("content", "role")
        message = {key: said.get(key) for key in kept}
    return {
        **completion,
        "text": text_of(said),
        **({"tool": calls[0]} if calls else {}),
        "tool_calls": calls,
        "message": message,
        "messages": [*messages, *([message] if message is not None else [])],
        "metadata": clock.metadata(),
    }


def finish_reason(completion: Mapping[str, Value]) -> Value:
    """Why the model stopped."""
    choices = completion.get("choices")
    return choices[0].get("finish_reason") if choices and is_dict(choices[0]) else None


def _response_format(chat: ChatRequest, completion: Mapping[str, Value], answered: Value) -> Value:
    if not js_truthy(chat.option("response_format")):
        return None
    return parsed(answered, finish_reason(completion))


def _body(chat: ChatRequest, messages: list[Value], model: str) -> dict[str, Value]:
    tools = chat.option("tools")
    return {
        "model": model,
        "messages": plain(messages),
        "tools": tools or None,
        "tool_choice": chat.option("tool_choice") if tools else None,
        "max_completion_tokens": chat.option("max_completion_tokens", "max_tokens"),
        "response_format": chat.option("response_format"),
    }


def _text(value: Value) -> str:
    return value if isinstance(value, str) else "" if first(value) is None else to_string(value)
