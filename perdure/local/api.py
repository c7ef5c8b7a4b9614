"""What the local server takes and gives: OpenAI's requests and answers, as far as the small models go."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from perdure.local.embeddings import EmbeddingResult

Json = dict[str, Any]

MAX_REQUEST_TEXT_COUNT = 2048
"""Strings in one request for embeddings, as with OpenAI."""

DEFAULT_ANSWER_TOKENS = 1024
"""Tokens of an answer where the request sets no limit: a small model does not always find its end."""


class RequestRefused(Exception):
    """A request that gets an error for its answer; the fields are those of OpenAI's errors."""

    def __init__(self, message: str, *, status: int = 400, param: str | None = None, code: str = "") -> None:
        self.status = status
        self.error: Json = {
            "message": message,
            "type": "server_error" if status >= 500 else "invalid_request_error",
            "param": param,
            "code": code or None,
        }
        super().__init__(message)


def admit(headers: Mapping[str, str], hosts: Collection[str], key: str) -> None:
    """Refuses everyone but the user of this installation.

    A web page comes under another host's name, or from another origin; other users of the machine do not have
    the key. Names of `headers` are in lower case.
    """
    if headers.get("host", "").lower() not in hosts:
        raise RequestRefused("this server answers to 127.0.0.1 and localhost only", status=403)
    if headers.get("origin"):
        raise RequestRefused("this server is not for web pages", status=403)
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(bearer.strip().encode(), key.encode()):
        raise RequestRefused(
            "this server answers to its own user only; hint: perdure models fetch prints the API key",
            status=401,
            code="invalid_api_key",
        )


def parse(body: bytes) -> Json:
    """The JSON object in the body of a request, without the fields that are null, as for a default."""
    try:
        data = json.loads(body)
    except ValueError as error:
        raise RequestRefused(f"the body is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise RequestRefused("the body is not a JSON object")
    return {name: value for name, value in cast(Json, data).items() if value is not None}


def generation(request: Json, model: str) -> Json:
    """The request for text as it goes to the model, with defaults that give the same answer each time."""
    # With a cached prompt other sums are rounded in other places, and other words can follow.
    asked: Json = {"temperature": 0, "seed": 0, "cache_prompt": False, **request, "model": model}
    if not {"max_tokens", "max_completion_tokens", "n_predict"} & asked.keys():
        asked["max_tokens"] = DEFAULT_ANSWER_TOKENS
    if not {"repeat_penalty", "response_format", "grammar", "json_schema"} & asked.keys():
        # Without it every second answer of a small model ends in a loop; JSON must repeat its signs.
        asked["repeat_penalty"] = 1.1
    return asked


def generation_error(answer: bytes, model: str) -> Json:
    """The error in an answer of the model's server, in OpenAI's words and with the hint."""
    try:
        error = cast(Json, json.loads(answer)["error"])
    except (ValueError, KeyError, TypeError):
        return RequestRefused(answer.decode(errors="replace") or "no reason given", status=500).error
    if error.get("type") != "exceed_context_size_error":
        return error
    return RequestRefused(
        f"the prompt has {error.get('n_prompt_tokens')} tokens, the local model {model} reads "
        f"{error.get('n_ctx')}, its answer included; hint: give it less text (tokenBoundStringsAgent's "
        "`limit`), or use a larger model (PERDURE_LOCAL_MODEL, OPENAI_BASE_URL)",
        param="messages",
        code="context_length_exceeded",
    ).error


@dataclass(frozen=True)
class EmbeddingRequest:
    """Strings to embed; `base64` asks for the vectors as OpenAI's client wants them by default."""

    texts: tuple[str, ...]
    base64: bool


def embedding_request(request: Json, width: int) -> EmbeddingRequest:
    """What a request for embeddings asks of a model with vectors of `width`. Raises RequestRefused."""
    encoding = request.get("encoding_format", "float")
    if encoding not in ("float", "base64"):
        raise RequestRefused(
            f"encoding_format is {encoding!r}; it can be float or base64", param="encoding_format"
        )
    dimensions = request.get("dimensions", width)
    if dimensions != width:
        raise RequestRefused(
            f"dimensions is {dimensions!r}; the local model's vectors have {width}: leave it out",
            param="dimensions",
        )
    return EmbeddingRequest(_texts(request.get("input")), encoding == "base64")


def _texts(text_or_list: object) -> tuple[str, ...]:
    texts = cast("list[object]", text_or_list) if isinstance(text_or_list, list) else [text_or_list]
    if not texts or len(texts) > MAX_REQUEST_TEXT_COUNT:
        raise RequestRefused(
            f"input has {len(texts)} strings; it can have 1 to {MAX_REQUEST_TEXT_COUNT}", param="input"
        )
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise RequestRefused(
                f"input[{index}] is {type(text).__name__}; the local model takes strings, not tokens",
                param="input",
            )
        if not text:
            raise RequestRefused(f"input[{index}] must have at least one character", param="input")
    return tuple(cast("list[str]", texts))


def embedding_answer(embedded: EmbeddingResult, model: str, *, as_base64: bool) -> Json:
    """The answer to a request for embeddings."""
    vectors = embedded.vectors.astype("<f4", copy=False)
    return {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": base64.b64encode(row.tobytes()).decode() if as_base64 else row.tolist(),
            }
            for index, row in enumerate(vectors)
        ],
        "model": model,
        "usage": {"prompt_tokens": embedded.tokens, "total_tokens": embedded.tokens},
    }


def model_list(*models: str) -> Json:
    """The answer to GET /v1/models."""
    return {
        "object": "list",
        "data": [{"id": model, "object": "model", "created": 0, "owned_by": "perdure"} for model in models],
    }
