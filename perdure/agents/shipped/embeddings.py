"""stringEmbeddingsAgent: strings as vectors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from perdure.agents.agent import AgentContext, Sample, agent
from perdure.agents.llm import failures
from perdure.agents.llm.agents import named_model
from perdure.agents.schema import array, fields, number, text
from perdure.errors import AgentError, FinalError
from perdure.graph.javascript import normalize_json
from perdure.graph.values import UNDEFINED, Value, is_dict, is_list, is_number, js_truthy

DEFAULT_EMBEDDING_MODEL = "text-embedding-3-small"
EMBEDDINGS_PER_REQUEST_COUNT = 1000
"""Strings in one request; OpenAI accepts 2,048."""


@agent(
    "stringEmbeddingsAgent",
    description="Turns strings into vectors",
    category="embedding",
    inputs=fields(array=array("the strings", text()), item=text("the string, if there is only one")),
    params=fields(
        model=text(f"the model to ask ({DEFAULT_EMBEDDING_MODEL})"),
        baseURL=text("another server; graphs must be allowed to reach it"),
        apiKey=text("a key; better left to the worker's environment"),
    ),
    output=array(items=array(items=number())),
    samples=[Sample(inputs={"array": ["sea", "ocean"]}, result=[[0.11, -0.52], [0.12, -0.5]])],
)
async def string_embeddings(inputs: Value, params: Mapping[str, Value], context: AgentContext) -> Value:
    """Turns strings into vectors: one list of numbers for each string, in order.

    `baseURL` may be what GraphAI's agent takes, the address of the call itself (``…/v1/embeddings``, or
    Ollama's ``…/api/embed``), or a base URL. Raises as `llm_failures` says.
    """
    from perdure.agents.llm import openai_client  # noqa: PLC0415 -- httpx2 takes 0.2 s to import

    texts = _texts(inputs)
    options = {**context.config, **params}
    model = named_model(options, DEFAULT_EMBEDDING_MODEL)
    url = _base(options.get("baseURL"))
    to = await openai_client.endpoint(
        "openai",
        context,
        key=openai_client.key_of("openai", options, context, url),
        url=url,
    )
    vectors: list[Value] = []
    try:
        async with openai_client.client(to, context) as client:
            create: Any = client.embeddings.create
            for start in range(0, len(texts), EMBEDDINGS_PER_REQUEST_COUNT):
                batch = texts[start : start + EMBEDDINGS_PER_REQUEST_COUNT]
                answer = await create(
                    input=batch, model=model, encoding_format="float", extra_headers=_headers(context, start)
                )
                vectors += _vectors(normalize_json(answer.to_dict(warnings=False)), len(batch))
    except Exception as error:
        raise failures.explain(error, to, context) from None
    return vectors


def _texts(inputs: Value) -> list[str]:
    texts = inputs.get("array", UNDEFINED)
    if texts is None or texts is UNDEFINED:
        item = inputs.get("item", UNDEFINED)
        texts = [item] if item is not None and item is not UNDEFINED else UNDEFINED
    if not is_list(texts):
        raise FinalError("stringEmbeddingsAgent: namedInputs.array is UNDEFINED!", hint="give array or item")
    wrong = [index for index, one in enumerate(texts) if not isinstance(one, str) or not one]
    if wrong:
        raise FinalError(f"stringEmbeddingsAgent: inputs.array[{wrong[0]}] must be a non-empty string")
    return texts


def _base(url: Value) -> str:
    if not js_truthy(url) or not isinstance(url, str):
        return ""
    trimmed = url.rstrip("/")
    if trimmed.endswith("/api/embed"):
        return trimmed.removesuffix("/api/embed") + "/v1"
    return trimmed.removesuffix("/embeddings")


def _headers(context: AgentContext, start: int) -> dict[str, str]:
    key = context.idempotency_key
    return {"Idempotency-Key": f"{key}-{start}" if start else key} if key else {}


def _vectors(answer: Value, count: int) -> list[Value]:
    """The vectors of an answer. Raises AgentError unless there is one for each string."""
    data = answer.get("data") if is_dict(answer) else None
    entries = [entry for entry in data if is_dict(entry)] if is_list(data) else []
    if all(isinstance(entry.get("index"), int) for entry in entries):
        entries.sort(key=lambda entry: entry["index"])
    vectors = [entry.get("embedding") for entry in entries]
    if len(vectors) != count or not all(map(_is_vector, vectors)):
        raise AgentError(f"answered without a vector for each of {count} strings")
    return vectors


def _is_vector(value: Value) -> bool:
    return is_list(value) and bool(value) and all(is_number(part) and math.isfinite(part) for part in value)
